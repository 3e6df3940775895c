"""Wakes durable executions whenever something is due for them.

Promises: one invocation at a time works on an execution; whatever is due is done, also what an earlier server, or one
that has died, has left: timers go off, and what was running is run again from its last checkpoint. Thread-safe. The
thread ``durable-runner`` alone waits for the store.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from rie_server.durable.dead_letters import DeadLetters
from rie_server.durable.invocations import STORE_RETRY_SECONDS, DurableInvocations
from rie_server.durable.waiting import Waiters
from rie_server.enduring import Changed, DurableStore
from rie_server.errors import ServiceException
from rie_server.model.durable_checkpoint import chained_ended, chained_outcome
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution
from rie_server.model.durable_life import NextRun, lose_invocation, news_told, wake
from rie_server.model.request_id import new_request_id
from rie_server.ports import Clock, Invoker, Timer

log = logging.getLogger(__name__)

AT_ONCE = 256
LEASE_SECONDS = 60.0
# How often leases are renewed, the dead looked for, and what has expired is forgotten; where servers share a database,
# how often what others have begun and ended is looked at, too.
HOUSE_SECONDS = 15.0
SHARED_HOUSE_SECONDS = 1.0

_Woken = Changed[NextRun | None]


class DurableRunner:
    """``start`` it, ``drain`` it, ``close`` it. Fills ``observing.Settling``."""

    def __init__(
        self,
        *,
        store: DurableStore,
        invoker: Invoker,
        waiters: Waiters,
        dead_letters: DeadLetters,
        clock: Clock,
        real: Clock,
        owner: str,
        is_gone: Callable[[str], bool],
        is_elsewhere: Callable[[str], bool] | None = None,
        house_seconds: float = HOUSE_SECONDS,
    ) -> None:
        """Takes the parts it works with; nothing runs before ``start``.

        Args:
            clock: the time that executions live in.
            real: for leases, and for what waits for the store.
            owner: names this process.
            is_gone: whether it is certain that whoever another name means has died.
            is_elsewhere: whether only another server knows a function; None where there is no other.
        """
        self._store = store
        self._waiters = waiters
        self._dead_letters = dead_letters
        self._clock = clock
        self._real = real
        self._owner = owner
        self._is_gone = is_gone
        self._is_elsewhere = is_elsewhere
        self._house_seconds = house_seconds
        self._invocations = DurableInvocations(store=store, invoker=invoker, heard=self.heard, clock=clock, real=real)
        self._thread = threading.Thread(target=self._run, name="durable-runner", daemon=True)
        # Guards what follows; notified when the thread has something to do, and when it has done it.
        self._changed = threading.Condition()
        self._wants_look = self._wants_house = True
        self._working = self._draining = self._closed = False
        self._alarm: tuple[float, Timer] | None = None
        self._house_timer: Timer | None = None

    # --- called by others ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins with what earlier servers have left."""
        self._thread.start()

    def heard(self, changed: Changed[Any]) -> None:
        """An execution has changed. Never blocks."""
        self._waiters.tell(changed.execution)
        if changed.wake_at is not None:
            self.wake_at(changed.wake_at)

    def wake_at(self, moment: float) -> None:
        """Something is due then. Never blocks."""
        if moment <= self._clock.now():
            self._want(house=False)
            return
        with self._changed:
            if not self._closed:
                self._set_alarm(moment)

    def is_settled(self) -> bool:
        with self._changed:
            return not (self._working or self._wants_look or self._invocations.in_flight)

    def drain(self, timeout_seconds: float) -> bool:
        """Invokes nothing more, and waits for what is in flight; False when some still run after that time."""
        with self._changed:
            self._draining = True
            # Real time, not the Clock's: somebody waits for this process to end.
            self._changed.wait_for(lambda: not self._working, timeout_seconds)
        return self._invocations.wait(timeout_seconds)

    def close(self) -> None:
        """Ends the thread. What still runs is run again by the next server. Idempotent."""
        with self._changed:
            self._draining = self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self._invocations.close()
        alarm = None if self._alarm is None else self._alarm[1]
        for timer in (alarm, self._house_timer):
            if timer is not None:
                timer.cancel()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                if self._take_house():
                    self._keep_house()
                if self._take_look():
                    self._look()
            except Exception:
                log.exception("Durable executions cannot be looked at; trying again in %g s", STORE_RETRY_SECONDS)
                self._real.call_later(STORE_RETRY_SECONDS, self._want)
            finally:
                with self._changed:
                    self._working = False
                    self._changed.notify_all()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._wants_house or (self._wants_look and not self._draining)
            )
            self._working = not self._closed
            return not self._closed

    def _take_house(self) -> bool:
        with self._changed:
            taken, self._wants_house = self._wants_house, False
            return taken

    def _take_look(self) -> bool:
        """While the server drains, what is due stays wanted by the next one."""
        with self._changed:
            taken, self._wants_look = self._wants_look and not self._draining, False
            return taken

    def _look(self) -> None:
        now = self._clock.now()
        due, has_more = self._due(now)
        done = self._wake([one for one in due if not one.is_over])
        done += sum(self._try_to_tell(ended) for ended in due if ended.is_over)
        # Where nothing can be written, the same ones would be found again and again; they come back by themselves.
        if has_more and done:
            self._want(house=False)
        following = self._store.next_due(after=now)
        if following is not None:
            self.wake_at(following)

    def _due(self, now: float) -> tuple[Sequence[DurableExecution], bool]:
        """What this server has to care for, and whether there may be more of it. However many wait for another server,
        they stand in nobody's way.
        """
        most = AT_ONCE
        while True:
            found = self._store.due(now=now, most=most)
            due = [one for one in found if not self._is_left_alone(one)]
            if due or len(found) < most:
                return due, len(found) == most
            most *= 4

    def _is_left_alone(self, execution: DurableExecution) -> bool:
        return self._is_elsewhere is not None and self._is_elsewhere(str(execution.arn.function.unqualified))

    def _wake(self, due: Sequence[DurableExecution]) -> int:
        """All of them together, so that they share a commit; none takes another with it where it cannot be written.
        Returns how many could be.
        """
        done = 0
        woken: list[Future[_Woken]] = []
        for execution in due:
            future: Future[_Woken] = Future()
            rule = partial(_wake, invocation_id=new_request_id(), owner=self._owner, now=self._clock.now())
            self._store.change_later(execution.arn.id, rule, partial(_settle, future))
            woken.append(future)
        for future in woken:
            try:
                changed = future.result()
            except Exception:
                log.exception("A durable execution cannot be woken; trying again in %g s", STORE_RETRY_SECONDS)
                self._real.call_later(STORE_RETRY_SECONDS, self._want)
                continue
            done += 1
            self.heard(changed)
            if changed.value is not None and changed.execution is not None:
                self._invocations.begin(changed.execution, changed.value)
        return done

    def _try_to_tell(self, ended: DurableExecution) -> bool:
        """Whether it could be told."""
        try:
            self._tell(ended)
        except Exception:
            log.exception("How %s ended cannot be told; trying again in %g s", ended.arn, STORE_RETRY_SECONDS)
            self._real.call_later(STORE_RETRY_SECONDS, self._want)
            return False
        return True

    def _tell(self, ended: DurableExecution) -> None:
        """First whoever is to hear of it, then the execution's own note of that: after a crash in between they hear of
        it once more.
        """
        self._tell_parent(ended)
        if ended.origin is not None:
            self._dead_letters.tell(ended)
        self._store.change(ended.arn.id, lambda draft: None if draft is None else news_told(draft))

    def _tell_parent(self, child: DurableExecution) -> None:
        """A parent that knows already does not care."""
        if child.parent is None:
            return
        operation_id = child.parent.operation_id
        status, result, error = chained_outcome(child)

        def rule(draft: DurableDraft | None) -> None:
            if draft is not None:
                chained_ended(draft, operation_id, status, result=result, error=error, now=self._clock.now())

        self.heard(self._store.change(child.parent.execution_id, rule))

    # --- upkeep -------------------------------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        if self._house_timer is not None:
            self._house_timer.cancel()
        self._house_timer = self._real.call_later(self._house_seconds, self._want)
        if self._invocations.in_flight:
            self._store.renew(self._owner, LEASE_SECONDS)
        for execution_id, owner in self._store.abandoned(lambda one: one != self._owner and self._is_gone(one)):
            if owner != self._owner:
                log.info("Taking over durable execution %s from a server that is gone", execution_id)
                self.heard(self._store.change(execution_id, partial(_lose, owner=owner, now=self._clock.now())))
        self._store.delete_expired(now=self._clock.now())
        if self._is_elsewhere is not None:
            # Another server may have ended what somebody waits for here.
            for execution_id in self._waiters.awaited():
                stored = self._store.load(execution_id)
                self._waiters.tell(None if stored is None else stored.execution)

    def _set_alarm(self, moment: float) -> None:
        """With the lock held: one timer, for the earliest moment."""
        if self._alarm is not None:
            if self._alarm[0] <= moment:
                return
            self._alarm[1].cancel()
        self._alarm = (moment, self._clock.call_later(max(moment - self._clock.now(), 0.0), self._ring))

    def _ring(self) -> None:
        with self._changed:
            self._alarm = None
        self._want()

    def _want(self, *, house: bool = True) -> None:
        with self._changed:
            self._wants_look = True
            self._wants_house = self._wants_house or house
            self._changed.notify_all()


def _wake(draft: DurableDraft | None, *, invocation_id: str, owner: str, now: float) -> NextRun | None:
    return None if draft is None else wake(draft, invocation_id=invocation_id, owner=owner, now=now)


def _lose(draft: DurableDraft | None, *, owner: str, now: float) -> None:
    if draft is not None:
        lose_invocation(draft, owner, now=now)


def _settle(future: "Future[_Woken]", changed: _Woken | None, error: Exception | None) -> None:
    if changed is None:
        future.set_exception(error or ServiceException("The store has not answered."))
    else:
        future.set_result(changed)
