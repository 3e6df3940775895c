"""``Invoke``, the hot operation of the Lambda API: one function from Request to Reply or Deferred.

Never blocks. Thread-safe. What is cheap to check is checked here; whatever looks unusual goes through the service
model's own validation, so that the messages have one source.
"""

import base64
import binascii
import json
import os
from collections.abc import Callable
from functools import lru_cache, partial
from urllib.parse import parse_qs, unquote
from uuid import uuid4

from rie_server.api.exchange import JSON, Deferred, HotRoute, Reply, Request
from rie_server.api.lambda_api.rendering import error_reply, request_scope
from rie_server.config import Settings
from rie_server.errors import (
    InvalidRequestContentException,
    LambdaError,
    RequestTooLargeException,
    ServiceException,
)
from rie_server.limits import ASYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.invocation import InvocationType, InvokeRequest, InvokeResult
from rie_server.model.json_payload import check_json
from rie_server.model.tracing import new_trace_header
from rie_server.ports import Clock, EventQueue, FunctionCatalog, Invoker

PREFIX = "/2015-03-31/functions/"
SUFFIX = "/invocations"

_USUAL_TYPES = frozenset((None, "", InvocationType.REQUEST_RESPONSE))
_CONTENT = (("Content-Type", JSON), ("x-amzn-Remapped-Content-Length", "0"))

_function_arn = lru_cache(maxsize=4096)(parse_function_reference)


class InvokeOperation:
    """
    Args:
        validate: the service model's check of an Invoke request; raises LambdaError.
    """

    def __init__(
        self,
        *,
        invoker: Invoker,
        catalog: FunctionCatalog,
        events: EventQueue,
        settings: Settings,
        clock: Clock,
        validate: Callable[[Request], None],
    ) -> None:
        self._clock = clock
        self._invoker = invoker
        self._catalog = catalog
        self._events = events
        self._settings = settings
        self._validate = validate
        self.route = HotRoute(listener="lambda", method="POST", prefix=PREFIX, suffix=SUFFIX, operation=self)

    def __call__(self, request: Request) -> Reply | Deferred:
        request_id = str(uuid4())
        try:
            return self._answer(request, request_id)
        except LambdaError as error:
            return error_reply(error, request_id)

    def _answer(self, request: Request, request_id: str) -> Reply | Deferred:
        headers = request.headers
        invocation_type = headers.get("x-amz-invocation-type")
        log_type = headers.get("x-amz-log-type")
        client_context = headers.get("x-amz-client-context")
        if invocation_type not in _USUAL_TYPES or log_type or client_context or request.query:
            self._validate(request)
        function = self._function(request)
        if invocation_type in _USUAL_TYPES:
            trace_header = headers.get("x-amzn-trace-id") or self._new_trace()
            invoke_request = InvokeRequest(
                function=function,
                payload=_payload(request.body, SYNC_PAYLOAD_BYTES, InvocationType.REQUEST_RESPONSE),
                request_id=request_id,
                want_log_tail=log_type == "Tail",
                client_context=_client_context(client_context) if client_context else None,
                trace_header=trace_header,
                tenant_id=headers.get("x-amz-tenant-id"),
            )
            deferred = Deferred(request.connection)
            self._invoker.invoke(invoke_request, partial(_deliver, deferred, invoke_request))
            return deferred
        self._catalog.resolve(function)
        if invocation_type == InvocationType.DRY_RUN:
            return Reply(204, (("x-amzn-RequestId", request_id),))
        return self._queue(request, function, request_id)

    def _function(self, request: Request) -> FunctionArn:
        region, account = request_scope(request, self._settings)
        reference = request.path[len(PREFIX) : -len(SUFFIX)]
        qualifier = parse_qs(request.query).get("Qualifier", [None])[0] if request.query else None
        try:
            return _function_arn(unquote(reference), qualifier=qualifier, region=region, account=account)
        except LambdaError:
            self._validate(request)
            raise

    def _new_trace(self) -> str:
        return new_trace_header(self._clock.now(), os.urandom(20))

    def _queue(self, request: Request, function: FunctionArn, request_id: str) -> Deferred:
        """An asynchronous event: 202 once it is durable."""
        event = InvokeRequest(
            function=function,
            payload=_payload(request.body, ASYNC_PAYLOAD_BYTES, InvocationType.EVENT),
            request_id=request_id,
            trace_header=request.headers.get("x-amzn-trace-id") or self._new_trace(),
            tenant_id=request.headers.get("x-amz-tenant-id"),
        )
        deferred = Deferred(request.connection)

        def durable(trouble: Exception | None) -> None:
            if trouble is None:
                deferred.complete(Reply(202, (*_CONTENT, ("x-amzn-RequestId", request_id))))
            else:
                failure = ServiceException("The event could not be stored.")
                deferred.complete(error_reply(failure, request_id))

        self._events.submit(event, durable)
        return deferred


def _payload(body: bytes, limit_bytes: int, invocation_type: InvocationType) -> bytes:
    """The event; an empty body is an empty object."""
    if not body:
        return b"{}"
    if len(body) > limit_bytes:
        raise RequestTooLargeException(
            f"{len(body)} byte payload is too large for the {invocation_type} invocation type "
            f"(limit {limit_bytes} bytes)"
        )
    check_json(body)
    return body


def _client_context(header: str) -> str:
    try:
        text = base64.b64decode(header, validate=True).decode()
        context = json.loads(text)
    except (binascii.Error, ValueError):
        context = None
    if not isinstance(context, dict):
        raise InvalidRequestContentException("Client context must be a valid Base64-encoded JSON object.")
    # A header carries one line: JSON that was pretty-printed is written anew.
    return text if text.isascii() and text.isprintable() else json.dumps(context, separators=(",", ":"))


def _deliver(deferred: Deferred, request: InvokeRequest, result: InvokeResult) -> None:
    if result.refusal is not None:
        deferred.complete(error_reply(result.refusal, request.request_id))
        return
    headers = [
        *_CONTENT,
        ("x-amzn-RequestId", request.request_id),
        ("X-Amzn-Trace-Id", request.trace_header),
        ("X-Amz-Executed-Version", result.executed_version),
    ]
    if result.function_error is not None:
        headers.append(("X-Amz-Function-Error", result.function_error))
    if result.log_tail is not None:
        headers.append(("X-Amz-Log-Result", base64.b64encode(result.log_tail).decode()))
    deferred.complete(Reply(200, tuple(headers), result.payload))
