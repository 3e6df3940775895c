"""Calls a WSGI application with a request that is already here, whole, and returns its reply.

Thread-safe as far as the application is. A view that leaves a Deferred in ``rie.deferred`` has it handed through.
"""

import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.mount import DeferredSlot

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# The reply's own; these belong to the connection.
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding"))


class WsgiOperation:
    """An application as one operation of the ``listener`` it stands behind."""

    __slots__ = ("_application", "_listener")

    def __init__(self, application: Application, listener: str) -> None:
        self._application = application
        self._listener = listener

    def __call__(self, request: Request) -> Reply | Deferred:
        slot = DeferredSlot()
        environ = environ_of(request)
        environ["rie.listener"] = self._listener
        environ["rie.deferred"] = slot
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[..., None]:
            del exc_info
            started[:] = [(status, headers)]
            return _no_write

        result = self._application(environ, start_response)
        try:
            body = b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        if slot.deferred is not None:
            return slot.deferred
        status, headers = started[0]
        is_head = request.method == "HEAD"
        kept = tuple((name, value) for name, value in headers if _is_kept(name.lower(), is_head))
        return Reply(int(status.partition(" ")[0]), kept, body)


def environ_of(request: Request) -> dict[str, Any]:
    """The WSGI environ (PEP 3333), and the request itself."""
    host, port = request.connection.local_address
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.connection.peer_address,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "rie.request": request,
        "rie.connection": request.connection,
    }
    for name, value in request.headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name not in ("content-length", "transfer-encoding") and "_" not in name:  # a_b would pass for a-b
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ


def _is_kept(name: str, is_head: bool) -> bool:
    """Content-Length is counted anew, but a reply to HEAD has no body to count."""
    return name not in _HOP_BY_HOP and (is_head or name != "content-length")


def _no_write(_data: bytes) -> None:
    raise NotImplementedError("write() of WSGI is not offered")
