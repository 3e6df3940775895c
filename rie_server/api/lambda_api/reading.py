"""From a request to the typed members of an operation's input.

Pure. Follows AWS's leniency: unknown members of the body are ignored and ``null`` means absent. What cannot be read as
the type it should have is a SerializationException; whether it is *allowed* is ``validation``'s question.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from rie_server.api.exchange import Request
from rie_server.api.lambda_api.service_model import Operation, ServiceModel, Shape
from rie_server.errors import SerializationException

_INTEGERS = ("integer", "long")
_WORDS = {
    "timestamp": "a Date",
    "integer": "an Integer",
    "long": "a Long",
    "double": "a Double",
    "boolean": "a Boolean",
    "string": "a String",
}


def read_input(
    model: ServiceModel, operation: Operation, parameters: Mapping[str, str], request: Request
) -> dict[str, Any]:
    """The members of the input that the request carries.

    Raises:
        SerializationException: malformed JSON or a value of the wrong type.
    """
    if operation.input_shape is None:
        return {}
    shape = model.shape(operation.input_shape)
    members: dict[str, Any] = {}
    query = parse_qs(request.query, keep_blank_values=True) if request.query else {}
    for member in shape.members.values():
        target = model.shape(member.shape)
        if member.location == "uri":
            members[member.name] = _from_text(target, parameters[member.wire_name])
        elif member.location == "querystring" and member.wire_name in query:
            values = query[member.wire_name]
            members[member.name] = values if target.kind == "list" else _from_text(target, values[0])
        elif member.location == "header" and member.wire_name.lower() in request.headers:
            members[member.name] = _from_text(target, request.headers[member.wire_name.lower()])
    members.update(_read_body(model, shape, request.body))
    return members


def _read_body(model: ServiceModel, shape: Shape, body: bytes) -> dict[str, Any]:
    if shape.payload is not None:
        target = model.shape(shape.members[shape.payload].shape)
        if target.kind == "blob":
            return {shape.payload: body}
        return {shape.payload: read_value(model, target, _parse(body))} if body else {}
    if not body or not any(model.members(shape, None)):
        return {}
    document = _parse(body)
    if not isinstance(document, dict):
        raise SerializationException("Unexpected field type")
    return _structure(model, shape, document)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as wrong:
        raise SerializationException(f"Could not parse request body into json: {wrong}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"Unexpected token {name}")


def _structure(model: ServiceModel, shape: Shape, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        member.name: read_value(model, model.shape(member.shape), document[member.wire_name])
        for member in model.members(shape, None)
        if document.get(member.wire_name) is not None
    }


def read_value(model: ServiceModel, shape: Shape, value: Any) -> Any:
    """``value``, as parsed from JSON, as the type of ``shape``."""
    if value is None:
        return None
    if shape.kind == "structure":
        return _structure(model, shape, _expect(value, dict, "Unexpected field type"))
    if shape.kind == "list":
        element = model.shape(shape.element)
        return [read_value(model, element, item) for item in _expect(value, list, "Expected list or null")]
    if shape.kind == "map":
        element = model.shape(shape.element)
        entries = _expect(value, dict, "Expected map or null")
        return {_text(key): read_value(model, element, item) for key, item in entries.items()}
    return _scalar(shape, value)


def _expect(value: Any, kind: type, message: str) -> Any:
    if not isinstance(value, kind):
        raise SerializationException(message)
    return value


def _scalar(shape: Shape, value: Any) -> Any:
    if isinstance(value, dict):
        raise SerializationException("Start of structure or map found where not expected.")
    if isinstance(value, list):
        raise SerializationException("Start of list found where not expected")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if shape.kind in _INTEGERS and number and (isinstance(value, int) or math.isfinite(value)):
        return int(value)
    if shape.kind in {"double", "timestamp"} and number:
        return _floating(value)
    if shape.kind == "boolean" and isinstance(value, bool):
        return value
    if isinstance(value, str):
        if shape.kind == "string":
            return _text(value)
        if shape.kind == "blob":
            return _from_base64(value)
    raise SerializationException(f"{_token(value)} can not be converted to {_WORDS.get(shape.kind, 'a ' + shape.kind)}")


def _floating(value: float) -> float:
    """JSON can spell whole numbers that no double reaches."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _text(value: str) -> str:
    """JSON can spell half a surrogate pair; no encoding, file or process could take it from us."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SerializationException("Invalid UTF-16 surrogate in a string") from None
    return value


def _token(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text.translate({10: None, 13: None}), validate=True)
    except (binascii.Error, ValueError):
        raise SerializationException("STRING_VALUE can not be converted to a blob: it is not valid base64") from None


def _from_text(shape: Shape, text: str) -> Any:
    """A value of the query or of a header."""
    try:
        if shape.kind in _INTEGERS:
            return int(text)
        if shape.kind == "double":
            return float(text)
        if shape.kind == "timestamp":
            return _moment(text)
    except (ValueError, OverflowError):
        raise SerializationException(f"STRING_VALUE can not be converted to {_WORDS[shape.kind]}") from None
    if shape.kind == "boolean":
        return text.lower() == "true"
    return text


def _moment(text: str) -> float:
    """A time in the query, which SDKs write as ISO 8601, in seconds since the epoch.

    Raises:
        ValueError: it is neither that nor a number.
    """
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(text)
    return seconds
