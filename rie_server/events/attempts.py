"""One claimed event: runs its function once, or sends its records once, and writes down what came of it.

Promises: what has happened is durable before anything that follows from it is begun, so an event that has ended is
never run again, and it leaves the queue only when its function has succeeded or its records were sent (or given up). A
write that fails is repeated until it succeeds; an event whose lease was lost meanwhile is somebody else's, and let go.

Thread-safe. Results come on any thread, and nothing here blocks.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from rie_server.errors import LambdaError, LeaseLostError, ServiceException
from rie_server.events.courier import Courier
from rie_server.events.decision import Decision, RunAgainAt, after_refusal, after_run, is_recorded
from rie_server.model.async_event import EndedEvent, QueuedEvent
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.invocation import InvokeResult
from rie_server.observing import EventJournal
from rie_server.ports import Clock, EventInvokeConfigs, Invoker, OnDurable
from rie_server.storing import EventStore

log = logging.getLogger(__name__)

STORE_RETRY_SECONDS = 1.0


class Claims(Protocol):
    """The worker, as it is told of the events that it has claimed."""

    def run_is_over(self, lane: str) -> None:
        """The slot for running an event of this lane is free."""

    def left(self, request_id: str, due_at: float | None) -> None:
        """The event is not this server's any more; it may be claimed again at ``due_at``, if that is not None."""


class Attempts:
    """
    Args:
        clock: the time that events live in.
        real: for what waits for the store.
        owner: holds the claims.
    """

    def __init__(
        self,
        *,
        store: EventStore,
        invoker: Invoker,
        configs: EventInvokeConfigs,
        courier: Courier,
        journal: EventJournal,
        clock: Clock,
        real: Clock,
        owner: str,
        retry_base_seconds: float,
    ) -> None:
        self._store = store
        self._invoker = invoker
        self._configs = configs
        self._courier = courier
        self._journal = journal
        self._clock = clock
        self._real = real
        self._owner = owner
        self._retry_base_seconds = retry_base_seconds
        self._closed = False

    def close(self) -> None:
        """Writes that have failed are not repeated any more."""
        self._closed = True

    def run(self, event: QueuedEvent, claims: Claims) -> None:
        """Runs the function of an event that has not ended."""
        self._journal.started(event)
        try:
            self._invoker.invoke(event.request, partial(self._on_result, event, claims))
        except LambdaError as refusal:
            self._on_refusal(event, claims, refusal)
        except Exception:
            log.exception("Event %s: the invocation has failed inside the server", event.request.request_id)
            self._on_refusal(event, claims, ServiceException("The invocation has failed inside the server."))

    def send(self, event: QueuedEvent, claims: Claims) -> None:
        """Sends the records of an event that has ended; without a free thread it goes back into the queue."""
        if self._courier.reserve(event.lane):
            self._courier.send(event, partial(self._on_round, claims))
        else:
            self._on_round(claims, event, self._clock.now())

    # --- after a run --------------------------------------------------------------------------------------------------

    def _on_result(self, event: QueuedEvent, claims: Claims, result: InvokeResult) -> None:
        if result.refusal is not None:
            self._on_refusal(event, claims, result.refusal)
            return
        config = self._configs.event_invoke_config(event.request.function)
        now, base_seconds = self._clock.now(), self._retry_base_seconds
        self._carry_out(
            event, claims, after_run(event, result, config, now=now, retry_base_seconds=base_seconds), config
        )

    def _on_refusal(self, event: QueuedEvent, claims: Claims, refusal: LambdaError) -> None:
        config = self._configs.event_invoke_config(event.request.function)
        self._carry_out(event, claims, after_refusal(event, refusal, config, now=self._clock.now()), config)

    def _carry_out(self, event: QueuedEvent, claims: Claims, decision: Decision, config: EventInvokeConfig) -> None:
        # At once, not when it is stored: a slow disk does not leave environments idle. What is claimed next is claimed
        # after what is written here, so the events that wait for the disk cannot become many.
        claims.run_is_over(event.lane)
        if isinstance(decision, RunAgainAt):
            self._put_off(event, claims, decision)
        elif is_recorded(decision.ending, config):
            self._end_with_records(event, claims, decision.ending, config)
        else:
            self._end(event, claims, decision.ending)

    def _put_off(self, event: QueuedEvent, claims: Claims, decision: RunAgainAt) -> None:
        after, due_at = decision.event, decision.due_at

        def done(lost: bool) -> None:
            if not lost:
                self._journal.postponed(after, due_at)
            claims.left(event.request.request_id, None if lost else due_at)

        self._write(event, partial(self._store.save, after, self._owner, due_at), done)

    def _end(self, event: QueuedEvent, claims: Claims, ending: EventEnding) -> None:
        """Nobody is to be told."""
        self._journal.ending(event, ending)
        if ending.condition is not EndingCondition.SUCCESS:
            reason = f"{ending.condition}: {ending.error_message or ending.function_error}"
            log.warning("Event %s for %s is dropped: %s", event.request.request_id, event.request.function, reason)

        def done(_lost: bool) -> None:
            self._journal.ended(event, ending, ())
            claims.left(event.request.request_id, None)

        self._write(event, partial(self._store.remove, event.request.request_id, self._owner), done)

    def _end_with_records(
        self, event: QueuedEvent, claims: Claims, ending: EventEnding, config: EventInvokeConfig
    ) -> None:
        """The ending is stored before the first record is sent. Without a free thread the event goes back into the
        queue, in the lane of those that have ended, so that it costs no memory while it waits.
        """
        now = self._clock.now()
        after = replace(event, last_result=None, ended=EndedEvent(ending=ending, config=config, ended_at=now))
        has_thread = self._courier.reserve(after.lane)

        def done(lost: bool) -> None:
            if not lost:
                self._journal.ending(event, ending)
            if has_thread and not lost:
                self._courier.send(after, partial(self._on_round, claims))
                return
            if has_thread:
                self._courier.cancel(after.lane)
            claims.left(event.request.request_id, None if lost else now)

        self._write(event, partial(self._store.save, after, self._owner, None if has_thread else now), done)

    # --- after a round of deliveries ----------------------------------------------------------------------------------

    def _on_round(self, claims: Claims, after: QueuedEvent, due_at: float | None) -> None:
        request_id = after.request.request_id
        if due_at is not None:
            self._write(
                after,
                partial(self._store.save, after, self._owner, due_at),
                lambda lost: claims.left(request_id, None if lost else due_at),
            )
            return

        def done(_lost: bool) -> None:
            if after.ended is not None:
                self._journal.ended(after, after.ended.ending, after.ended.outcomes)
            claims.left(request_id, None)

        self._write(after, partial(self._store.remove, request_id, self._owner), done)

    # --- the store ----------------------------------------------------------------------------------------------------

    def _write(self, event: QueuedEvent, write: Callable[[OnDurable], None], done: Callable[[bool], None]) -> None:
        """Calls ``done`` once the write is durable, with True where the event's lease was lost and nothing written."""
        # Itself the callback: two closures that name one another would be left to the collector, for every event.
        write(_Writing(self, event, write, done))

    def repeat(self, writing: "_Writing") -> None:
        """Once more after a while, unless the server ends."""
        if not self._closed:
            self._real.call_later(STORE_RETRY_SECONDS, partial(self._repeat_now, writing))

    def _repeat_now(self, writing: "_Writing") -> None:
        if not self._closed:
            writing.write(writing)


class _Writing:
    """One write that waits to be durable."""

    __slots__ = ("_attempts", "_done", "_event", "write")

    def __init__(
        self,
        attempts: Attempts,
        event: QueuedEvent,
        write: Callable[[OnDurable], None],
        done: Callable[[bool], None],
    ) -> None:
        self._attempts = attempts
        self._event = event
        self.write = write
        self._done = done

    def __call__(self, error: Exception | None) -> None:
        request_id = self._event.request.request_id
        if error is None or isinstance(error, LeaseLostError):
            if error is not None:
                log.warning("Event %s is another server's by now", request_id)
            self._done(error is not None)
            return
        # It stays claimed, so that it is not run again and again.
        log.error("Event %s: what became of it cannot be stored: %s", request_id, error)
        self._attempts.repeat(self)
