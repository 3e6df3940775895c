"""Payload format 2.0: what a function behind a URL is given for an HTTP request, and how its result becomes a response.

Pure. AWS: "Invoking Lambda function URLs", request and response payload.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from rie_server.model.http_prelude import DELIMITER

# Bodies of these come as text where they are UTF-8; all others in base64. A form comes in base64, as in AWS.
_TEXT_TYPES: Final = frozenset(("application/json", "application/javascript", "application/xml", "application/graphql"))
_TEXT_ENDINGS: Final = ("+json", "+xml")
# The connection's and AWS's own, which a function's headers cannot set.
_NOT_THE_FUNCTIONS: Final = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-amzn-requestid",
    )
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_DEFAULT_TYPE: Final = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """An HTTP request to a function URL.

    Attributes:
        raw_path: as it was sent, percent-encoded.
        headers: by lower-case name; repeated ones are joined by commas.
        authorizer: ``requestContext.authorizer`` of a signed call.
    """

    url_id: str
    domain_name: str
    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    source_ip: str
    port: int
    trace_header: str
    account: str = "anonymous"
    authorizer: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class UnreadableResultError(Exception):
    """The function's result is no HTTP response: AWS answers 502."""


def http_event(call: HttpCall, *, request_id: str, now: float) -> dict[str, Any]:
    """The event.

    Args:
        now: seconds since the epoch.
    """
    headers = {name: value for name, value in call.headers.items() if name != "cookie"}
    headers |= {
        "x-amzn-trace-id": call.trace_header,
        "x-forwarded-for": call.source_ip,
        "x-forwarded-port": str(call.port),
        "x-forwarded-proto": "http",
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.raw_path,
        "rawQueryString": call.raw_query,
    }
    cookie = call.headers.get("cookie")
    if cookie:
        event["cookies"] = [one.strip() for one in cookie.split(";") if one.strip()]
    event["headers"] = headers
    parameters = _parameters(call.raw_query)
    if parameters:
        event["queryStringParameters"] = parameters
    event["requestContext"] = _context(call, request_id, now)
    if call.body:
        event["body"], event["isBase64Encoded"] = _body(call.body, call.headers.get("content-type", ""))
    else:
        event["isBase64Encoded"] = False
    return event


def http_answer(result: bytes) -> HttpAnswer:
    """The response that a function's result means: the members of format 2.0 if it has a ``statusCode``, otherwise
    200 with the result itself as JSON.

    Raises:
        UnreadableResultError: members of the wrong types, or a body that is not the base64 it is said to be.
    """
    prelude, delimiter, streamed = result.partition(DELIMITER)
    try:
        document = json.loads(prelude)
    except (ValueError, RecursionError):
        raise UnreadableResultError("no JSON") from None
    if delimiter and isinstance(document, dict):
        # A runtime that streams, behind a URL that does not.
        status, headers = http_head(document)
        return HttpAnswer(status=status, headers=headers, body=streamed)
    if not isinstance(document, dict) or "statusCode" not in document:
        return HttpAnswer(status=200, headers=(_DEFAULT_TYPE,), body=result)
    status, headers = http_head(document)
    return HttpAnswer(status=status, headers=headers, body=_answer_body(document))


def http_head(document: Mapping[str, Any]) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Status and headers out of ``statusCode``, ``headers`` and ``cookies``: of a whole result, or of the prelude of a
    streamed one.

    Raises:
        UnreadableResultError: members of the wrong types.
    """
    given = document.get("headers") or {}
    cookies = document.get("cookies") or []
    if not isinstance(given, dict) or not isinstance(cookies, list):
        raise UnreadableResultError("headers or cookies")
    headers = [(_header_name(name), _header_value(value)) for name, value in given.items() if value is not None]
    kept = [(name, value) for name, value in headers if name.lower() not in _NOT_THE_FUNCTIONS]
    if not any(name.lower() == "content-type" for name, _ in kept):
        kept.append(_DEFAULT_TYPE)
    kept += [("Set-Cookie", _header_value(cookie)) for cookie in cookies]
    return _status(document.get("statusCode", 200)), tuple(kept)


def _context(call: HttpCall, request_id: str, now: float) -> dict[str, Any]:
    context: dict[str, Any] = {"accountId": call.account, "apiId": call.url_id}
    if call.authorizer is not None:
        context["authorizer"] = call.authorizer
    return {
        **context,
        "domainName": call.domain_name,
        "domainPrefix": call.url_id,
        "http": {
            "method": call.method,
            "path": call.raw_path,
            "protocol": "HTTP/1.1",
            "sourceIp": call.source_ip,
            "userAgent": call.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{datetime.fromtimestamp(now, UTC):%d/%b/%Y:%H:%M:%S +0000}",
        "timeEpoch": int(now * 1000),
    }


def _parameters(raw_query: str) -> dict[str, str]:
    """Values of one name are joined by commas."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(raw_query, keep_blank_values=True, max_num_fields=None):
        found.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in found.items()}


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(_TEXT_ENDINGS):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), True


def _answer_body(document: Mapping[str, Any]) -> bytes:
    body = document.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise UnreadableResultError("body")
    if str(document.get("isBase64Encoded")).lower() != "true":
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableResultError("body") from None


def _status(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[2-5][0-9]{2}", text):
        raise UnreadableResultError("statusCode")
    return int(text)


def _header_name(name: str) -> str:
    """What is no token could be read as another header, or as the end of all of them."""
    if not _TOKEN.fullmatch(name):
        raise UnreadableResultError("headers")
    return name


def _header_value(value: object) -> str:
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise UnreadableResultError("headers")
    text = str(value)
    if not _VALUE.fullmatch(text):
        raise UnreadableResultError("headers")
    return text
