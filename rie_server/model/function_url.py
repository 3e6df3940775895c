"""Function URLs: the HTTP addresses of functions and aliases, as the control plane keeps them.

Pure: from the members of CreateFunctionUrlConfig and UpdateFunctionUrlConfig to what is kept, and to addresses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

PATH_FORM: Final = "/_rie/urls/"
# Whoever gives a wildcard as the address calls from here.
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "")  # noqa: S104 - compared with
_HOST: Final = re.compile(r"([a-z0-9]{32})\.lambda-url\.([a-z0-9-]+)\.localhost\.?(?::\d+)?", re.IGNORECASE)


class AuthType(StrEnum):
    NONE = "NONE"
    AWS_IAM = "AWS_IAM"


class InvokeMode(StrEnum):
    BUFFERED = "BUFFERED"
    RESPONSE_STREAM = "RESPONSE_STREAM"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """
    Attributes:
        url_id: the first label of its host name; never given twice.
        cors: the members of ``Cors`` as they were given, or None.
        created, last_modified: ``2026-01-01T00:00:00.000000Z``.
    """

    url_id: str
    auth_type: AuthType
    invoke_mode: InvokeMode
    cors: Mapping[str, Any] | None
    created: str
    last_modified: str


def new_url(members: Mapping[str, Any], *, url_id: str, now: str) -> FunctionUrl:
    """What CreateFunctionUrlConfig makes of its members."""
    return FunctionUrl(
        url_id=url_id,
        auth_type=AuthType(members["AuthType"]),
        invoke_mode=InvokeMode(members.get("InvokeMode", InvokeMode.BUFFERED)),
        cors=members.get("Cors"),
        created=now,
        last_modified=now,
    )


def changed_url(url: FunctionUrl, members: Mapping[str, Any], *, now: str) -> FunctionUrl:
    """What UpdateFunctionUrlConfig leaves; what ``members`` does not mention stays."""
    return replace(
        url,
        auth_type=AuthType(members.get("AuthType", url.auth_type)),
        invoke_mode=InvokeMode(members.get("InvokeMode", url.invoke_mode)),
        # An empty Cors takes the rules away.
        cors=(members["Cors"] or None) if "Cors" in members else url.cors,
        last_modified=now,
    )


def domain_name(url_id: str, region: str) -> str:
    """The host name by which browsers and curl find loopback without any set-up (RFC 6761)."""
    return f"{url_id}.lambda-url.{region}.localhost"


def url_id_of_host(host: str) -> str | None:
    """The URL that a Host header means, or None."""
    match = _HOST.fullmatch(host)
    return None if match is None else match[1].lower()


def address(url_id: str, region: str, base_url: str) -> str:
    """``FunctionUrl`` for a client that reaches this server by ``base_url`` (``http://host:port``).

    A name under ``localhost`` means the client's own machine, so clients elsewhere get the form with a path.
    """
    scheme, _, authority = base_url.partition("://")
    has_port = ":" in authority and not authority.endswith("]")
    name, colon, port = authority.rpartition(":") if has_port else (authority, "", "")
    host = name.strip("[]").lower()
    if host in _THIS_MACHINE or host.endswith(".localhost"):
        return f"{scheme}://{domain_name(url_id, region)}{colon}{port}/"
    return f"{base_url}{PATH_FORM}{url_id}/"
