"""``create_app()``: everything as one Flask app.

Under the event-loop worker it is the door for what is not hot. Under any other WSGI server (``flask run``, Werkzeug's
test client) it is the whole server on one port: it builds what it serves, and serves the sockets of execution
environments itself, each on a named thread.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.guard import Guard, cors_headers
from rie_server.api.mount import request_from_flask, response_of, view, wait
from rie_server.api.refusals import refusal, server_fault, unknown_path
from rie_server.api.routing import HotTable, is_runtime_path
from rie_server.api.serving import Server
from rie_server.config import Settings

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, server: Server | None = None) -> flask.Flask:
    """The app of ``server``; without one, a server is built from ``settings`` (or ``RIE_*`` variables), started, and
    stopped when the interpreter ends.
    """
    if server is not None:
        return _app(server)
    from rie_server.wiring import build  # noqa: PLC0415 - a caller that brings its server does without

    listeners = RuntimeListeners()
    server = build(settings or Settings.from_environ(), listeners.listen)
    app = _app(server)
    listeners.application = app.wsgi_app
    _at_exit(listeners.close)
    _at_exit(server.stop)  # called first: the listeners outlive the environments
    server.start()
    return app


def _at_exit(callback: Callable[[], None]) -> None:
    """Like ``atexit.register``, but before thread pools are shut down, which a server needs in order to stop."""
    threading._register_atexit(callback)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way


def _app(server: Server) -> flask.Flask:
    app = flask.Flask("rie_server", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = _Anything
    app.view_functions["operation"] = view(_Dispatch(server))
    # A rule without methods takes them all; more specific rules win over this one.
    app.url_map.add(Rule("/<anything:path>", endpoint="operation"))
    app.extensions["rie_server"] = server
    app.before_request(_keeper(Guard(server.settings, server.function_urls)))
    app.after_request(_add_cors)
    app.register_error_handler(Exception, _render_unexpected)
    return app


class _Anything(PathConverter):
    """The rest of the path, whatever it is: empty, or with slashes at its start."""

    regex = ".*?"
    part_isolating = False


class _Dispatch:
    """The operation for a request: the hot ones, else the API that the path or the listener belongs to."""

    def __init__(self, server: Server) -> None:
        self._hot = {listener: HotTable(server.hot_routes, listener) for listener in ("lambda", "runtime")}
        self._apis = {"lambda": server.lambda_api, "runtime": server.runtime_api}

    def __call__(self, request: Request) -> Reply | Deferred:
        listener = _listener()
        hot = self._hot[listener].find(request.method, request.path)
        if hot is None and is_runtime_path(request.path) != (listener == "runtime"):
            return unknown_path(listener, request.method, request.path)
        return (hot or self._apis[listener])(request)


def _listener() -> str:
    """The kind of listener that the current request came in on; where one port serves both, the path tells."""
    known = flask.request.environ.get("rie.listener")
    if known is not None:
        return str(known)
    return "runtime" if is_runtime_path(flask.request.path) else "lambda"


def _keeper(guard: Guard) -> Callable[[], flask.Response | None]:
    def keep() -> flask.Response | None:
        environ = flask.request.environ
        if "rie.request" in environ:
            return None  # the worker has looked already
        request = environ["rie.request"] = request_from_flask()
        if _listener() == "runtime":
            return None  # browsers do not come here
        answer = guard.answer(request)
        if answer is not None:
            return response_of(wait(answer) if isinstance(answer, Deferred) else answer)
        if "origin" in request.headers:
            environ["rie.cors_origin"] = request.headers["origin"]
        return None

    return keep


def _add_cors(response: flask.Response) -> flask.Response:
    origin = flask.request.environ.get("rie.cors_origin")
    if origin is not None:
        response.headers.extend(cors_headers(origin))
    return response


def _render_unexpected(error: Exception) -> flask.Response:
    if isinstance(error, HTTPException):
        code = error.name.replace(" ", "")
        return response_of(refusal(_listener(), error.code or 500, code, error.description or error.name))
    log.error("%s %s failed", flask.request.method, flask.request.path, exc_info=error)
    return response_of(server_fault(_listener()))


class RuntimeListeners:
    """Serves the Runtime API on sockets of execution environments where no event loop does it. Thread-safe."""

    def __init__(self) -> None:
        self.application: Callable[..., Iterable[bytes]] | None = None
        self._lock = threading.Lock()
        self._running: dict[BaseWSGIServer, threading.Thread] = {}

    def listen(self, listener: socket.socket) -> Callable[[], None]:
        """Fills ``serving.Listen``."""
        host, port = listener.getsockname()[:2]
        with listener:  # the server has a duplicate of its own
            server = make_server(
                host, port, self._serve, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
            )
        server.daemon_threads = True  # type: ignore[attr-defined]  # of the threaded kind
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=f"runtime-api-{host}", daemon=True)
        with self._lock:
            self._running[server] = thread
        thread.start()
        return lambda: self._close(server)

    def close(self) -> None:
        with self._lock:
            servers = tuple(self._running)
        for server in servers:
            self._close(server)

    def _close(self, server: BaseWSGIServer) -> None:
        with self._lock:
            thread = self._running.pop(server, None)
        if thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["rie.listener"] = "runtime"
        if self.application is None:
            raise RuntimeError("An environment calls before the app is complete")
        return self.application(environ, start_response)


class _QuietHandler(WSGIRequestHandler):
    """No line per request; and no delay, since Werkzeug writes headers and body apart."""

    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's name
        if type == "error":
            log.error(message, *args)
