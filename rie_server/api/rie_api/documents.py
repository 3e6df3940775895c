"""JSON in and out of the server's own paths: small documents with names in snake_case. Pure."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from rie_server.api.exchange import JSON, Reply, Request
from rie_server.errors import InvalidParameterValueException, InvalidRequestContentException


def json_reply(document: Any) -> Reply:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return Reply(200, (("Content-Type", JSON),), text.encode("utf-8", "replace"))


def body_of(request: Request, *allowed: str) -> dict[str, Any]:
    """The members of the request's JSON object; no body is an empty one.

    Raises:
        InvalidRequestContentException: it is none.
        InvalidParameterValueException: it has a member that nobody reads.
    """
    try:
        document = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidRequestContentException("The body must be a JSON object.")
    for name in document:
        if name not in allowed:
            raise InvalidParameterValueException(f"{name} is unknown here; there is: {', '.join(allowed)}.")
    return document


def query_of(request: Request, *allowed: str) -> dict[str, str]:
    """The parameters of the query that are not empty.

    Raises:
        InvalidParameterValueException: one that nobody reads, or one that is given twice.
    """
    parameters = parse_qs(request.query)
    for name, values in parameters.items():
        if name not in allowed:
            raise InvalidParameterValueException(f"{name} is unknown here; there is: {', '.join(allowed)}.")
        if len(values) > 1:
            raise InvalidParameterValueException(f"{name} is given {len(values)} times.")
    return {name: values[0] for name, values in parameters.items()}


def seconds_of(
    document: dict[str, Any], name: str, *, least: float, most: float, default: float | None = None
) -> float:
    """A number of seconds.

    Raises:
        InvalidParameterValueException: it is missing, no number or out of range.
    """
    value = document.get(name, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or not is_number or not least <= value <= most:
        raise InvalidParameterValueException(f"{name} must be a number of seconds from {least:.10g} to {most:.10g}.")
    return float(value)


def timestamp(seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds, as AWS writes it."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return f"{text.removesuffix('+00:00')}Z"
