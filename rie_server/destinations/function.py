"""Records to functions of this server: an asynchronous invoke whose event is the record.

Promises: ``__call__`` returns once the new event cannot be lost any more. Thread-safe; fills ``dispatch.Deliver``.
"""

import uuid
from collections.abc import Callable
from concurrent.futures import Future

from rie_server.destinations.refusals import refused_here
from rie_server.errors import DeliveryError, LambdaError, RequestTooLargeException
from rie_server.limits import ASYNC_PAYLOAD_BYTES
from rie_server.model.delivery import Delivery
from rie_server.model.destination_arn import DestinationTarget
from rie_server.model.invocation import InvokeRequest
from rie_server.ports import FunctionCatalog

DURABLE_SECONDS = 30.0

# ``ports.EventQueue.submit``
Submit = Callable[[InvokeRequest, Callable[[Exception | None], None]], None]


class FunctionDestination:
    def __init__(self, *, catalog: FunctionCatalog, submit: Submit) -> None:
        self._catalog = catalog
        self._submit = submit

    def __call__(self, delivery: Delivery, target: DestinationTarget) -> None:
        try:
            self._queue(delivery, target)
        except LambdaError as refusal:
            raise refused_here(target.arn, refusal) from refusal

    def _queue(self, delivery: Delivery, target: DestinationTarget) -> None:
        if target.function is None:
            raise DeliveryError(f"{target.arn} is no function.", passes=False)
        self._catalog.resolve(target.function)
        if len(delivery.body) > ASYNC_PAYLOAD_BYTES:
            raise RequestTooLargeException(
                f"{len(delivery.body)} byte payload is too large for the Event invocation type "
                f"(limit {ASYNC_PAYLOAD_BYTES} bytes)"
            )
        request = InvokeRequest(
            function=target.function,
            payload=delivery.body,
            request_id=str(uuid.uuid4()),
            # The lineage in it is what stops functions that send records to each other for ever.
            trace_header=delivery.trace_header,
        )
        durable: Future[Exception | None] = Future()
        self._submit(request, durable.set_result)
        try:
            trouble = durable.result(DURABLE_SECONDS)
        except TimeoutError:
            raise DeliveryError(f"{target.arn}: not stored within {DURABLE_SECONDS:g} s", passes=True) from None
        if trouble is not None:
            raise DeliveryError(f"{target.arn}: the event could not be stored: {trouble}", passes=True) from trouble
