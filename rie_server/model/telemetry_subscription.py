"""What an extension asks of the Telemetry API (2022-07-01) or its predecessor, the Logs API (2020-08-15).

Pure. Two kinds of mistakes, as in AWS: a document that is none of these (``DeserializationError``), and values that are
not allowed (``ValidationError``, all of them in one message). A destination is always the environment itself: its host
is a name, ``sandbox.localdomain``, that means nothing outside.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from rie_server.errors import RuntimeApiError


class Subscribable(StrEnum):
    """The two APIs; the value is the first word of their errors."""

    TELEMETRY = "Telemetry"
    LOGS = "Logs"


STREAMS: Final = ("platform", "function", "extension")
SCHEMAS: Final[Mapping[Subscribable, tuple[str, ...]]] = {
    Subscribable.TELEMETRY: ("2022-07-01", "2022-12-13", "2025-01-29"),
    Subscribable.LOGS: ("2020-08-15", "2021-03-18"),
}
HOSTS: Final = ("sandbox.localdomain", "sandbox")
# Where the Runtime API is in AWS.
RESERVED_PORT: Final = 9001

# Least, most, default.
_BUFFERING: Final[Mapping[str, tuple[int, int, int]]] = {
    "maxItems": (1_000, 10_000, 10_000),
    "maxBytes": (262_144, 1_048_576, 262_144),
    "timeoutMs": (25, 30_000, 1_000),
}
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerAddress:
    """Where in its environment a subscriber listens.

    Attributes:
        protocol: ``HTTP`` or ``TCP``.
        target: path and query of HTTP requests.
        host: as it was written; for the ``Host`` header alone.
    """

    protocol: str
    port: int
    method: str = "POST"
    target: str = "/"
    host: str = HOSTS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A request that has passed the checks.

    Attributes:
        types: of ``STREAMS``, in the order of the request.
        max_items, max_bytes, timeout_ms: a batch is sent as soon as one of them is reached.
    """

    api: Subscribable
    schema_version: str
    types: tuple[str, ...]
    max_items: int
    max_bytes: int
    timeout_ms: int
    listener: ListenerAddress


def read_subscription(api: Subscribable, body: bytes) -> Subscription:
    """
    Raises:
        RuntimeApiError: 400 ``API.DeserializationError``, 400 ``API.ValidationError``, 403 ``API.AccessDenied``.
    """
    document = _document(api, body)
    wrong: list[str] = []
    schema_version = _schema_version(api, document, wrong)
    types = _types(api, document, wrong)
    buffering = _buffering(api, document, wrong)
    listener = _listener(api, document, wrong)
    if wrong:
        raise _invalid(api, "; ".join(wrong))
    assert listener is not None
    return Subscription(
        api=api,
        schema_version=schema_version,
        types=types,
        max_items=buffering["maxItems"],
        max_bytes=buffering["maxBytes"],
        timeout_ms=buffering["timeoutMs"],
        listener=listener,
    )


def subscription_closed(api: Subscribable) -> RuntimeApiError:
    """Initialization is over: nobody may subscribe any more."""
    return RuntimeApiError(403, f"{api}.SubscriptionClosed", f"{api} API subscription is closed")


def other_api_in_use(api: Subscribable, name: str, other: Subscribable) -> RuntimeApiError:
    """An extension uses one of the two APIs, never both."""
    return RuntimeApiError(
        400,
        f"{api}.AccessDenied",
        f"The extension {name} is already subscribed to the {other}API. "
        "You must either subscribe to the LogsAPI or the TelemetryAPI",
    )


def _document(api: Subscribable, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as wrong:
        raise _unreadable(api, f"the body is not JSON: {wrong}") from wrong
    if not isinstance(document, dict):
        raise _unreadable(api, "expected an object")
    for name in ("destination", "types"):
        if document.get(name) is None:
            raise _unreadable(api, f"missing field `{name}`")
    return document


def _schema_version(api: Subscribable, document: dict[str, Any], wrong: list[str]) -> str:
    given = document.get("schemaVersion")
    if given is None:
        if api is Subscribable.LOGS:
            return SCHEMAS[api][0]
        wrong.append("schemaVersion is not provided")
        return ""
    every = tuple(version for versions in SCHEMAS.values() for version in versions)
    if given not in every:
        raise _unknown_variant(api, given, every)
    if given not in SCHEMAS[api]:
        wrong.append(f"{api} API only supports the following schemaVersion: {', '.join(SCHEMAS[api])}")
    return str(given)


def _types(api: Subscribable, document: dict[str, Any], wrong: list[str]) -> tuple[str, ...]:
    given = document["types"]
    if not isinstance(given, list):
        raise _unreadable(api, "invalid type for `types`, expected a sequence")
    for name in given:
        # Single kinds of platform events have names that AWS knows, and does not take here.
        if isinstance(name, str) and name.startswith("platform."):
            wrong.append("Unrecognized enum variant")
            return ()
        if name not in STREAMS:
            raise _unknown_variant(api, name, STREAMS)
    if not given:
        wrong.append("types should not be empty")
    elif len(set(given)) != len(given):
        wrong.append("types should be unique")
    return tuple(given)


def _buffering(api: Subscribable, document: dict[str, Any], wrong: list[str]) -> dict[str, int]:
    given = document.get("buffering")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise _unreadable(api, "invalid type for `buffering`, expected an object")
    values = {}
    for name, (least, most, default) in _BUFFERING.items():
        value = given.get(name)
        if value is None:
            value = default
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _unreadable(api, f"invalid value for `{name}`, expected an unsigned integer")
        if not least <= value <= most:
            wrong.append(f"{name} should be between {least} and {most}")
        values[name] = value
    return values


def _listener(api: Subscribable, document: dict[str, Any], wrong: list[str]) -> ListenerAddress | None:
    given = document["destination"]
    if not isinstance(given, dict):
        raise _unreadable(api, "invalid type for `destination`, expected an object")
    protocol = given.get("protocol")
    if protocol is None:
        raise _unreadable(api, "missing field `protocol`")
    if protocol not in ("HTTP", "TCP"):
        raise _unknown_variant(api, protocol, ("HTTP", "TCP"))
    if given.get("encoding") not in (None, "JSON"):
        raise _unknown_variant(api, given["encoding"], ("JSON",))
    method = given.get("method") or "POST"
    if method not in ("POST", "PUT"):
        raise _unknown_variant(api, method, ("POST", "PUT"))
    if protocol == "HTTP":
        return _http_listener(api, given, method, wrong)
    port = given.get("port")
    if port is None:
        raise _unreadable(api, "missing field `port`")
    if isinstance(port, bool) or not isinstance(port, int):
        raise _unreadable(api, "invalid type for `port`, expected an integer")
    _check_port(port, wrong)
    return ListenerAddress(protocol="TCP", port=port)


def _http_listener(api: Subscribable, given: dict[str, Any], method: str, wrong: list[str]) -> ListenerAddress | None:
    uri = given.get("URI")
    if uri is None:
        raise _unreadable(api, "missing field `URI`")
    if not isinstance(uri, str):
        raise _unreadable(api, "invalid type for `URI`, expected a string")
    parts = _uri(uri)
    if parts is None or parts.username is not None or parts.fragment:
        wrong.append("URI is not valid")
        return None
    if parts.scheme != "http":
        raise RuntimeApiError(403, f"{api}.AccessDenied", "Only 'http' scheme is supported.")
    if parts.hostname not in HOSTS:
        raise RuntimeApiError(403, f"{api}.AccessDenied", f"Only '{HOSTS[0]}' hostname is supported.")
    if parts.port is None:
        wrong.append("URI port is not provided")
        return None
    _check_port(parts.port, wrong)
    target = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
    return ListenerAddress(protocol="HTTP", port=parts.port, method=method, target=target, host=parts.hostname)


def _uri(text: str) -> SplitResult | None:
    """None where it would break a request line, or is none at all."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # parsed when it is asked for
    except ValueError:
        return None
    return None if parts.path.startswith("//") else parts


def _check_port(port: int, wrong: list[str]) -> None:
    if not 1 <= port <= _HIGHEST_PORT:
        wrong.append(f"port should be between 1 and {_HIGHEST_PORT}")
    elif port == RESERVED_PORT:
        wrong.append(f"port {RESERVED_PORT} is reserved")


def _unknown_variant(api: Subscribable, given: Any, known: tuple[str, ...]) -> RuntimeApiError:
    names = [f"`{name}`" for name in known]
    expected = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return _unreadable(api, f"unknown variant `{given}`, expected {expected}")


def _unreadable(api: Subscribable, message: str) -> RuntimeApiError:
    return RuntimeApiError(400, f"{api}.DeserializationError", message)


def _invalid(api: Subscribable, message: str) -> RuntimeApiError:
    return RuntimeApiError(400, f"{api}.ValidationError", message)
