"""``InvokeAsync``, which AWS has deprecated and old clients still call: an event for the durable queue, 256 KB at most.

Never blocks. Thread-safe. Not hot: it is reached through the Lambda API's own door alone.
"""

from collections.abc import Callable

from rie_server.api.exchange import JSON, Deferred, HotRoute, Reply, Request
from rie_server.api.lambda_api.event_entry import queue_event
from rie_server.api.lambda_api.invoke_input import called_function, event_payload
from rie_server.api.lambda_api.rendering import error_reply
from rie_server.config import Settings
from rie_server.errors import LambdaError
from rie_server.limits import INVOKE_ASYNC_PAYLOAD_BYTES
from rie_server.model.invocation import InvocationType
from rie_server.model.request_id import new_request_id
from rie_server.model.tenancy import check_tenant
from rie_server.ports import Clock, EventQueue, FunctionCatalog

PREFIX = "/2014-11-13/functions/"
SUFFIX = "/invoke-async"


class InvokeAsyncOperation:
    """
    Args:
        validate: the service model's check of an InvokeAsync request; raises LambdaError.
    """

    def __init__(
        self,
        *,
        catalog: FunctionCatalog,
        events: EventQueue,
        settings: Settings,
        clock: Clock,
        validate: Callable[[Request], None],
    ) -> None:
        self._catalog = catalog
        self._events = events
        self._settings = settings
        self._clock = clock
        self._validate = validate
        self.route = HotRoute(listener="lambda", method="POST", prefix=PREFIX, suffix=SUFFIX, operation=self)

    def __call__(self, request: Request) -> Reply | Deferred:
        request_id = new_request_id()
        try:
            return self._answer(request, request_id)
        except LambdaError as error:
            return error_reply(error, request_id)

    def _answer(self, request: Request, request_id: str) -> Deferred:
        self._validate(request)
        # Old SDKs end the path with a slash.
        reference = request.path.removesuffix("/")[len(PREFIX) : -len(SUFFIX)]
        function = called_function(request, reference, self._settings, self._validate)
        check_tenant(self._catalog.resolve(function), request.headers.get("x-amz-tenant-id"))
        payload = event_payload(request.body, INVOKE_ASYNC_PAYLOAD_BYTES, InvocationType.EVENT)
        accepted = Reply(202, (("Content-Type", JSON), ("x-amzn-RequestId", request_id)), b'{"Status":202}')
        return queue_event(self._events, self._clock, request, function, payload=payload, accepted=accepted)
