"""A topic in memory, and a member of its consumer group that a test takes partitions from and gives them to."""

import base64
import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.errors import DeliveryError, SourceError
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind, SourceRecord
from rie_server.polling import PartitionWatcher

TOPIC = "orders"
SERVERS = "127.0.0.1:9092"


def partition_mapping(**members: Any) -> EventSourceMapping:
    return EventSourceMapping(
        uuid="11111111-2222-3333-4444-555555555555",
        kind=SourceKind.SELF_MANAGED_KAFKA,
        function=FunctionArn(region="eu-west-1", account="123456789012", name="orders"),
        source_arn=None,
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="USER_INITIATED",
        members={"BatchSize": 2, "MaximumBatchingWindowInSeconds": 0, "Topics": [TOPIC], **members},
        last_modified=0.0,
    )


def records(*values: str, lane: str = f"{TOPIC}-0", first: int = 0, arrived_at: float = 0.0) -> list[SourceRecord]:
    """With consecutive offsets from ``first`` on. ``!`` before a value makes a record that no function may see."""
    return [
        SourceRecord(
            identifier=str(first + number),
            lane=lane,
            arrived_at=arrived_at,
            size_bytes=200 + len(value) * 4 // 3,
            document={
                "topic": TOPIC,
                "partition": int(lane.rsplit("-", 1)[1]),
                "offset": first + number,
                "value": base64.b64encode(value.encode()).decode(),
            },
            payload=value.encode(),
            invalid="it is marked" if value.startswith("!") else None,
        )
        for number, value in enumerate(values)
    ]


def values_of(payload: bytes) -> list[str]:
    """Of an event's records."""
    found = json.loads(payload)["records"].values()
    return [base64.b64decode(one["value"]).decode() for some in found for one in some]


class FakePartitions:
    """Fills ``polling.PartitionSource``.

    Attributes:
        opened: how often it was opened.
        failures: raised by ``open``, one each time.
        committed: the last offset of each lane.
        handed_over: what the watcher said was done when lanes were taken away.
        delivered: (topic, record, key) of ``deliver``.
        refuses: ``deliver`` fails.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.failures: list[SourceError] = []
        self.committed: dict[str, int] = {}
        self.handed_over: dict[str, int] = {}
        self.delivered: list[tuple[str, Any, bytes | None]] = []
        self.refuses = False
        self.paused: set[str] = set()
        self.told: str | None = None
        self.is_open = threading.Event()
        self._watcher: PartitionWatcher | None = None
        self._lanes: set[str] = set()
        self._todo: queue.Queue[Callable[[], Sequence[SourceRecord]]] = queue.Queue()

    # --- what a test does; carried out on the reading thread ----------------------------------------------------------

    def assign(self, lane: str = f"{TOPIC}-0", offset: int = 0) -> None:
        def work() -> Sequence[SourceRecord]:
            self._lanes.add(lane)
            self._its_watcher.assigned({lane: offset})
            return ()

        self._todo.put(work)

    def revoke(self, lane: str = f"{TOPIC}-0") -> threading.Event:
        """The event is set when the lane has been handed over."""
        done = threading.Event()

        def work() -> Sequence[SourceRecord]:
            self._lanes.discard(lane)
            self.handed_over.update(self._its_watcher.revoked([lane]))
            done.set()
            return ()

        self._todo.put(work)
        return done

    def lose(self, lane: str = f"{TOPIC}-0") -> None:
        def work() -> Sequence[SourceRecord]:
            self._lanes.discard(lane)
            self._its_watcher.lost([lane])
            return ()

        self._todo.put(work)

    def send(self, some: Sequence[SourceRecord]) -> None:
        self._todo.put(lambda: some)

    def fail(self, error: SourceError) -> None:
        def work() -> Sequence[SourceRecord]:
            raise error

        self._todo.put(work)

    def wait_read(self) -> None:
        """Until the reading thread has done all that was asked for before."""
        seen = threading.Event()

        def work() -> Sequence[SourceRecord]:
            seen.set()
            return ()

        for _ in range(2):  # twice, because what was read is worked on after ``read`` has returned
            seen.clear()
            self._todo.put(work)
            assert seen.wait(5)

    @property
    def _its_watcher(self) -> PartitionWatcher:
        assert self._watcher is not None
        return self._watcher

    # --- polling.PartitionSource --------------------------------------------------------------------------------------

    def open(self, watcher: PartitionWatcher) -> None:
        self.opened += 1
        if self.failures:
            raise self.failures.pop(0)
        self._watcher = watcher
        self.is_open.set()

    def read(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        try:
            return self._todo.get(timeout=0.01)()
        except queue.Empty:
            return ()

    def trouble(self) -> str | None:
        return self.told

    def pause(self, lanes: Sequence[str]) -> None:
        self.paused.update(lanes)

    def resume(self, lanes: Sequence[str]) -> None:
        self.paused.difference_update(lanes)

    def commit(self, offsets: Mapping[str, int]) -> None:
        self.committed.update(offsets)

    def deliver(self, topic: str, body: bytes, key: bytes | None) -> None:
        if self.refuses:
            raise DeliveryError(f"{topic} takes nothing", passes=True)
        self.delivered.append((topic, json.loads(body), key))

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        by_lane: dict[str, list[Any]] = {}
        for record in records:
            by_lane.setdefault(record.lane or "", []).append(dict(record.document))
        return {"eventSource": "SelfManagedKafka", "bootstrapServers": SERVERS, "records": by_lane}

    def backlog(self) -> int | None:
        return None

    def close(self) -> None:
        if self._watcher is not None and self._lanes:
            lanes, self._lanes = sorted(self._lanes), set()
            done = self._watcher.revoked(lanes)
            self.handed_over.update(done)
            self.committed.update(done)
        self._watcher = None
        self.is_open.clear()
