"""The poller of a source that hands out partitions (Kafka): one reading thread, and a lane for each partition.

The reading thread never waits for a function, so that the group knows it lives while handlers run for minutes. Lanes
that have enough to do are paused. A partition that goes to another server is handed over when its batch in flight has
ended, and the offset that is written then is the last: what ends later is worked on again over there.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.pollers.partition_crew import Crew
from rie_server.pollers.partition_lane import PartitionLane
from rie_server.polling import MappingReporter, PartitionSource, PollObserver
from rie_server.ports import Clock

log = logging.getLogger(__name__)

READ_RECORDS = 1000
READ_SECONDS = 0.1
FULL_SECONDS = 0.5
"""So long a lane that is full may keep the thread from reading before it is paused: what the client has fetched for a
lane that is paused is fetched again, which costs more than all else."""
COMMIT_SECONDS = 0.1
HAND_OVER_SECONDS = 30.0
BACKOFF_SECONDS = (1.0, 30.0)
"""First and longest wait, in real time, before a source that has failed is opened again."""
THREADS = 8
NOTHING_YET = "No records processed"

MakeCrew = Callable[[Callable[[Callable[[], None]], None], Callable[[], None]], Crew]


class PartitionPoller:
    """
    Args:
        make_crew: gets ``Crew.run`` and ``Crew.on_room``.
        real: for whatever has to do with the cluster.
    """

    def __init__(
        self,
        *,
        mapping: EventSourceMapping,
        source: PartitionSource,
        make_crew: MakeCrew,
        reporter: MappingReporter,
        observer: PollObserver,
        real: Clock,
        backoff_seconds: tuple[float, float] = BACKOFF_SECONDS,
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._reporter = reporter
        self._observer = observer
        self._real = real
        self._backoff_seconds = backoff_seconds
        self._stopped = threading.Event()
        self._room = threading.Event()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"partitions-{mapping.uuid}")
        self._crew = make_crew(self._run_in_crew, self._room.set)
        self._thread = threading.Thread(target=self._run, name=f"partition-poller-{mapping.uuid}", daemon=True)
        # The reading thread's; others only look.
        self._lanes: dict[str, PartitionLane] = {}
        self._paused: set[str] = set()
        self._committed: dict[str, int] = {}
        self._committed_at = 0.0
        self._reading = False
        self._trouble: str | None = None
        self._full_since: float | None = None

    # --- polling.Poller -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._room.set()
        for lane in tuple(self._lanes.values()):
            lane.stop()

    def join(self, timeout_seconds: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def is_settled(self) -> bool:
        return not self._reading and not any(lane.is_busy for lane in tuple(self._lanes.values()))

    def describe(self) -> Mapping[str, Any]:
        lanes = tuple(self._lanes.values())
        return {
            "backlog": self._source.backlog(),
            "pollers": (self._crew.slots.pollers or 1) if self._thread.is_alive() else 0,
            "in_flight": sum(lane.is_busy for lane in lanes),
            "partitions": len(lanes),
        }

    # --- polling.PartitionWatcher, on the reading thread --------------------------------------------------------------

    def assigned(self, lanes: Mapping[str, int]) -> None:
        for name, offset in lanes.items():
            self._lanes[name] = lane = PartitionLane(self._crew, name, offset)
            if self._stopped.is_set():
                lane.stop()
            self._committed[name] = offset

    def revoked(self, lanes: Sequence[str]) -> Mapping[str, int]:
        going = {name: self._lanes[name] for name in lanes if name in self._lanes}
        for lane in going.values():
            lane.stop()
        give_up_at = self._real.monotonic() + HAND_OVER_SECONDS
        for lane in going.values():
            lane.wait_idle(max(0.0, give_up_at - self._real.monotonic()))
        done = {name: lane.done_offset() for name, lane in going.items()}
        self._forget(lanes)
        return done

    def lost(self, lanes: Sequence[str]) -> None:
        for name in lanes:
            if name in self._lanes:
                self._lanes[name].stop()
        self._forget(lanes)

    def _forget(self, lanes: Sequence[str]) -> None:
        for name in lanes:
            self._lanes.pop(name, None)
            self._committed.pop(name, None)
            self._paused.discard(name)

    # --- the reading thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stopped.is_set():
                try:
                    self._source.open(self)
                    failures = self._follow(failures)
                except SourceError as trouble:
                    self._tell(str(trouble))
                    self._leave()
                    self._wait(failures, longest=False)
                    failures += 1
                except Exception as fault:
                    log.exception("Event source mapping %s: its poller has failed", self._mapping.uuid)
                    self._tell(f"{type(fault).__name__}: {fault}")
                    self._leave()
                    self._wait(failures, longest=True)
                    failures += 1
        finally:
            self._drain()
            self._leave()
            self._threads.shutdown(wait=False)

    def _drain(self) -> None:
        """Finishes what is in flight, as long as that takes: whoever stops the poller knows for how long to wait. What
        is done meanwhile is written, because a server that has waited long enough ends at once.
        """
        for lane in self._lanes.values():
            lane.stop()
        try:
            if self._lanes:
                self._source.pause(list(self._lanes))
            while any(lane.is_busy for lane in self._lanes.values()):
                self._source.read(1, READ_SECONDS)  # of a lane that has been given meanwhile: it comes again
                self._commit(at_once=False)
        except SourceError as trouble:
            log.warning("Event source mapping %s: records come again: %s", self._mapping.uuid, trouble)

    def _leave(self) -> None:
        """Out of the group; lanes are handed over, or end where they stand."""
        self._reading = False
        try:
            self._source.close()
        except SourceError as trouble:
            log.warning("Event source mapping %s: %s", self._mapping.uuid, trouble)
        self.lost(list(self._lanes))

    def _follow(self, failures: int) -> int:
        """Reads until it is stopped or the source fails; returns how often in a row it has failed."""
        while not self._stopped.is_set():
            if self._must_wait_for_room():
                continue
            records = self._source.read(READ_RECORDS, READ_SECONDS)
            self._reading = bool(records)
            if records:
                self._observer.polled(self._mapping, len(records))
                self._hand_out(records)
            if records or self._lanes:
                failures = 0
                self._tell(self._source.trouble())
            self._balance()
            self._commit(at_once=not records)
        return failures

    def _hand_out(self, records: Sequence[SourceRecord]) -> None:
        for name, some in groupby(records, attrgetter("lane")):
            lane = self._lanes.get(name)
            if lane is not None:
                lane.offer(tuple(some))

    def _must_wait_for_room(self) -> bool:
        """While a lane is full and none is hungry there is nothing to read for; waits a moment then."""
        if not self._is_sated():
            self._full_since = None
            return False
        now = self._real.monotonic()
        self._full_since = now if self._full_since is None else self._full_since
        if now > self._full_since + FULL_SECONDS:
            return False
        self._room.clear()
        self._commit(at_once=False)
        if self._is_sated():
            self._room.wait(READ_SECONDS)
        return True

    def _is_sated(self) -> bool:
        lanes = [lane for name, lane in self._lanes.items() if name not in self._paused]
        return any(lane.buffer.is_full for lane in lanes) and not any(lane.buffer.is_hungry for lane in lanes)

    def _balance(self) -> None:
        """Pauses who has too much, or has been full for too long."""
        is_long = self._full_since is not None
        full = [
            name
            for name, lane in self._lanes.items()
            if name not in self._paused and (lane.buffer.is_overfull or (is_long and lane.buffer.is_full))
        ]
        if full:
            self._full_since = None
            self._source.pause(full)
            self._paused.update(full)
        free = [name for name in self._paused if self._lanes[name].buffer.has_room]
        if free:
            self._source.resume(free)
            self._paused.difference_update(free)

    def _commit(self, *, at_once: bool) -> None:
        now = self._real.monotonic()
        if not at_once and now < self._committed_at + COMMIT_SECONDS:
            return
        done = {name: lane.done_offset() for name, lane in self._lanes.items()}
        news = {name: offset for name, offset in done.items() if offset > self._committed[name]}
        if news:
            self._source.commit(news)
            self._committed.update(news)
        self._committed_at = now

    def _tell(self, trouble: str | None) -> None:
        """Reports each trouble once, and its end."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is not None:
            log.warning("Event source mapping %s: %s", self._mapping.uuid, trouble)
        self._reporter.processed(NOTHING_YET if trouble is None else f"PROBLEM: {trouble}")

    def _wait(self, failures: int, *, longest: bool) -> None:
        first, most = self._backoff_seconds
        self._stopped.wait(most if longest else min(most, first * 2 ** min(failures, 10)))

    def _run_in_crew(self, work: Callable[[], None]) -> None:
        try:
            self._threads.submit(work)
        except RuntimeError:
            # The poller has ended: the batch is worked on again by whoever gets the partition.
            log.debug("Event source mapping %s: an answer has come too late", self._mapping.uuid)
