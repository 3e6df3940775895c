"""Layers: packages of files, published in numbered versions, that functions see below ``/opt``.

Pure data, with its ways to the store's document and to what the API shows.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from rie_server.model.resource_policy import ResourcePolicy

_REFERENCE: Final = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):layer:)?"
    r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<version>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerArn:
    """A layer in one region of one account, without a version."""

    region: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"

    def at(self, version: int) -> str:
        """``LayerVersionArn``."""
        return f"{self}:{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReference:
    """A layer version as a function holds it: enough to run and to show it, also after the version was deleted.

    Attributes:
        arn: ``LayerVersionArn``.
        sha256: of the zip in the code store, as ``CodeSha256``.
    """

    arn: str
    sha256: str
    size_bytes: int
    unzipped_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVersion:
    """One version; nothing of it but its policy ever changes.

    Attributes:
        created_date: ``2026-01-01T00:00:00.000+0000``.
        compatible_runtimes: None where the publisher has said nothing; likewise the architectures.
    """

    layer: LayerArn
    version: int
    description: str
    created_date: str
    sha256: str
    size_bytes: int
    unzipped_bytes: int
    license_info: str | None = None
    compatible_runtimes: tuple[str, ...] | None = None
    compatible_architectures: tuple[str, ...] | None = None
    policy: ResourcePolicy | None = None

    @property
    def arn(self) -> str:
        return self.layer.at(self.version)

    @property
    def reference(self) -> LayerReference:
        return LayerReference(
            arn=self.arn, sha256=self.sha256, size_bytes=self.size_bytes, unzipped_bytes=self.unzipped_bytes
        )

    def is_same_as(self, other: "LayerVersion") -> bool:
        """Whether both were published with the same content, for the same purposes."""
        return replace(self, version=other.version, created_date=other.created_date, policy=other.policy) == other

    def suits(self, *, runtime: str | None, architecture: str | None) -> bool:
        """Whether it is published for what a list asks for; None asks for nothing."""
        return (runtime is None or runtime in (self.compatible_runtimes or ())) and (
            architecture is None or architecture in (self.compatible_architectures or ())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """
    Attributes:
        versions: by number, in the order of their numbers.
        last_version: the number that was given last; none is given twice, also after every version was deleted.
    """

    arn: LayerArn
    versions: Mapping[int, LayerVersion] = field(default_factory=dict)
    last_version: int = 0

    def with_version(self, version: LayerVersion) -> "Layer":
        """``self`` with one more version, or with this one in the place of what it was."""
        last = max(self.last_version, version.version)
        return replace(self, versions={**self.versions, version.version: version}, last_version=last)

    def without_version(self, number: int) -> "Layer":
        return replace(self, versions={key: one for key, one in self.versions.items() if key != number})

    def latest(self, *, runtime: str | None, architecture: str | None) -> LayerVersion | None:
        """The newest version that suits what is asked for."""
        suiting = (one for one in self.versions.values() if one.suits(runtime=runtime, architecture=architecture))
        return max(suiting, key=lambda one: one.version, default=None)


def parse_layer_reference(reference: str, *, region: str, account: str) -> tuple[LayerArn, int | None]:
    """The layer, and the version if there is one, that a name or an ARN means.

    Args:
        reference: valid by the service model's patterns.
        region, account: the caller's, for a name.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        # One of AWS's own layers (``arn:aws:lambda:::awslayer:...``): no account here has it.
        return LayerArn(region="", account="", name=reference), None
    arn = LayerArn(region=match["region"] or region, account=match["account"] or account, name=match["name"])
    return arn, None if match["version"] is None else int(match["version"])


def merged_digest(digests: Sequence[str]) -> str:
    """Names what several layers make when they are laid over one another in this order, in the form of a zip's digest;
    of a single layer that is its own.
    """
    if len(digests) == 1:
        return digests[0]
    return base64.b64encode(hashlib.sha256(b"layers " + " ".join(digests).encode()).digest()).decode()


def describe_layer_version(version: LayerVersion) -> dict[str, Any]:
    """The members that every operation shows of a version; what was not given is absent."""
    return {
        "LayerVersionArn": version.arn,
        "Version": version.version,
        "Description": version.description,
        "CreatedDate": version.created_date,
        "CompatibleRuntimes": version.compatible_runtimes,
        "CompatibleArchitectures": version.compatible_architectures,
        "LicenseInfo": version.license_info,
    }


def layer_document(layer: Layer) -> dict[str, Any]:
    """What the store keeps."""
    return {
        "arn": asdict(layer.arn),
        "last_version": layer.last_version,
        "versions": [asdict(version) for version in layer.versions.values()],
    }


def layer_from_document(document: Mapping[str, Any]) -> Layer:
    """The layer that ``layer_document`` wrote."""
    arn = LayerArn(**document["arn"])
    versions = (_version(arn, one) for one in document["versions"])
    return Layer(arn=arn, last_version=document["last_version"], versions={one.version: one for one in versions})


def _version(arn: LayerArn, document: Mapping[str, Any]) -> LayerVersion:
    policy = document["policy"]
    lists = {
        name: None if document[name] is None else tuple(document[name])
        for name in ("compatible_runtimes", "compatible_architectures")
    }
    kept = policy and ResourcePolicy(**{**policy, "statements": tuple(policy["statements"])})
    return LayerVersion(**{**document, **lists, "layer": arn, "policy": kept})
