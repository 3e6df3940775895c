"""The operations of the Runtime API as functions from Request to Reply or Deferred: ``next``, ``response``, ``error``,
``init/error``, ``restore/next``, ``restore/error``.

Never block. Thread-safe.
"""

import json
from collections.abc import Callable

from rie_server.api.body_stream import BodyStream
from rie_server.api.exchange import JSON, Connection, ConstantReply, Deferred, HotRoute, Reply, Request, StreamedRequest
from rie_server.api.runtime_api.identity import EnvironmentIdentities
from rie_server.api.runtime_api.streamed_body import StreamedBody
from rie_server.api.runtime_api.telemetry import TelemetryApi
from rie_server.errors import RuntimeApiError
from rie_server.invoke.environments import Invocation
from rie_server.invoke.mailbox import Mailbox
from rie_server.model.function_errors import accepted_error_type

PREFIX = "/2018-06-01/runtime/"
_INVOCATION = f"{PREFIX}invocation/"
_JSON_CONTENT = ("Content-Type", JSON)
_INVOCATION_ID = "lambda-runtime-invocation-id"
_ACCEPTED = ConstantReply(202, (_JSON_CONTENT,), b'{"status":"OK"}\n')
_STREAM_CONTENT = "application/octet-stream"
_RESTORED = ConstantReply(200, (_JSON_CONTENT,), b"")


class NextPoll:
    """A parked ``next``: turns an invocation into the reply that the runtime waits for."""

    __slots__ = ("deferred",)

    def __init__(self, connection: Connection) -> None:
        self.deferred = Deferred(connection)

    def is_connected(self) -> bool:
        return self.deferred.is_connected()

    def deliver(self, invocation: Invocation) -> None:
        request = invocation.request
        # awslambdaric crashes on a reply without Content-Type.
        headers = [
            _JSON_CONTENT,
            ("Lambda-Runtime-Aws-Request-Id", request.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_epoch_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", str(request.function)),
            ("Lambda-Runtime-Trace-Id", invocation.trace_header),
        ]
        if request.client_context:
            headers.append(("Lambda-Runtime-Client-Context", request.client_context))
        if request.cognito_identity:
            headers.append(("Lambda-Runtime-Cognito-Identity", request.cognito_identity))
        if invocation.runtime_id is not None:
            headers.append(("Lambda-Runtime-Invocation-Id", invocation.runtime_id))
        if request.tenant_id:
            headers.append(("Lambda-Runtime-Aws-Tenant-Id", request.tenant_id))
        self.deferred.complete(Reply(200, tuple(headers), request.payload))


class RuntimeApi:
    """Answers everything that comes in on a Runtime API listener."""

    def __init__(
        self, *, mailbox: Mailbox, identities: EnvironmentIdentities, telemetry: TelemetryApi | None = None
    ) -> None:
        self._mailbox = mailbox
        self._telemetry = telemetry
        self._identities = identities
        self.hot_routes = (
            HotRoute(listener="runtime", method="GET", prefix=f"{_INVOCATION}next", suffix="", operation=self.next),
            HotRoute(
                listener="runtime", method="POST", prefix=_INVOCATION, suffix="/response", operation=self.response
            ),
            HotRoute(listener="runtime", method="POST", prefix=_INVOCATION, suffix="/error", operation=self.error),
        )

    def __call__(self, request: Request) -> Reply | Deferred:
        path, method = request.path, request.method
        for route in self.hot_routes:
            if method == route.method and path.startswith(route.prefix) and path.endswith(route.suffix):
                return route.operation(request)
        if method == "POST" and path == f"{PREFIX}init/error":
            return self._failed(request, self._mailbox.init_error)
        if method == "GET" and path == f"{PREFIX}restore/next":
            return self.restore_next(request)
        if method == "POST" and path == f"{PREFIX}restore/error":
            return self._failed(request, self._mailbox.restore_error)
        if method == "GET" and path == "/2018-06-01/ping":
            return Reply(200, (("Content-Type", "text/plain"),), b"pong")
        if self._telemetry is not None and self._telemetry.answers(method, path):
            return self._telemetry(request)
        return _error(404, "ResourceNotFound", f"The Runtime API has no {method} {path}")

    def next(self, request: Request) -> Reply | Deferred:
        if request.path != f"{_INVOCATION}next":
            return _error(404, "ResourceNotFound", f"The Runtime API has no {request.method} {request.path}")
        environment_id = self._identities.environment_of(request)
        if environment_id is None:
            return _stranger()
        poll = NextPoll(request.connection)
        try:
            self._mailbox.next(environment_id, poll)
        except RuntimeApiError as error:
            return _rendered(error)
        return poll.deferred

    def response(self, request: Request) -> Reply | Deferred:
        environment_id = self._identities.environment_of(request)
        if environment_id is None:
            return _stranger()
        request_id = _request_id(request.path, "/response")
        runtime_id = request.headers.get(_INVOCATION_ID)
        try:
            mode = request.headers.get("lambda-runtime-function-response-mode")
            if mode is not None:
                if mode == "streaming":
                    return self._streamed(environment_id, request_id, request)
                self._mailbox.unreadable_response(environment_id, request_id, runtime_id=runtime_id)
            self._mailbox.response(environment_id, request_id, request.body, runtime_id=runtime_id)
        except RuntimeApiError as error:
            return _rendered(error)
        return _ACCEPTED

    def _streamed(self, environment_id: str, request_id: str, request: Request) -> Reply | Deferred:
        """A response in pieces; one piece where the server has read the whole of it."""
        content_type = request.headers.get("content-type", _STREAM_CONTENT)
        arriving = request.stream if isinstance(request, StreamedRequest) else None
        body = arriving or BodyStream()
        response = self._mailbox.begin_response(
            environment_id, request_id, content_type, body.hold, runtime_id=request.headers.get(_INVOCATION_ID)
        )
        deferred = Deferred(request.connection)
        body.attach(StreamedBody(response, deferred, accepted=_ACCEPTED, rendered=_rendered))
        if arriving is None:
            body.write(request.body)
            body.finish()
        return deferred

    def error(self, request: Request) -> Reply:
        environment_id = self._identities.environment_of(request)
        if environment_id is None:
            return _stranger()
        try:
            self._mailbox.error(
                environment_id,
                _request_id(request.path, "/error"),
                request.body,
                runtime_id=request.headers.get(_INVOCATION_ID),
            )
        except RuntimeApiError as error:
            return _rendered(error)
        return _ACCEPTED

    def restore_next(self, request: Request) -> Reply:
        environment_id = self._identities.environment_of(request)
        if environment_id is None:
            return _stranger()
        try:
            self._mailbox.restore_next(environment_id)
        except RuntimeApiError as error:
            return _rendered(error)
        return _RESTORED

    def _failed(self, request: Request, report: Callable[[str, bytes, str], None]) -> Reply:
        """``init/error`` and ``restore/error``: a runtime that goes no further tells why."""
        environment_id = self._identities.environment_of(request)
        if environment_id is None:
            return _stranger()
        error_type = accepted_error_type(request.headers.get("lambda-runtime-function-error-type"))
        try:
            report(environment_id, request.body, error_type)
        except RuntimeApiError as error:
            return _rendered(error)
        return _ACCEPTED


def _request_id(path: str, suffix: str) -> str:
    return path[len(_INVOCATION) : -len(suffix)]


def _rendered(error: RuntimeApiError) -> Reply:
    return _error(error.status, error.error_type, error.message)


def _stranger() -> Reply:
    return _error(403, "UnknownEnvironment", "No execution environment calls from this address")


def _error(status: int, error_type: str, message: str) -> Reply:
    body = json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":"))
    return Reply(status, (_JSON_CONTENT,), body.encode())
