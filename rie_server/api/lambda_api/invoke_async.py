"""``InvokeAsync``, which AWS has deprecated and old clients still call: an event for the durable queue, 256 KB at most.

Never blocks. Thread-safe. Not hot: it is reached through the Lambda API's own door alone.
"""

from collections.abc import Callable

from rie_server.api.exchange import JSON, Deferred, Reply, Request
from rie_server.api.lambda_api.event_entry import queue_event
from rie_server.api.lambda_api.invoke_entry import InvokeEntry
from rie_server.api.lambda_api.invoke_input import called_function, event_payload
from rie_server.config import Settings
from rie_server.limits import INVOKE_ASYNC_PAYLOAD_BYTES
from rie_server.model.invocation import InvocationType
from rie_server.model.tenancy import check_tenant
from rie_server.ports import Clock, EventQueue, FunctionCatalog

PREFIX = "/2014-11-13/functions/"
SUFFIX = "/invoke-async"


class InvokeAsyncOperation(InvokeEntry):
    prefix, suffix = PREFIX, SUFFIX

    def __init__(
        self,
        *,
        catalog: FunctionCatalog,
        events: EventQueue,
        settings: Settings,
        clock: Clock,
        validate: Callable[[Request], None],
    ) -> None:
        super().__init__(catalog=catalog, settings=settings, clock=clock, validate=validate)
        self._events = events

    def _answer(self, request: Request, request_id: str) -> Deferred:
        self._validate(request)
        # Old SDKs end the path with a slash.
        reference = request.path.removesuffix("/")[len(PREFIX) : -len(SUFFIX)]
        function = called_function(request, reference, self._settings, self._validate)
        check_tenant(self._catalog.resolve(function), request.headers.get("x-amz-tenant-id"))
        payload = event_payload(request.body, INVOKE_ASYNC_PAYLOAD_BYTES, InvocationType.EVENT)
        accepted = Reply(202, (("Content-Type", JSON), ("x-amzn-RequestId", request_id)), b'{"Status":202}')
        return queue_event(self._events, self._clock, request, function, payload=payload, accepted=accepted)
