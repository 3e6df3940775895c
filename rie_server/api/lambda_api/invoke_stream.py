"""``InvokeWithResponseStream``: a function's response as a stream of events, while its handler still writes it.

Never blocks. Thread-safe. A buffered function answers with one stream, too. AWS ignores an invocation type that the
service model does not have here, and runs the function.
"""

from collections.abc import Callable

from rie_server.api.body_stream import BodyStream
from rie_server.api.exchange import Deferred, Reply, Request, StreamedReply
from rie_server.api.lambda_api.invoke_entry import InvokeEntry
from rie_server.api.lambda_api.invoke_input import called_function, decoded_client_context, event_payload, trace_header
from rie_server.api.lambda_api.rendering import error_reply
from rie_server.config import Settings
from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_stream import CONTENT_TYPE, invoke_complete, payload_chunks
from rie_server.model.invocation import InvocationType, InvokeRequest, InvokeResult
from rie_server.ports import Clock, FunctionCatalog
from rie_server.streaming import Hold, StreamingInvoker

PREFIX = "/2021-11-15/functions/"
SUFFIX = "/response-streaming-invocations"

_TYPE_HEADER = "x-amz-invocation-type"
# What a runtime that does not stream has answered with.
_BUFFERED_CONTENT = "application/json"


class InvokeStreamOperation(InvokeEntry):
    prefix, suffix = PREFIX, SUFFIX

    def __init__(
        self,
        *,
        invoker: StreamingInvoker,
        catalog: FunctionCatalog,
        settings: Settings,
        clock: Clock,
        validate: Callable[[Request], None],
    ) -> None:
        super().__init__(catalog=catalog, settings=settings, clock=clock, validate=validate)
        self._invoker = invoker

    def _answer(self, request: Request, request_id: str) -> Reply | Deferred:
        headers = request.headers
        known = _without_type(request)
        self._validate(known)
        function = called_function(request, request.path[len(PREFIX) : -len(SUFFIX)], self._settings, self._validate)
        if headers.get(_TYPE_HEADER) == InvocationType.DRY_RUN:
            self._catalog.resolve(function)
            return Reply(204, (("x-amzn-RequestId", request_id),))
        context = headers.get("x-amz-client-context")
        invoke_request = InvokeRequest(
            function=function,
            payload=event_payload(request.body, SYNC_PAYLOAD_BYTES, InvocationType.REQUEST_RESPONSE),
            request_id=request_id,
            want_log_tail=headers.get("x-amz-log-type") == "Tail",
            client_context=decoded_client_context(context) if context else None,
            trace_header=trace_header(request, self._clock),
            tenant_id=headers.get("x-amz-tenant-id"),
        )
        answer = EventStreamAnswer(Deferred(request.connection), invoke_request)
        self._invoker.invoke(invoke_request, answer.complete, answer)
        return answer.deferred


class EventStreamAnswer:
    """One invocation's way back to its caller (fills ``ResponseSink``)."""

    __slots__ = ("_body", "_hold", "_request", "deferred")

    def __init__(self, deferred: Deferred, request: InvokeRequest) -> None:
        self.deferred = deferred
        self._request = request
        self._body: BodyStream | None = None
        self._hold: Hold = _held_by_nobody

    def begin(self, *, content_type: str, executed_version: str, hold: Hold) -> None:
        self._hold = hold
        self._reply(content_type, executed_version)

    def write(self, data: bytes) -> None:
        if self._body is not None:
            self._body.write(payload_chunks(data))

    def complete(self, result: InvokeResult) -> None:
        """The invocation has ended: with what it streamed, with a buffered response, or with an error."""
        refusal, body = result.refusal, self._body
        if body is None:
            if refusal is not None:
                self.deferred.complete(error_reply(refusal, self._request.request_id))
                return
            body = self._reply(_BUFFERED_CONTENT, result.executed_version)
        if refusal is not None:
            body.finish(last=invoke_complete(error_code=refusal.code, error_details=refusal.message))
        elif result.function_error is not None:
            details = result.payload.decode("utf-8", "replace")
            last = invoke_complete(error_code=result.function_error, error_details=details, log_tail=result.log_tail)
            body.finish(last=last)
        else:
            body.finish(last=payload_chunks(result.payload) + invoke_complete(log_tail=result.log_tail))

    def _reply(self, content_type: str, executed_version: str) -> BodyStream:
        body = self._body = BodyStream(self._on_flow)
        headers = (
            ("Content-Type", CONTENT_TYPE),
            ("x-amzn-RequestId", self._request.request_id),
            ("X-Amz-Executed-Version", executed_version),
            ("X-Amzn-Trace-Id", self._request.trace_header),
            ("x-amzn-Remapped-Content-Type", content_type),
        )
        self.deferred.complete(StreamedReply(200, headers, body))
        return body

    def _on_flow(self) -> None:
        if self._body is not None:
            self._hold(self._body.is_held)


def _held_by_nobody(_held: bool) -> None:
    """A buffered response is there already."""


def _without_type(request: Request) -> Request:
    """The request without an invocation type that the service model would refuse."""
    if request.headers.get(_TYPE_HEADER) != InvocationType.EVENT:
        return request
    headers = {name: value for name, value in request.headers.items() if name != _TYPE_HEADER}
    return Request(request.method, request.path, request.query, headers, request.body, request.connection)
