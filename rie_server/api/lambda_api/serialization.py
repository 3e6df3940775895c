"""From an operation's output to the reply: status, headers and JSON, as the model says.

Pure. Members that the model does not know, and None, are left out.
"""

import base64
from collections.abc import Mapping
from typing import Any

from rie_server.api.exchange import JSON, Reply
from rie_server.api.lambda_api.rendering import json_bytes
from rie_server.api.lambda_api.service_model import Operation, ServiceModel, Shape


def write_output(model: ServiceModel, operation: Operation, output: Mapping[str, Any], request_id: str) -> Reply:
    """The reply that carries ``output``. A member bound to the status code decides it."""
    headers = [("Content-Type", JSON), ("x-amzn-RequestId", request_id)]
    status, body = operation.status, b""
    if operation.output_shape is not None:
        shape = model.shape(operation.output_shape)
        for member in model.members(shape, "statusCode"):
            status = output.get(member.name, status)
        headers.extend(
            (member.wire_name, str(output[member.name]))
            for member in model.members(shape, "header")
            if output.get(member.name) is not None
        )
        body = _body(model, shape, output)
    if status == 204:
        body = b""
    return Reply(status, tuple(headers), body)


def _body(model: ServiceModel, shape: Shape, output: Mapping[str, Any]) -> bytes:
    if shape.payload is None:
        return json_bytes(write_value(model, shape, output))
    value = output.get(shape.payload)
    payload = model.shape(shape.members[shape.payload].shape)
    if payload.kind == "blob":
        return bytes(value or b"")
    return json_bytes(write_value(model, payload, value or {}))


def write_value(model: ServiceModel, shape: Shape, value: Any) -> Any:
    """``value`` as JSON can carry it. Timestamps are epoch seconds already; whole ones are written without a point."""
    if value is None:
        return None
    if shape.kind == "structure":
        return {
            member.wire_name: write_value(model, model.shape(member.shape), value[member.name])
            for member in model.members(shape, None)
            if value.get(member.name) is not None
        }
    if shape.kind == "list":
        element = model.shape(shape.element)
        return [write_value(model, element, item) for item in value]
    if shape.kind == "map":
        element = model.shape(shape.element)
        return {key: write_value(model, element, item) for key, item in value.items()}
    if shape.kind == "blob":
        return base64.b64encode(value).decode("ascii")
    if shape.kind == "timestamp" and float(value).is_integer():
        return int(value)
    return value
