"""Every constraint that AWS's service model puts on a member of an offered operation is held, in AWS's grammar.

The cases are made from the model: for each member of each input, at every depth, one value that breaks each of its
constraints, alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
import requests

from rie_server.api.lambda_api.service_model import Operation, Shape, compiled, load_service_model
from tests.integration.lambda_api.conftest import ControlPlane

MODEL = load_service_model()
# Larger values would be refused as requests, or take longer to send than to check.
LENGTHS_UP_TO = 20_000
ARN = "arn:aws:lambda:us-east-1:000000000000"
# Values of the patterns that occur, tried in this order.
PLAUSIBLE = (
    "a", "1", "$LATEST", "f", "lambda:GetLayerVersion", "*", "subnet-1", "sg-1", "o-a1b2c3d4e5", "000000000000",
    "lambda:InvokeFunction", f"{ARN}:function:f", f"{ARN}:layer:l:1", "arn:aws:iam::000000000000:role/r",
    f"{ARN}:code-signing-config:csc-0123456789abcdefg", "12345678-1234-1234-1234-123456789012", "/mnt/a",
    f"{ARN}:event-source-mapping:12345678-1234-1234-1234-123456789012", "abcd:1", "arn:aws:kms:us-east-1:0:key/k",
    "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0", "bucket", "ab",
    "arn:aws:sqs:us-east-1:000000000000:q", "https://host", "VIRTUAL_HOST", "2026-01-01",
    "arn:aws:lambda:us-east-1::runtime:0123456789abcdef",
)  # fmt: skip


class Case(NamedTuple):
    operation: str
    path: str
    constraint: str
    members: Mapping[str, Any]


def valid(shape: Shape, depth: int = 0) -> Any:
    """The plainest value that a shape allows."""
    if shape.kind == "structure":
        required = (shape.members[name] for name in shape.required)
        return {member.name: valid(MODEL.shape(member.shape), depth + 1) for member in required}
    if shape.kind == "list":
        return [valid(MODEL.shape(shape.element), depth + 1)] * max(1, shape.minimum or 0)
    if shape.kind == "map":
        return {valid(MODEL.shape(shape.key)): valid(MODEL.shape(shape.element), depth + 1)}
    return _scalar(shape)


def _scalar(shape: Shape) -> Any:
    if shape.choices:
        return next((choice for choice in shape.choices if choice == "python3.12"), shape.choices[0])
    if shape.kind in {"integer", "long", "double"}:
        return max(1, shape.minimum or 0)
    if shape.kind == "boolean":
        return True
    if shape.kind in {"timestamp", "blob"}:
        return 1 if shape.kind == "timestamp" else "UEsDBA=="
    fitting = (text for text in PLAUSIBLE if _fits(shape, text))
    return next(fitting, "a" * max(1, shape.minimum or 0))


def _fits(shape: Shape, text: str) -> bool:
    long_enough = (shape.minimum or 0) <= len(text) <= (shape.maximum or 10_000)
    return long_enough and (shape.pattern is None or compiled(shape.pattern).fullmatch(text) is not None)


def broken(shape: Shape) -> Iterator[tuple[str, Any]]:
    """Values that break one constraint each, with AWS's words for it; what breaks one may break others, too."""
    numeric = shape.kind in {"integer", "long", "double"}
    what = "value" if numeric else "length"
    if shape.kind == "string" or numeric:
        if shape.choices:
            yield "Member must satisfy enum value set: [", "no such choice"
        if shape.maximum is not None and (numeric or shape.maximum <= LENGTHS_UP_TO):
            words = f"Member must have {what} less than or equal to {shape.maximum}"
            yield words, shape.maximum + 1 if numeric else "a" * (shape.maximum + 1)
        if shape.minimum is not None and (numeric or shape.minimum > 0):
            words = f"Member must have {what} greater than or equal to {shape.minimum}"
            yield words, shape.minimum - 1 if numeric else "a" * (shape.minimum - 1)
        if shape.pattern is not None and not compiled(shape.pattern).fullmatch("\x7f no"):
            yield "Member must satisfy regular expression pattern: ", "\x7f no"
    if shape.kind == "list":
        element = valid(MODEL.shape(shape.element))
        if shape.maximum is not None and shape.maximum <= LENGTHS_UP_TO:
            yield f"Member must have length less than or equal to {shape.maximum}", [element] * (shape.maximum + 1)
        if shape.minimum:
            words = f"Member must have length greater than or equal to {shape.minimum}"
            yield words, [element] * (shape.minimum - 1)


def in_structure(shape: Shape, path: str = "", depth: int = 0) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, constraint and members for each way to break a structure."""
    base = valid(shape)
    for member in shape.members.values():
        target = MODEL.shape(member.shape)
        shown = f"{path}{member.name[:1].lower()}{member.name[1:]}"
        if member.name in shape.required and member.location != "uri":
            yield shown, "Member must not be null", {key: one for key, one in base.items() if key != member.name}
        if member.name == "Runtime":
            continue  # AWS tells of it in another way
        for words, value in broken(target):
            # A path cannot hold everything, and a query no empty list.
            if not (member.location == "uri" and value in {"", "\x7f no"}) and not (member.location and value == []):
                yield shown, words, {**base, member.name: value}
        if target.kind == "structure" and depth < 4:
            for inner, words, members in in_structure(target, f"{shown}.", depth + 1):
                yield inner, words, {**base, member.name: members}


def cases() -> Iterator[Case]:
    for operation in MODEL.operations.values():
        if operation.input_shape is not None:
            for path, words, members in in_structure(MODEL.shape(operation.input_shape)):
                yield Case(operation.name, path, words, members)


def send(url: str, operation: Operation, members: Mapping[str, Any]) -> requests.Response:
    shape = MODEL.shape(operation.input_shape or "")
    by_name = shape.members
    parameters = {by_name[name].wire_name: value for name, value in members.items() if by_name[name].location == "uri"}
    segments = [
        quote(str(parameters[segment.strip("{}+")]), safe="") if segment.startswith("{") else segment
        for segment in operation.segments
    ]
    query = [] if operation.query is None else [operation.query]
    for name, value in members.items():
        if by_name[name].location == "querystring":
            many = value if isinstance(value, list) else [value]
            query += [(by_name[name].wire_name, _text(one)) for one in many]
    headers = {
        by_name[name].wire_name: _text(value) for name, value in members.items() if by_name[name].location == "header"
    }
    body = {by_name[name].wire_name: value for name, value in members.items() if by_name[name].location is None}
    address = f"{url}/{'/'.join(segments)}" + (f"?{urlencode(query)}" if query else "")
    return requests.request(operation.method, address, json=body or None, headers=headers, timeout=20)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_constraint_of_every_offered_operation_is_held(control_plane: ControlPlane) -> None:
    offered = {name for name, module in control_plane.api.offered().items() if module is not None}
    wrong, count = [], 0
    for case in cases():
        if case.operation not in offered:
            continue
        count += 1
        with send(control_plane.url, MODEL.operations[case.operation], case.members) as reply:
            told = reply.json().get("message", "") if reply.content else ""
            code = reply.headers.get("x-amzn-ErrorType")
        if code != "ValidationException" or f"at '{case.path}' failed" not in told or case.constraint not in told:
            wrong.append((case.operation, case.path, case.constraint, reply.status_code, code, told[:200]))
    assert wrong == []
    assert count > 500


@pytest.mark.parametrize("operation", ["ListFunctions", "ListLayers", "ListCapacityProviders", "ListAliases"])
def test_the_largest_and_the_smallest_page_are_those_of_the_model(operation: str) -> None:
    """The cases above are made of limits like this one; so it is seen that there are any."""
    assert any(case.operation == operation and case.path == "maxItems" for case in cases())
