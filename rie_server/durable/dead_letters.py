"""Events whose executions have failed go to the dead-letter queue of their function, if it has one.

Thread-safe; ``tell`` blocks until the event cannot be lost any more. From there on it is as any event that has ended:
the queue's worker delivers it, durable at every step. Destinations are not for durable functions, as in AWS.
"""

from collections.abc import Callable
from concurrent.futures import Future

from rie_server.enduring import DurableStore
from rie_server.errors import ServiceException
from rie_server.model.async_event import EndedEvent, QueuedEvent
from rie_server.model.durable_description import result_for_caller
from rie_server.model.durable_execution import DurableExecution
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.invocation import InvokeRequest
from rie_server.ports import EventInvokeConfigs, OnDurable

DURABLE_SECONDS = 30.0

# The queue, for an event that has only its records before it.
AddEvent = Callable[[QueuedEvent, OnDurable], None]


class DeadLetters:
    def __init__(self, *, store: DurableStore, configs: EventInvokeConfigs, add: AddEvent) -> None:
        self._store = store
        self._configs = configs
        self._add = add

    def tell(self, execution: DurableExecution) -> None:
        """
        Raises:
            ServiceException: the event could not be stored.
        """
        origin, stored = execution.origin, self._store.load(execution.arn.id)
        if origin is None or stored is None or execution.ended_at is None:
            return
        function = execution.arn.function.unqualified
        if origin.qualifier is not None:
            function = function.qualified(origin.qualifier)
        queue = self._configs.event_invoke_config(function).dead_letter
        if queue is None:
            return
        result = result_for_caller(execution)
        ending = EventEnding(
            condition=EndingCondition.RETRIES_EXHAUSTED,
            status_code=200,
            invoke_count=1,
            function_error=result.function_error,
            executed_version=result.executed_version,
            response_payload=result.payload,
        )
        event = QueuedEvent(
            request=InvokeRequest(
                function=function,
                payload=stored.input_payload.encode(),
                request_id=origin.request_id,
                trace_header=execution.trace_header,
                tenant_id=execution.tenant_id,
            ),
            enqueued_at=execution.started_at,
            ended=EndedEvent(ending=ending, config=EventInvokeConfig(dead_letter=queue), ended_at=execution.ended_at),
        )
        durable: Future[Exception | None] = Future()
        self._add(event, durable.set_result)
        trouble = durable.result(DURABLE_SECONDS)
        if trouble is not None:
            raise ServiceException(f"A dead letter could not be stored: {trouble}") from trouble
