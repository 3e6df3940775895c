"""The event worker: claims events from the durable queue, lane by lane in turn, and has each run or its records sent.

Promises: an event leaves the queue only after it has ended and its records were sent, so a crash means a repeat, never
a loss; one function's events, however many, slow or throttled, do not hold up another's (``Shares``); events of a
server that has died are taken over. Thread-safe. ``submit`` and the results of invocations never block: the thread
``event-worker`` alone waits for the store.

Where an event stands: queued -> claimed (holds a slot) -> removed | queued again, due later, to be run or to have its
records sent.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rie_server.events.attempts import STORE_RETRY_SECONDS, Attempts
from rie_server.events.courier import Courier
from rie_server.events.shares import Shares
from rie_server.model.async_event import ENDED_LANE_PREFIX, QueuedEvent
from rie_server.model.invocation import InvokeRequest
from rie_server.observing import EventJournal
from rie_server.ports import Clock, Timer
from rie_server.storing import EventStore

log = logging.getLogger(__name__)

# Runs at a time; one function alone gets half of them. Most of these wait for an environment, which keeps every
# environment busy while the next ones are fetched.
SLOTS = 128
# While more than so many run, slots that come free are gathered for this long and filled in one go: enough for quick
# functions to go on with while the next events are fetched, and few enough for a fetch to bring many.
BUSY_SLOTS = 24
GATHER_SECONDS = 0.02
# A lease is renewed several times before it expires, so it may be much shorter than a function runs. It counts only for
# servers that cannot see whether this process lives.
LEASE_SECONDS = 60.0
# How often the queue is looked at unasked: for what a server that has died left, and, where servers share a database,
# for what another has accepted and has no room for.
HOUSE_SECONDS = 15.0
SHARED_HOUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What the thread is asked for: to look for due events, to renew leases and take over from the dead."""

    look: bool = False
    keep_house: bool = False

    def __or__(self, other: "_Wanted") -> "_Wanted":
        return _Wanted(look=self.look or other.look, keep_house=self.keep_house or other.keep_house)

    def has(self, other: "_Wanted") -> bool:
        return self.look >= other.look and self.keep_house >= other.keep_house


_LOOK = _Wanted(look=True)
_KEEP_HOUSE = _Wanted(look=True, keep_house=True)


class EventWorker:
    """Fills ``ports.EventQueue`` and ``observing.Settling``. ``start`` it, ``drain`` it, ``close`` it; ``submit`` works
    from the beginning.
    """

    def __init__(
        self,
        *,
        store: EventStore,
        attempts: Attempts,
        courier: Courier,
        journal: EventJournal,
        clock: Clock,
        real: Clock,
        owner: str,
        is_gone: Callable[[str], bool],
        is_elsewhere: Callable[[str], bool] | None = None,
        slots: int = SLOTS,
        house_seconds: float = HOUSE_SECONDS,
    ) -> None:
        """Takes the parts it works with; nothing runs before ``start``.

        Args:
            clock: the time that events live in.
            real: leases are renewed by it.
            owner: names this process in its claims.
            is_gone: whether it is certain that whoever another claim names has died.
            is_elsewhere: whether only another server knows a lane's function; None where there is no other.
            slots: most functions run at a time.
            house_seconds: how often leases are renewed, and the dead and the events of other servers looked for.
        """
        self._store = store
        self._attempts = attempts
        self._courier = courier
        self._journal = journal
        self._clock = clock
        self._real = real
        self._owner = owner
        self._is_gone = is_gone
        self._is_elsewhere = is_elsewhere
        self._house_seconds = house_seconds
        self._thread = threading.Thread(target=self._run, name="event-worker", daemon=True)
        # Guards what follows; notified when the thread has something to do and when nothing is in flight any more.
        self._changed = threading.Condition()
        self._shares = Shares(slots)
        self._in_flight: set[str] = set()
        self._wanted = _KEEP_HOUSE
        # Whether due events were left in the queue for want of slots, and whether one came free since it was looked at.
        self._is_short = False
        self._has_freed = False
        self._working = self._draining = self._closed = False
        self._alarm: tuple[float, Timer] | None = None
        self._house_timer: Timer | None = None

    # --- called by others ---------------------------------------------------------------------------------------------

    def submit(self, request: InvokeRequest, on_durable: Callable[[Exception | None], None]) -> None:
        self.add(QueuedEvent(request=request, enqueued_at=self._clock.now()), on_durable)

    def add(self, event: QueuedEvent, on_durable: Callable[[Exception | None], None]) -> None:
        """``submit`` for an event that has come some way already: its records may be all that is left to do."""

        def added(error: Exception | None) -> None:
            if error is None:
                self._journal.received(event)
                self._want(_LOOK)
            on_durable(error)

        self._store.add(event, added)

    def start(self) -> None:
        """Begins with what earlier servers have left."""
        self._thread.start()

    def is_settled(self) -> bool:
        with self._changed:
            return not (self._in_flight or self._working or self._wanted.look)

    def drain(self, timeout_seconds: float) -> bool:
        """Takes no further event and waits for those in flight; False when some still run after ``timeout_seconds``.

        Events that are submitted from now on are kept for the next start.
        """
        with self._changed:
            self._draining = True
            # Real time, not the Clock's: somebody waits for this process to end.
            return self._changed.wait_for(lambda: not self._in_flight and not self._working, timeout_seconds)

    def close(self) -> None:
        """Ends the threads. What still runs keeps its claim, and is run again by the next server. Idempotent."""
        with self._changed:
            self._draining = self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._attempts.close()
        self._courier.close()
        alarm = None if self._alarm is None else self._alarm[1]
        for timer in (alarm, self._house_timer):
            if timer is not None:
                timer.cancel()

    # --- fills attempts.Claims ----------------------------------------------------------------------------------------

    def run_is_over(self, lane: str) -> None:
        with self._changed:
            self._shares.give_back(lane)
            self._slot_is_free()

    def left(self, request_id: str, due_at: float | None) -> None:
        with self._changed:
            self._in_flight.discard(request_id)
            if due_at is not None:
                self._set_alarm(due_at)
            # A slot for records is free, too, if it held one.
            self._slot_is_free()
            if not self._in_flight:
                self._changed.notify_all()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (wanted := self._next_order()) is not None:
            try:
                if wanted.keep_house:
                    self._keep_house()
                if wanted.look:
                    self._look()
            except Exception:
                log.exception("The event queue cannot be used; trying again in %g s", STORE_RETRY_SECONDS)
                self._real.call_later(STORE_RETRY_SECONDS, partial(self._want, wanted))
            finally:
                with self._changed:
                    self._working = False
                    self._changed.notify_all()

    def _next_order(self) -> "_Wanted | None":
        """Blocks until there is something to do; None at the end. What cannot be done now stays wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._possible() != _Wanted())
            if not self._closed and self._shares.held > BUSY_SLOTS:
                self._changed.wait_for(lambda: self._closed or self._shares.held <= BUSY_SLOTS, GATHER_SECONDS)
            if self._closed:
                return None
            order = self._possible()
            self._wanted = _Wanted(look=self._wanted.look and not order.look)
            self._working = True
            return order

    def _possible(self) -> "_Wanted":
        return _Wanted(look=self._wanted.look and not self._draining, keep_house=self._wanted.keep_house)

    def _keep_house(self) -> None:
        self._house_timer = self._real.call_later(self._house_seconds, partial(self._want, _KEEP_HOUSE))
        if self._in_flight:
            self._store.renew(self._owner, LEASE_SECONDS)
        if released := self._store.release(lambda owner: owner != self._owner and self._is_gone(owner)):
            log.info("Taking over %d events of servers that are gone", released)

    def _look(self) -> None:
        now = self._clock.now()
        lanes = self._store.lanes()
        due = [lane for lane, due_at in lanes.items() if due_at <= now and not self._is_left_alone(lane)]
        allotted = self._allot(due)
        claimed: Sequence[QueuedEvent] = ()
        if allotted:
            claimed = self._store.claim(self._owner, allotted, now=now, lease_seconds=LEASE_SECONDS)
        later = [due_at for due_at in lanes.values() if due_at > now]
        begin = self._admit(claimed, due, allotted, min(later, default=None))
        for event in begin:
            if event.ended is None:
                self._attempts.run(event, self)
            else:
                self._attempts.send(event, self)

    def _is_left_alone(self, lane: str) -> bool:
        """Events of a function that this server does not know would end here as those of a deleted one."""
        runs = not lane.startswith(ENDED_LANE_PREFIX)
        return runs and self._is_elsewhere is not None and self._is_elsewhere(lane)

    def _allot(self, lanes: Sequence[str]) -> Mapping[str, int]:
        with self._changed:
            self._has_freed = False
            runs = self._shares.allot([lane for lane in lanes if not lane.startswith(ENDED_LANE_PREFIX)])
        return {**runs, **self._courier.allot([lane for lane in lanes if lane.startswith(ENDED_LANE_PREFIX)])}

    def _admit(
        self, claimed: Sequence[QueuedEvent], due: Sequence[str], allotted: Mapping[str, int], later: float | None
    ) -> Sequence[QueuedEvent]:
        """Takes the slots, and notes what was left for want of slots and when the next event is due."""
        taken: dict[str, int] = dict.fromkeys(due, 0)
        with self._changed:
            # One that is in flight here already (its lease had expired meanwhile) is not run twice.
            begin = [event for event in claimed if event.request.request_id not in self._in_flight]
            for event in claimed:
                taken[event.lane] += 1
            for event in begin:
                self._in_flight.add(event.request.request_id)
                if event.ended is None:
                    self._shares.take(event.lane)
            self._is_short = any(taken[lane] >= allotted.get(lane, 0) for lane in due)
            if self._is_short and self._has_freed:
                self._wanted |= _LOOK
            if later is not None:
                self._set_alarm(later)
        return begin

    # --- with the lock held -------------------------------------------------------------------------------------------

    def _slot_is_free(self) -> None:
        self._has_freed = True
        if self._is_short and not self._wanted.look:
            self._wanted |= _LOOK
            self._changed.notify_all()
        elif self._shares.held == BUSY_SLOTS:
            self._changed.notify_all()

    def _set_alarm(self, due_at: float) -> None:
        """One timer, for the earliest event that waits."""
        if self._alarm is not None:
            if self._alarm[0] <= due_at:
                return
            self._alarm[1].cancel()
        seconds = max(due_at - self._clock.now(), 0.0)
        self._alarm = (due_at, self._clock.call_later(seconds, self._ring))

    # --- on any thread ------------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        with self._changed:
            self._alarm = None
        self._want(_LOOK)

    def _want(self, more: "_Wanted") -> None:
        with self._changed:
            if not self._wanted.has(more):  # else the thread knows
                self._wanted |= more
                self._changed.notify_all()
