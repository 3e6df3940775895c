"""The poller of Kinesis and DynamoDB Streams: follows the shards of a stream and polls each of them.

Promises: parents before children; shards that come to be by a split or a merge are found while it runs. A record is
checkpointed only after the function succeeded with it, after its failure record was delivered, or where no filter wants
it. On ``stop`` what is with the function is finished; what was read and not begun is read again by the next start. A
process that dies repeats what came after its last checkpoints. Thread-safe.

    shards -> reader -> filter -> lanes -> batches -> checkpoint
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.model.filter_pattern import compile_filters
from rie_server.model.stream_batch import UNLIMITED, StreamRules
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.stream_checkpoint import ShardCheckpoint, checkpoint_of
from rie_server.pollers.stream_context import StreamResults, StreamTools
from rie_server.pollers.stream_failures import FailureRecords
from rie_server.pollers.stream_shard import ShardPoller
from rie_server.pollers.stream_shards import first_checkpoints, shards_to_start
from rie_server.pollers.stream_threads import StreamThreads
from rie_server.polling import CheckpointStore, MappingReporter, PollObserver, StreamSource
from rie_server.ports import Clock, Destinations, Invoker, Timer

log = logging.getLogger(__name__)

# How long ``start`` waits for the first look at the stream: what comes after a mapping is enabled is after its LATEST.
FIRST_LOOK_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 10.0
# While no shard is being read: children of one that has ended may not be listed yet.
LOOK_SOON_SECONDS: Final = 0.5
BACKOFF_SECONDS_MOST: Final = 30.0
_STORED_LOOK_SECONDS: Final = 0.005


class StreamPoller:
    """Fills ``polling.Poller``. Owns ``tools.source`` and ``tools.threads``."""

    def __init__(self, tools: StreamTools) -> None:
        self._tools = tools
        self._threads = tools.threads
        self._has_looked = threading.Event()
        # Guards what follows.
        self._lock = threading.Lock()
        self._shards: dict[str, ShardPoller] = {}
        self._checkpoints: dict[str, ShardCheckpoint] | None = None
        self._is_looking = False
        self._look_again = False
        self._failures = 0
        self._timer: Timer | None = None
        tools.source.watch(self._on_arrival)

    # --- polling.Poller -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._look()
        self._has_looked.wait(FIRST_LOOK_SECONDS)

    def stop(self) -> None:
        self._threads.stop()
        self._has_looked.set()
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def join(self, timeout_seconds: float) -> bool:
        real = self._tools.real
        give_up_at = real.monotonic() + timeout_seconds
        is_over = self._threads.wait_idle(timeout_seconds)
        while is_over and not all(shard.is_stored for shard in self._all()):
            if real.monotonic() >= give_up_at:
                is_over = False
                break
            real.sleep(_STORED_LOOK_SECONDS)
        if is_over:
            self._threads.close()
            self._tools.source.close()
        return is_over

    def is_settled(self) -> bool:
        return self._has_looked.is_set() and not self._threads.in_flight

    def describe(self) -> Mapping[str, Any]:
        shards = self._all()
        return {
            "backlog": sum(shard.waiting for shard in shards),
            "behind_seconds": max((shard.behind_seconds for shard in shards), default=0.0),
            "pollers": len(shards),
            "in_flight": sum(shard.running for shard in shards),
        }

    def _on_arrival(self, shard_id: str) -> None:
        shard = self._shards.get(shard_id)
        if shard is not None:
            shard.arrived()

    def _all(self) -> list[ShardPoller]:
        with self._lock:
            return list(self._shards.values())

    # --- following the shards -----------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Looks for shards to start, soon."""
        with self._lock:
            self._look_again = True
            if self._is_looking or self._threads.stopping.is_set():
                return
            self._is_looking, self._look_again = True, False
            if self._timer is not None:
                self._timer.cancel()
        self._threads.read(self._look_once)

    def _look_once(self) -> None:
        if self._threads.stopping.is_set():
            return
        try:
            is_reading = self._start_shards()
        except Exception as trouble:
            self._tools.results.source_failed(trouble)
            self._failures += 1
            passes = not isinstance(trouble, SourceError) or trouble.passes
            most = BACKOFF_SECONDS_MOST if passes else BACKOFF_SECONDS_MOST * 2
            seconds = min(LOOK_SOON_SECONDS * 2 ** min(self._failures - 1, 10), most)
        else:
            self._failures = 0
            seconds = LOOK_SECONDS if is_reading else LOOK_SOON_SECONDS
        self._has_looked.set()
        with self._lock:
            self._is_looking = False
            again = self._look_again
            if not again and not self._threads.stopping.is_set():
                self._timer = self._tools.real.call_later(seconds, self._look)
        if again:
            self._look()

    def _start_shards(self) -> bool:
        """Whether any shard is being read now."""
        tools = self._tools
        is_late = self._has_looked.is_set()
        listed = tools.source.shards()
        tools.results.source_answers()
        checkpoints = self._known_checkpoints()
        first = {} if checkpoints else first_checkpoints(tools.mapping, listed)
        for shard_id, checkpoint in first.items():
            tools.checkpoints.save(tools.mapping.uuid, shard_id, checkpoint.document())
        with self._lock:
            checkpoints.update(first)
            starts = shards_to_start(
                tools.mapping, listed, checkpoints, running=self._shards.keys(), is_first=bool(first) and not is_late
            )
            begun = [ShardPoller(start, tools=tools, ended=self._on_ended) for start in starts]
            self._shards.update((shard.shard_id, shard) for shard in begun)
        for shard in begun:
            shard.start()  # at the tip before anybody is told that the mapping is enabled
        self._forget({shard.shard_id for shard in listed})
        with self._lock:
            return bool(self._shards)

    def _known_checkpoints(self) -> dict[str, ShardCheckpoint]:
        mapping = self._tools.mapping
        if self._checkpoints is None:
            window_seconds = int(mapping.members.get("TumblingWindowInSeconds") or 0)
            documents = self._tools.checkpoints.load(mapping.uuid)
            self._checkpoints = {name: checkpoint_of(one, window_seconds) for name, one in documents.items()}
        return self._checkpoints

    def _forget(self, listed: set[str]) -> None:
        """Checkpoints of shards that the stream has no longer."""
        with self._lock:
            checkpoints = self._checkpoints or {}
            gone = [name for name in checkpoints if name not in listed and name not in self._shards]
            for name in gone:
                del checkpoints[name]
        for name in gone:
            self._tools.checkpoints.forget(self._tools.mapping.uuid, name)

    def _on_ended(self, shard_id: str, checkpoint: ShardCheckpoint) -> None:
        log.info("%s of %s has ended", shard_id, self._tools.mapping.source_arn)
        with self._lock:
            if self._checkpoints is not None:
                self._checkpoints[shard_id] = checkpoint
            self._shards.pop(shard_id, None)
        self._look()


class StreamPollers:
    """Makes the pollers of streams (fills ``polling.MakePoller``).

    Args:
        source_of: makes the source of a mapping; its poller closes it.
        clock: the server's time: windows, ages, backoff after failures.
        real: whatever waits for a stream.
    """

    def __init__(
        self,
        *,
        source_of: Callable[[EventSourceMapping], StreamSource],
        invoker: Invoker,
        checkpoints: CheckpointStore,
        destinations: Destinations,
        observer: PollObserver,
        clock: Clock,
        real: Clock,
    ) -> None:
        self._source_of = source_of
        self._invoker = invoker
        self._checkpoints = checkpoints
        self._destinations = destinations
        self._observer = observer
        self._clock = clock
        self._real = real

    def __call__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> StreamPoller:
        source = self._source_of(mapping)
        threads = StreamThreads(mapping.uuid[:8])
        results = StreamResults(mapping, reporter, source.note)
        tools = StreamTools(
            mapping=mapping,
            source=source,
            invocation=BatchInvocation(
                mapping=mapping, source=source, invoker=self._invoker, observer=self._observer, clock=self._real
            ),
            filters=compile_filters(mapping.filter_patterns),
            rules=_rules(mapping),
            checkpoints=self._checkpoints,
            failures=FailureRecords(
                mapping=mapping,
                destinations=self._destinations,
                observer=self._observer,
                threads=threads,
                processed=results.processed,
                clock=self._clock,
            ),
            results=results,
            observer=self._observer,
            threads=threads,
            clock=self._clock,
            real=self._real,
        )
        return StreamPoller(tools)


def _rules(mapping: EventSourceMapping) -> StreamRules:
    members = mapping.members
    attempts, age = members.get("MaximumRetryAttempts"), members.get("MaximumRecordAgeInSeconds")
    return StreamRules(
        maximum_retry_attempts=UNLIMITED if attempts is None else int(attempts),
        maximum_record_age_seconds=UNLIMITED if age is None else int(age),
        bisects=bool(members.get("BisectBatchOnFunctionError")),
    )
