"""Keeps the poller of one mapping as it is wanted: one that runs with the mapping's settings, or none.

A thread of the keeper's own carries out one wish after the other, because stopping a poller takes as long as the
function that works on its last batch. A poller that cannot be started is reported and tried again, after longer and
longer. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from rie_server.errors import RieError
from rie_server.model.event_source import EventSourceMapping
from rie_server.polling import MakePoller, Poller
from rie_server.ports import Clock, Timer

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MOST: Final = 60.0
# How soon a keeper that waits for its poller's last batch notices that the server ends.
_LOOK_SECONDS: Final = 0.25

OnSettled = Callable[[], None]


class PollerKeeper:
    """
    Args:
        on_result: is told the mapping's LastProcessingResult; must not block.
        on_disable: is told that the mapping cannot go on, and why; called on the keeper's thread, may block.
        real: times retries.
    """

    def __init__(
        self,
        uuid: str,
        *,
        make: MakePoller,
        on_result: Callable[[str], None],
        on_disable: Callable[[str], None],
        real: Clock,
    ) -> None:
        self._uuid = uuid
        self._make = make
        self._on_result = on_result
        self._on_disable = on_disable
        self._real = real
        self._thread = threading.Thread(target=self._run, name=f"mapping-{uuid[:8]}", daemon=True)
        # Guards what follows; notified when there is something to do.
        self._changed = threading.Condition()
        self._wanted: EventSourceMapping | None = None
        self._on_settled: OnSettled | None = None
        self._complaint: tuple[Reporter, str] | None = None
        self._has_work = self._working = self._ending = False
        self._timer: Timer | None = None
        self._failures = 0
        # Written by the keeper's thread alone.
        self._poller: Poller | None = None
        self._reporter: Reporter | None = None
        self._made_of: EventSourceMapping | None = None

    # --- called by others ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def want(self, mapping: EventSourceMapping | None, on_settled: OnSettled) -> None:
        """Has a poller run for ``mapping``, or none; returns at once.

        ``on_settled`` is called on the keeper's thread when that is so (or the poller could not be started, and is
        tried again), unless another wish or the end comes first. If it raises, it is called again later.
        """
        with self._changed:
            self._wanted, self._on_settled, self._has_work = mapping, on_settled, True
            self._failures = 0
            self._changed.notify_all()

    def end(self) -> None:
        """The poller takes no more records, and the thread ends. Returns at once. Idempotent."""
        with self._changed:
            self._ending = True
            if self._timer is not None:
                self._timer.cancel()
            self._changed.notify_all()
            poller = self._poller
        if poller is not None:
            poller.stop()

    def join(self, timeout_seconds: float) -> bool:
        """After ``end``: waits for the thread and for what its poller has in flight; False if that took too long."""
        give_up_at = self._real.monotonic() + timeout_seconds
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_seconds)
            if self._thread.is_alive():
                return False
        return self._poller is None or self._poller.join(max(0.0, give_up_at - self._real.monotonic()))

    def is_settled(self) -> bool:
        with self._changed:
            poller, is_busy = self._poller, self._has_work or self._working
        return not is_busy and (poller is None or poller.is_settled())

    def describe(self) -> Mapping[str, Any]:
        """What the poller says of itself; empty where none runs."""
        poller = self._poller
        return {} if poller is None else poller.describe()

    # --- called by its poller -----------------------------------------------------------------------------------------

    def processed(self, reporter: "Reporter", result: str) -> None:
        if reporter is self._reporter:
            self._on_result(result)

    def complain(self, reporter: "Reporter", reason: str) -> None:
        with self._changed:
            self._complaint, self._has_work = (reporter, reason), True
            self._changed.notify_all()

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._next():
            try:
                self._carry_out()
            except Exception:
                log.exception("The poller of event source mapping %s cannot be kept", self._uuid)
                self._try_again()
            finally:
                with self._changed:
                    self._working = False

    def _next(self) -> bool:
        """Blocks until there is something to do; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._has_work)
            self._working, self._has_work = not self._ending, False
            return not self._ending

    def _carry_out(self) -> None:
        wanted = self._wanted
        if self._poller is not None and not _is_same(wanted, self._made_of) and not self._stop_poller():
            return
        if wanted is not None and self._poller is None:
            self._start_poller(wanted)
        with self._changed:
            on_settled = self._on_settled if self._wanted is wanted else None
        if on_settled is not None:
            on_settled()
            with self._changed:
                if self._on_settled is on_settled:
                    self._on_settled = None
        self._pass_complaint_on()

    def _pass_complaint_on(self) -> None:
        with self._changed:
            complaint, self._complaint = self._complaint, None
        # One of a poller that has been stopped since says nothing about the one that runs.
        if complaint is not None and complaint[0] is self._reporter:
            self._on_disable(complaint[1])

    def _start_poller(self, mapping: EventSourceMapping) -> None:
        self._reporter = reporter = Reporter(self)
        poller: Poller | None = None
        try:
            poller = self._make(mapping, reporter)
            with self._changed:
                is_wanted = not self._ending
                if is_wanted:
                    self._poller, self._made_of = poller, mapping
            if not is_wanted:
                poller.stop()
                return
            poller.start()
            self._failures = 0
        except Exception as failure:
            if not isinstance(failure, RieError):
                log.exception("The poller of event source mapping %s cannot be started", self._uuid)
            if poller is not None:
                with suppress(Exception):
                    poller.stop()
            self._poller = self._made_of = None
            self._on_result(f"PROBLEM: {failure}")
            self._try_again()

    def _stop_poller(self) -> bool:
        """False if the server ends meanwhile; whoever ends the keeper waits for the poller then."""
        poller = self._poller
        if poller is None:
            return True
        poller.stop()
        while not poller.join(_LOOK_SECONDS):
            if self._ending:
                return False
        with self._changed:
            self._poller = self._reporter = self._made_of = None
        return True

    def _try_again(self) -> None:
        seconds = min(RETRY_SECONDS * 2**self._failures, RETRY_SECONDS_MOST)
        with self._changed:
            self._failures = min(self._failures + 1, 10)
            if not self._ending:
                self._timer = self._real.call_later(seconds, self._ring)

    def _ring(self) -> None:
        with self._changed:
            self._has_work = True
            self._changed.notify_all()


class Reporter:
    """Fills ``polling.MappingReporter`` for one poller; what comes after its end is not heard."""

    def __init__(self, keeper: PollerKeeper) -> None:
        self._keeper = keeper

    def processed(self, result: str) -> None:
        self._keeper.processed(self, result)

    def disable(self, reason: str) -> None:
        self._keeper.complain(self, reason)


def _is_same(one: EventSourceMapping | None, other: EventSourceMapping | None) -> bool:
    """Whether the same poller serves both: tags and states make no difference to it."""
    if one is None or other is None:
        return one is other
    return (one.function, one.members) == (other.function, other.members)
