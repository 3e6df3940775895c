"""``Invoke``, the hot operation of the Lambda API: one function from Request to Reply or Deferred.

Never blocks. Thread-safe. What is cheap to check is checked here; whatever looks unusual goes through the service
model's own validation, so that the messages have one source.
"""

import base64
from collections.abc import Callable
from functools import partial

from rie_server.api.exchange import JSON, Deferred, Reply, Request
from rie_server.api.lambda_api.durable_entry import check_named, start_execution
from rie_server.api.lambda_api.event_entry import queue_event
from rie_server.api.lambda_api.invoke_entry import InvokeEntry
from rie_server.api.lambda_api.invoke_input import (
    called_function,
    decoded_client_context,
    event_payload,
    trace_header,
)
from rie_server.api.lambda_api.rendering import error_reply
from rie_server.config import Settings
from rie_server.durable.starting import DurableStarts
from rie_server.limits import ASYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES
from rie_server.model.durable_life import check_startable
from rie_server.model.invocation import InvocationType, InvokeRequest, InvokeResult
from rie_server.model.tenancy import check_tenant
from rie_server.ports import Clock, EventQueue, FunctionCatalog, Invoker

PREFIX = "/2015-03-31/functions/"
SUFFIX = "/invocations"

_USUAL_TYPES = frozenset((None, "", InvocationType.REQUEST_RESPONSE))
_VALID_TYPES = _USUAL_TYPES | frozenset(InvocationType)
_CONTENT = (("Content-Type", JSON), ("x-amzn-Remapped-Content-Length", "0"))


class InvokeOperation(InvokeEntry):
    """
    Args:
        starts: where events for durable functions go.
    """

    prefix, suffix = PREFIX, SUFFIX

    def __init__(
        self,
        *,
        invoker: Invoker,
        catalog: FunctionCatalog,
        events: EventQueue,
        settings: Settings,
        clock: Clock,
        validate: Callable[[Request], None],
        starts: DurableStarts | None = None,
    ) -> None:
        super().__init__(catalog=catalog, settings=settings, clock=clock, validate=validate)
        self._invoker = invoker
        self._events = events
        self._starts = starts

    def _answer(self, request: Request, request_id: str) -> Reply | Deferred:
        headers = request.headers
        invocation_type = headers.get("x-amz-invocation-type")
        log_type = headers.get("x-amz-log-type")
        client_context = headers.get("x-amz-client-context")
        tenant_id = headers.get("x-amz-tenant-id")
        execution_name = headers.get("x-amz-durable-execution-name")
        unusual = log_type or client_context or tenant_id is not None or execution_name is not None or request.query
        if unusual or invocation_type not in _VALID_TYPES:
            self._validate(request)
        function = called_function(request, request.path[len(PREFIX) : -len(SUFFIX)], self._settings, self._validate)
        if execution_name is not None:
            check_named(self._catalog.resolve(function))
        if invocation_type in _USUAL_TYPES:
            invoke_request = InvokeRequest(
                function=function,
                payload=event_payload(request.body, SYNC_PAYLOAD_BYTES, InvocationType.REQUEST_RESPONSE),
                request_id=request_id,
                want_log_tail=log_type == "Tail",
                client_context=decoded_client_context(client_context) if client_context else None,
                trace_header=trace_header(request, self._clock),
                tenant_id=tenant_id,
                durable_execution_name=execution_name,
            )
            deferred = Deferred(request.connection)
            self._invoker.invoke(invoke_request, partial(_deliver, deferred, invoke_request))
            return deferred
        version = self._catalog.resolve(function)
        check_tenant(version, tenant_id)
        if version.durable is not None:
            check_startable(version.durable, qualifier=function.qualifier, waits=False)
        if invocation_type == InvocationType.DRY_RUN:
            return Reply(204, (("x-amzn-RequestId", request_id),))
        if version.durable is not None and self._starts is not None:
            return start_execution(self._starts, self._clock, request, (function, version), request_id)
        accepted = Reply(202, (*_CONTENT, ("x-amzn-RequestId", request_id)))
        payload = event_payload(request.body, ASYNC_PAYLOAD_BYTES, InvocationType.EVENT)
        return queue_event(self._events, self._clock, request, function, payload=payload, accepted=accepted)


def _deliver(deferred: Deferred, request: InvokeRequest, result: InvokeResult) -> None:
    if result.refusal is not None:
        deferred.complete(error_reply(result.refusal, request.request_id))
        return
    headers = [
        *_CONTENT,
        ("x-amzn-RequestId", request.request_id),
        ("X-Amzn-Trace-Id", result.trace_header or request.trace_header),
        ("X-Amz-Executed-Version", result.executed_version),
    ]
    if result.function_error is not None:
        headers.append(("X-Amz-Function-Error", result.function_error))
    if result.durable_execution_arn is not None:
        headers.append(("X-Amz-Durable-Execution-Arn", result.durable_execution_arn))
    if result.log_tail is not None:
        headers.append(("X-Amz-Log-Result", base64.b64encode(result.log_tail).decode()))
    deferred.complete(Reply(200, tuple(headers), result.payload))
