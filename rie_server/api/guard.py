"""Who may call the Lambda API: the rules that keep web pages out.

Whoever reaches the Lambda API runs code, and a page in the developer's browser reaches loopback. A page that rebinds
its own name to 127.0.0.1 is told by its Host; one that calls across origins by its Origin. Clients that are not
browsers send no Origin and the address they were given as Host, and notice nothing.

Pure, but for ``Guard``'s memory of Host names it has let in; thread-safe.
"""

import ipaddress
from typing import Protocol

from rie_server.api.exchange import Deferred, Reply, Request, StreamedReply
from rie_server.api.refusals import refusal
from rie_server.config import Settings

_WILDCARDS = frozenset(("0.0.0.0", "::"))  # noqa: S104 - compared with, not bound to
_REMEMBERED_HOSTS = 256
_PREFLIGHT_SECONDS = 600
_EXPOSED = (
    "x-amzn-RequestId, x-amzn-ErrorType, X-Amzn-Trace-Id, X-Amz-Function-Error, X-Amz-Log-Result, "
    "X-Amz-Executed-Version, Retry-After"
)


def host_is_known(host: str, settings: Settings) -> bool:
    """Whether the Lambda API answers to this ``Host``, with whatever port.

    A literal address cannot be rebound, so a server that was told to listen everywhere answers to all of them.
    """
    name = _without_port(host).lower()
    if name in ("localhost", "127.0.0.1", "::1") or name.endswith(".localhost"):
        return bool(name.removesuffix(".localhost"))
    if name == settings.host.lower() or name in {_without_port(known).lower() for known in settings.allowed_hosts}:
        return bool(name)
    return settings.host in _WILDCARDS and _is_address(name)


def origin_is_allowed(origin: str, host: str, settings: Settings) -> bool:
    """Whether a page of ``origin`` may call: the server's own pages, and the origins of the CORS setting."""
    if origin in settings.cors_origins or "*" in settings.cors_origins:
        return True
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and authority.lower() == host.lower()


def cors_headers(origin: str) -> tuple[tuple[str, str], ...]:
    """What every reply to an allowed origin carries, so that the browser shows it to the page."""
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Expose-Headers", _EXPOSED),
        ("Vary", "Origin"),
    )


class Urls(Protocol):
    """The front of function URLs: they are open to web pages, by rules of their own."""

    def owns(self, request: Request, host: str) -> bool:
        """Whether ``request`` is to a function URL."""

    def __call__(self, request: Request) -> Reply | Deferred: ...


class Guard:
    """Looks at every request to the Lambda API, at both doors; what is for a function URL it hands over."""

    __slots__ = ("_known", "_settings", "_urls")

    def __init__(self, settings: Settings, urls: Urls | None = None) -> None:
        self._settings = settings
        self._urls = urls
        self._known: set[str] = set()

    def answer(self, request: Request) -> Reply | Deferred | None:
        """None lets the request pass; a reply answers it in the operation's stead (also a CORS preflight)."""
        host = request.headers.get("host")
        if host is not None and host not in self._known:
            if self._urls is not None and self._urls.owns(request, host):
                return self._urls(request)
            if not host_is_known(host, self._settings):
                return refusal("lambda", 403, "AccessDeniedException", _unknown_host(host))
            if len(self._known) < _REMEMBERED_HOSTS:
                self._known.add(host)
        origin = request.headers.get("origin")
        if origin is None:
            return None
        if self._urls is not None and self._urls.owns(request, host or ""):
            return self._urls(request)
        if not origin_is_allowed(origin, host or "", self._settings):
            return refusal("lambda", 403, "AccessDeniedException", f"Origin {origin} is not in RIE_CORS_ORIGINS.")
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return _preflight(request, origin)
        return None

    @staticmethod
    def finish(request: Request, reply: Reply) -> Reply:
        """The reply as the browser needs it; ``request`` has passed ``refuse``."""
        origin = request.headers.get("origin")
        if origin is None:
            return reply
        headers = (*reply.headers, *cors_headers(origin))
        if isinstance(reply, StreamedReply):
            return StreamedReply(reply.status, headers, reply.stream)
        return Reply(reply.status, headers, reply.body)


def _preflight(request: Request, origin: str) -> Reply:
    headers = [
        *cors_headers(origin),
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS"),
        ("Access-Control-Allow-Headers", request.headers.get("access-control-request-headers", "*")),
        ("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS)),
    ]
    if "access-control-request-private-network" in request.headers:
        headers.append(("Access-Control-Allow-Private-Network", "true"))
    return Reply(204, tuple(headers))


def _unknown_host(host: str) -> str:
    return f"Host {host} is not known to this server; RIE_ALLOWED_HOSTS names further ones."


def _without_port(host: str) -> str:
    """The name or address in a Host header; brackets of an IPv6 address go with the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
