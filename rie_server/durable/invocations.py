"""The invocations that carry out durable executions: from the state in the store to an event, and from the function's
answer back to the store.

Thread-safe. ``begin`` reads the store; results come on any thread and block nobody.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from rie_server.enduring import Changed, DurableStore
from rie_server.errors import LambdaError, ServiceException
from rie_server.limits import DURABLE_EVENT_BYTES, DURABLE_PAGE
from rie_server.model.durable_answers import after_invocation
from rie_server.model.durable_description import invocation_event
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution
from rie_server.model.durable_life import NextRun
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import Clock, Invoker

log = logging.getLogger(__name__)

STORE_RETRY_SECONDS = 1.0

Heard = Callable[[Changed[Any]], None]


class DurableInvocations:
    """
    Args:
        heard: told of every execution whose invocation is over, as it stands then.
        clock: the time that executions live in.
        real: for what waits for the store.
    """

    def __init__(self, *, store: DurableStore, invoker: Invoker, heard: Heard, clock: Clock, real: Clock) -> None:
        self._store = store
        self._invoker = invoker
        self._heard = heard
        self._clock = clock
        self._real = real
        # Guards what follows; notified when an invocation is over.
        self._changed = threading.Condition()
        self._in_flight: set[str] = set()
        self._closed = False

    @property
    def in_flight(self) -> int:
        with self._changed:
            return len(self._in_flight)

    def begin(self, execution: DurableExecution, run: NextRun) -> None:
        """Invokes the function; the execution has this invocation on its record already."""
        with self._changed:
            self._in_flight.add(run.invocation.id)
        on_result = partial(self._on_result, execution.arn.id, run.invocation.id)
        try:
            request = InvokeRequest(
                function=execution.arn.function,
                payload=self._event(execution, run),
                request_id=run.invocation.id,
                trace_header=execution.trace_header,
                tenant_id=execution.tenant_id,
                is_durable_invocation=True,
            )
            self._invoker.invoke(request, on_result)
        except LambdaError as refusal:
            on_result(_refused(refusal))
        except Exception:
            # The invocation is on the record: whatever is wrong, it has to be over before there can be another.
            log.exception("%s cannot be invoked", execution.arn)
            on_result(_refused(ServiceException("An internal error occurred.")))

    def wait(self, timeout_seconds: float) -> bool:
        """Blocks until nothing is in flight; False when something still is after that time."""
        with self._changed:
            # Real time, not the Clock's: somebody waits for this process to end.
            return self._changed.wait_for(lambda: not self._in_flight, timeout_seconds)

    def close(self) -> None:
        """What cannot be stored is not tried again."""
        with self._changed:
            self._closed = True

    def _event(self, execution: DurableExecution, run: NextRun) -> bytes:
        stored = self._store.load(execution.arn.id)
        if stored is None:
            raise ServiceException("The durable execution has been forgotten.")
        if execution.is_plain:
            return stored.input_payload.encode()
        room = max(DURABLE_EVENT_BYTES - len(stored.input_payload), 0)
        page = self._store.state(execution.arn.id, after=0, most=DURABLE_PAGE, most_bytes=room)
        return invocation_event(
            execution,
            page.operations,
            input_payload=stored.input_payload,
            marker=None if page.after is None else str(page.after),
            updated=run.updated,
        )

    def _on_result(self, execution_id: str, invocation_id: str, result: InvokeResult) -> None:
        def rule(draft: DurableDraft | None) -> None:
            if draft is not None:
                after_invocation(draft, invocation_id, result, now=self._clock.now())

        def stored(changed: Changed[None] | None, error: Exception | None) -> None:
            if changed is None:
                self._try_again(partial(self._on_result, execution_id, invocation_id, result), error)
                return
            self._heard(changed)
            with self._changed:
                self._in_flight.discard(invocation_id)
                self._changed.notify_all()

        self._store.change_later(execution_id, rule, stored)

    def _try_again(self, again: Callable[[], None], error: Exception | None) -> None:
        """The invocation stays claimed meanwhile, so that the function is not run again and again."""
        with self._changed:
            closed = self._closed
        if not closed:
            log.error("What became of a durable execution cannot be stored: %s", error)
            self._real.call_later(STORE_RETRY_SECONDS, again)


def _refused(refusal: LambdaError) -> InvokeResult:
    return InvokeResult(payload=b"", function_error=None, executed_version="", refusal=refusal)
