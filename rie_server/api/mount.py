"""Operations as Flask views: the door for everything that is not hot, and for any ordinary WSGI server.

The event-loop worker puts three things into the WSGI environ: ``rie.request``, the exchange it has already read;
``rie.connection``, the real connection; and ``rie.deferred``, a slot in which a view leaves a reply that comes later.
Elsewhere the exchange is built from the environ and a deferred reply blocks the server's thread.

Thread-safe.
"""

import select
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import flask

from rie_server.api.blocking_body import BlockingBody, BlockingRequestBody
from rie_server.api.exchange import (
    STREAMING_HEADER,
    STREAMING_SUFFIX,
    Connection,
    Deferred,
    Reply,
    Request,
    StreamedReply,
    StreamedRequest,
)
from rie_server.api.serving import Operation

# How often a blocked view looks whether its client is still there.
_LOOK_SECONDS = 5.0
_CLIENT_GONE = Reply(499)


class DeferredSlot:
    """Where a view leaves its Deferred for a server that does not wait in the view."""

    __slots__ = ("deferred",)

    def __init__(self) -> None:
        self.deferred: Deferred | None = None


class WsgiConnection:
    """The connection behind a WSGI request, as far as the environ tells."""

    __slots__ = ("_socket", "local_address", "peer_address")

    def __init__(self, environ: dict[str, Any]) -> None:
        port = str(environ.get("SERVER_PORT", ""))
        self.local_address = (str(environ.get("SERVER_NAME", "")), int(port) if port.isdigit() else 0)
        self.peer_address = str(environ.get("REMOTE_ADDR", ""))
        self._socket = environ.get("werkzeug.socket") or environ.get("gunicorn.socket")

    def is_alive(self) -> bool:
        if self._socket is None:
            return True
        try:
            descriptor = self._socket.fileno()
            if descriptor < 0:
                return False
            poll = select.poll()
            poll.register(descriptor, select.POLLRDHUP)
            return not poll.poll(0)
        except OSError:
            return False


def view(operation: Operation) -> Callable[..., flask.Response]:
    """``operation`` as a Flask view; it takes whatever the rule captures and ignores it."""

    def handle(**_captured: str) -> flask.Response:
        environ = flask.request.environ
        request = environ.get("rie.request") or request_from_flask()
        answer = operation(request)
        arriving: BlockingRequestBody | None = environ.get("rie.body")
        if arriving is not None:
            if isinstance(answer, Reply):
                arriving.stream.abandon()  # nobody has attached, and nobody will
            arriving.read_all(flask.request.stream)
        if isinstance(answer, Deferred):
            slot = environ.get("rie.deferred")
            if slot is not None:
                slot.deferred = answer
                return flask.Response()
            answer = wait(answer)
        return response_of(answer)

    return handle


def request_from_flask() -> Request:
    """The current Flask request as an exchange. A body that comes in pieces is left for ``view`` to read."""
    current = flask.request
    connection: Connection = current.environ.get("rie.connection") or WsgiConnection(current.environ)
    headers = {name.lower(): value for name, value in current.headers.items()}
    if headers.get(STREAMING_HEADER) == "streaming" and current.path.endswith(STREAMING_SUFFIX):
        body = current.environ["rie.body"] = BlockingRequestBody()
        query = current.query_string.decode("latin-1")
        return StreamedRequest(current.method, current.path, query, headers, body.stream, connection)
    return Request(
        current.method,
        current.path,
        current.query_string.decode("latin-1"),
        headers,
        current.get_data(cache=False),
        connection,
        raw_path=current.environ.get("RAW_URI", quote(current.path)).partition("?")[0],
    )


def response_of(reply: Reply) -> flask.Response:
    body = BlockingBody(reply.stream) if isinstance(reply, StreamedReply) else reply.body
    response = flask.Response(body, reply.status)
    # Flask's default says text/html, which no reply of ours is unless it says so itself.
    del response.headers["Content-Type"]
    response.headers.extend(reply.headers)
    return response


def wait(deferred: Deferred) -> Reply:
    """Blocks until the reply is there, or its client is gone."""
    while (reply := deferred.wait(_LOOK_SECONDS)) is None:
        if not deferred.is_connected():
            deferred.attach(_throw_away)
            return _CLIENT_GONE
    return reply


def _throw_away(reply: Reply) -> None:
    if isinstance(reply, StreamedReply):
        reply.stream.abandon()
