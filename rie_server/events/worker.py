"""The event worker: claims events from the durable queue, runs each through the Invoker, and removes it afterwards.

Promises: an event leaves the queue only after its function has run (or is gone), so a crash means a repeat, never a
loss; a function that is throttled costs no slot while its events wait. Thread-safe. ``submit`` and the results of
invocations never block: the thread ``event-worker`` alone waits for the store.

Where an event stands: queued -> claimed (holds a slot) -> removed | postponed (queued again, due later).
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from rie_server.errors import LambdaError, ServiceException
from rie_server.events.decision import Decision, RunAgainAt, after_refusal, after_run
from rie_server.model.async_event import QueuedEvent
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import Clock, EventStore, Invoker, Timer

log = logging.getLogger(__name__)

CONCURRENCY = 64
# How long after another server of this data folder has died (or been replaced) its events are taken over.
TAKE_OVER_SECONDS = 15.0
STORE_RETRY_SECONDS = 1.0
SHORTEST_WAIT_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the thread is asked for: to look for due events, to set the timer anew, to take over from the dead."""

    look: bool = False
    plan: bool = False
    take_over: bool = False

    def __or__(self, other: "_Wanted") -> "_Wanted":
        return _Wanted(
            look=self.look or other.look,
            plan=self.plan or other.plan,
            take_over=self.take_over or other.take_over,
        )


class EventWorker:
    """Fills ``ports.EventQueue``. ``start`` it, ``drain`` it, ``close`` it; ``submit`` works from the beginning."""

    def __init__(
        self,
        *,
        store: EventStore,
        invoker: Invoker,
        clock: Clock,
        owner: str,
        is_alive: Callable[[str], bool],
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Takes the parts it works with; nothing runs before ``start``.

        Args:
            owner: names this process in its claims.
            is_alive: whether the process that another claim names still runs.
            concurrency: most events in flight at a time.
        """
        self._store = store
        self._invoker = invoker
        self._clock = clock
        self._owner = owner
        self._is_alive = is_alive
        self._concurrency = concurrency
        self._thread = threading.Thread(target=self._run, name="event-worker", daemon=True)
        # Guards what follows; notified when the thread has something to do and when a slot comes free.
        self._changed = threading.Condition()
        self._in_flight: set[str] = set()
        self._wanted = _Wanted(look=True, take_over=True)
        self._claiming = False
        self._draining = False
        self._closed = False
        self._due_at: float | None = None
        # The thread's own, cancelled after its end.
        self._due_timer: Timer | None = None
        self._take_over_timer: Timer | None = None

    # --- called by others ---------------------------------------------------------------------------------------------

    def submit(self, request: InvokeRequest, on_durable: Callable[[Exception | None], None]) -> None:
        def added(error: Exception | None) -> None:
            if error is None:
                self._want(_Wanted(look=True))
            on_durable(error)

        self._store.add(QueuedEvent(request=request, enqueued_at=self._clock.now()), added)

    def start(self) -> None:
        """Begins with what earlier servers have left."""
        self._thread.start()

    def drain(self, timeout_seconds: float) -> bool:
        """Takes no further event and waits for those in flight; False when some still run after ``timeout_seconds``.

        Events that are submitted from now on are kept for the next start.
        """
        with self._changed:
            self._draining = True
            # Real time, not the Clock's: somebody waits for this process to end.
            return self._changed.wait_for(lambda: not self._in_flight and not self._claiming, timeout_seconds)

    def close(self) -> None:
        """Ends the thread. What still runs keeps its claim, and is run again by the next server. Idempotent."""
        with self._changed:
            self._draining = self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        for timer in (self._due_timer, self._take_over_timer):
            if timer is not None:
                timer.cancel()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (order := self._next_order()) is not None:
            wanted, free = order
            try:
                if wanted.take_over:
                    self._release_the_dead()
                if wanted.look:
                    self._claim(free)
                elif wanted.plan:
                    self._plan_next_look()
            except Exception:
                log.exception("The event queue cannot be used; trying again in %g s", STORE_RETRY_SECONDS)
                self._clock.call_later(STORE_RETRY_SECONDS, partial(self._want, replace(wanted, look=True)))
            finally:
                with self._changed:
                    self._claiming = False
                    self._changed.notify_all()

    def _next_order(self) -> "tuple[_Wanted, int] | None":
        """Blocks until there is something to do; None at the end. What cannot be done now stays wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._possible() != _Wanted())
            if self._closed:
                return None
            order = self._possible()
            self._wanted = _Wanted(look=self._wanted.look and not order.look)
            self._claiming = order.look
            return order, self._concurrency - len(self._in_flight)

    def _possible(self) -> "_Wanted":
        has_room = not self._draining and len(self._in_flight) < self._concurrency
        return replace(self._wanted, look=self._wanted.look and has_room)

    def _release_the_dead(self) -> None:
        gone = [owner for owner in self._store.claim_owners() if owner != self._owner and not self._is_alive(owner)]
        if gone:
            log.info("Taking over %d events of servers that are gone", self._store.release(gone))
            self._want(_Wanted(look=True))
        again = partial(self._want, _Wanted(take_over=True))
        self._take_over_timer = self._clock.call_later(TAKE_OVER_SECONDS, again)

    def _claim(self, limit: int) -> None:
        events = self._store.claim(self._owner, limit, now=self._clock.now())
        with self._changed:
            self._in_flight.update(event.request.request_id for event in events)
        for event in events:
            self._attempt(event)
        if len(events) == limit:
            self._want(_Wanted(look=True))
        else:
            self._plan_next_look()

    def _plan_next_look(self) -> None:
        """One timer, for the earliest event that waits."""
        with self._changed:
            # An event that is postponed while the store is being asked is not overlooked: it wants a new plan.
            self._due_at = None
        due_at = self._store.next_due_at()
        with self._changed:
            self._due_at = due_at
        if self._due_timer is not None:
            self._due_timer.cancel()
        if due_at is not None:
            # Never at once: an event that is due but was not to be had is another server's.
            seconds = max(due_at - self._clock.now(), SHORTEST_WAIT_SECONDS)
            self._due_timer = self._clock.call_later(seconds, partial(self._want, _Wanted(look=True)))

    def _attempt(self, event: QueuedEvent) -> None:
        try:
            self._invoker.invoke(event.request, partial(self._on_result, event))
        except LambdaError as refusal:
            self._on_refusal(event, refusal)
        except Exception:
            log.exception("Event %s: the invocation has failed inside the server", event.request.request_id)
            self._on_refusal(event, ServiceException("The invocation has failed inside the server."))

    # --- what comes back, on any thread -------------------------------------------------------------------------------

    def _on_result(self, event: QueuedEvent, result: InvokeResult) -> None:
        if result.refusal is not None:
            self._on_refusal(event, result.refusal)
        else:
            self._carry_out(event, after_run())

    def _on_refusal(self, event: QueuedEvent, refusal: LambdaError) -> None:
        self._carry_out(event, after_refusal(event, refusal, now=self._clock.now()))

    def _carry_out(self, event: QueuedEvent, decision: Decision) -> None:
        request_id = event.request.request_id
        stored = partial(self._on_stored, event, decision)
        if isinstance(decision, RunAgainAt):
            self._store.postpone(request_id, decision.due_at, stored)
            return
        if decision.dropped is not None:
            log.warning("Event %s for %s is dropped: %s", request_id, event.request.function, decision.dropped)
        self._store.remove(request_id, stored)

    def _on_stored(self, event: QueuedEvent, decision: Decision, error: Exception | None) -> None:
        if error is not None:
            # The event keeps its slot: better to run fewer events than to run this one again and again.
            log.error("Event %s: its end cannot be stored: %s", event.request.request_id, error)
            self._clock.call_later(STORE_RETRY_SECONDS, partial(self._carry_out_again, event, decision))
            return
        with self._changed:
            self._in_flight.discard(event.request.request_id)
            if isinstance(decision, RunAgainAt) and (self._due_at is None or decision.due_at < self._due_at):
                self._wanted = replace(self._wanted, plan=True)
            self._changed.notify_all()

    def _carry_out_again(self, event: QueuedEvent, decision: Decision) -> None:
        with self._changed:
            closed = self._closed
        if not closed:
            self._carry_out(event, decision)

    def _want(self, more: "_Wanted") -> None:
        with self._changed:
            self._wanted = self._wanted | more
            self._changed.notify_all()
