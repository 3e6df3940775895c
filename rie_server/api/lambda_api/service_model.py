"""AWS's own description of the Lambda API, as botocore ships it: operations, members, constraints.

Everything the API knows about paths, types and limits is derived from here, so a newer botocore is a newer API.
Loaded once at start (about 15 ms) without importing botocore, whose documentation strings are dropped while parsing.
Immutable after that, apart from caches; thread-safe.
"""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_MODEL = "data/lambda/2015-03-31/service-2.json"
_PARAMETER = re.compile(r"\{(\w+)\}")
# Java's classes in the model's patterns. They only occur together and beside "_", so \w may stand for both L and N.
_JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a structure. ``location`` is uri, querystring, header, statusCode, or None for the body."""

    name: str
    shape: str
    location: str | None
    wire_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A type of the model with its constraints; what does not apply to its kind is empty.

    Attributes:
        kind: structure, list, map, string, integer, long, double, boolean, blob or timestamp.
        element: shape of a list's members or a map's values.
        key: shape of a map's keys.
        minimum: of a number, or of the length of a string or list; likewise ``maximum``.
        payload: the member that is the whole body.
    """

    name: str
    kind: str
    members: Mapping[str, Member]
    required: tuple[str, ...]
    element: str
    key: str
    minimum: float | None
    maximum: float | None
    pattern: str | None
    choices: tuple[str, ...]
    sensitive: bool
    payload: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: how it is reached and what goes in and out.

    Attributes:
        segments: of the path; a parameter is in braces, one that may contain slashes ends in ``+}``.
        query: parameter and value that tell operations of one path apart, or None.
    """

    name: str
    method: str
    segments: tuple[str, ...]
    query: tuple[str, str] | None
    status: int
    input_shape: str | None
    output_shape: str | None


class ServiceModel:
    """Operations and shapes by name."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._shapes: Mapping[str, Mapping[str, Any]] = document["shapes"]
        self._built: dict[str, Shape] = {}
        self.operations: Mapping[str, Operation] = {
            name: self._operation(name, raw) for name, raw in document["operations"].items()
        }

    def shape(self, name: str) -> Shape:
        shape = self._built.get(name)
        if shape is None:
            shape = self._built[name] = _shape(name, self._shapes[name])
        return shape

    def members(self, shape: Shape, location: str | None) -> Iterator[Member]:
        return (member for member in shape.members.values() if member.location == location)

    def _operation(self, name: str, raw: Mapping[str, Any]) -> Operation:
        path, _, query = raw["http"]["requestUri"].partition("?")
        input_shape = raw.get("input", {}).get("shape")
        slashed = self._parameters_with_slashes(input_shape)
        discriminator = query.partition("=")
        return Operation(
            name=name,
            method=raw["http"]["method"],
            segments=tuple(
                f"{{{segment[1:-1]}+}}" if segment[1:-1] in slashed and _PARAMETER.fullmatch(segment) else segment
                for segment in path.strip("/").split("/")
            ),
            query=(discriminator[0], discriminator[2]) if query else None,
            status=raw["http"].get("responseCode", 200),
            input_shape=input_shape,
            output_shape=raw.get("output", {}).get("shape"),
        )

    def _parameters_with_slashes(self, input_shape: str | None) -> frozenset[str]:
        """Durable execution ARNs and callback ids: their patterns tell."""
        if input_shape is None:
            return frozenset()
        return frozenset(
            member.wire_name
            for member in self.members(self.shape(input_shape), "uri")
            if "/" in (self.shape(member.shape).pattern or "")
        )


def _shape(name: str, raw: Mapping[str, Any]) -> Shape:
    return Shape(
        name=name,
        kind=raw["type"],
        members={
            key: Member(
                name=key,
                shape=member["shape"],
                location=member.get("location"),
                wire_name=member.get("locationName", key),
            )
            for key, member in raw.get("members", {}).items()
        },
        required=tuple(raw.get("required", ())),
        element=(raw.get("member") or raw.get("value") or {}).get("shape", ""),
        key=raw.get("key", {}).get("shape", ""),
        minimum=raw.get("min"),
        maximum=raw.get("max"),
        pattern=raw.get("pattern"),
        choices=tuple(raw.get("enum", ())),
        sensitive=raw.get("sensitive", False),
        payload=raw.get("payload"),
    )


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the model (Java's dialect) for ``fullmatch``. Compiled on first use: few are ever needed."""
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


@cache
def load_service_model() -> ServiceModel:
    """The Lambda API of the botocore that is installed."""
    package = find_spec("botocore")
    if package is None or package.origin is None:
        raise ImportError("botocore is not installed")
    plain = Path(package.origin).parent / _MODEL
    packed = plain.with_name(plain.name + ".gz")
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    return ServiceModel(json.loads(text, object_hook=_without_documentation))


def _without_documentation(mapping: dict[str, Any]) -> dict[str, Any]:
    mapping.pop("documentation", None)
    return mapping
