"""One stream with its poller, for tests: time is moved by hand, and stands still meanwhile."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rie_server.clock.manual import ManualClock
from rie_server.clock.system import SystemClock
from rie_server.model.event_source import EventSourceMapping
from rie_server.pollers.stream import StreamPoller, StreamPollers
from tests.conftest import wait_until
from tests.fakes.destinations import MemoryDestinations
from tests.fakes.mapping_stores import MemoryCheckpointStore
from tests.fakes.streams import CountingObserver, MemoryReporter, MemoryStream, ScriptedFunction, stream_mapping

START = 1_767_225_600.0


class StreamStory:
    """
    Attributes:
        stream, function, destinations, checkpoints, reporter, observer: fakes; they outlive a poller.
        made_at: when the mapping was made, seconds since the epoch; 0 for when it starts to be polled.
    """

    def __init__(self, real: SystemClock) -> None:
        self.real = real
        self.clock = ManualClock(real, start_at=START)
        self.stream = MemoryStream(now=self.clock.now)
        self.function = ScriptedFunction()
        self.destinations = MemoryDestinations()
        self.checkpoints = MemoryCheckpointStore()
        self.reporter = MemoryReporter()
        self.observer = CountingObserver()
        self.poller: StreamPoller | None = None
        self.mapping: EventSourceMapping = stream_mapping()
        self.made_at = 0.0

    def start(self, **members: Any) -> None:
        """Begins to poll, after ``stop`` as after a restart."""
        self.mapping = replace(stream_mapping(**members), last_modified=self.made_at or self.real.now())
        make = StreamPollers(
            source_of=lambda _mapping: self.stream,
            invoker=self.function,
            checkpoints=self.checkpoints,
            destinations=self.destinations,
            observer=self.observer,
            clock=self.clock,
            real=self.real,
        )
        self.poller = make(self.mapping, self.reporter)
        self.clock.wait_for(self.poller)
        self.poller.start()

    def stop(self) -> None:
        if self.poller is not None:
            self.poller.stop()
            assert self.poller.join(5), "the poller did not come to an end"
            self.poller = None

    def advance(self, seconds: float) -> None:
        assert self.clock.advance(seconds, settle_seconds=5), "the poller did not settle"

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        wait_until(condition, seconds=5, what=what)

    def wait_batches(self, *batches: str) -> None:
        """Until the function has had ``batches``, and nothing is in flight."""
        wait_until(
            lambda: len(self.function.batches) >= len(batches) and self.poller and self.poller.is_settled(),
            seconds=5,
            what=f"{batches}, not {self.function.batches}",
        )
        assert self.function.batches == list(batches)

    def checkpoint(self, shard_id: str = "shardId-000000000000") -> str | None:
        document = self.checkpoints.load(self.mapping.uuid).get(shard_id, {})
        return document.get("afterSequenceNumber")


@contextlib.contextmanager
def stream_story() -> Iterator[StreamStory]:
    real = SystemClock()
    real.start()
    told = StreamStory(real)
    try:
        yield told
        told.stop()
    finally:
        told.clock.close()
        real.close()
