"""One shard of a stream on its way through the function, from where its checkpoint stands to its end.

Promises: a checkpoint never passes a record that has not ended; a shard has ended when it is closed and every record of
it has. Thread-safe.
"""

import logging
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_source import ShardRead, SourceRecord
from rie_server.model.filter_documents import passes
from rie_server.model.tumbling_window import TumblingWindow
from rie_server.pollers.stream_checkpoint import CheckpointWriter, ShardCheckpoint, ShardProgress
from rie_server.pollers.stream_context import StreamTools
from rie_server.pollers.stream_lane import StreamLane
from rie_server.pollers.stream_reader import ShardReader
from rie_server.pollers.stream_shards import ShardStart
from rie_server.pollers.stream_windows import ShardWindows

log = logging.getLogger(__name__)

# Of one read: more cost fewer calls, and memory while they wait.
READ_RECORDS: Final = 5000
# The next read begins when no more than so many wait, or than two batches of each lane.
ROOM_RECORDS: Final = 1000


class ShardPoller:
    """
    Args:
        ended: called once when the shard has ended, with its last checkpoint; must not block.
    """

    def __init__(self, start: ShardStart, *, tools: StreamTools, ended: Callable[[str, ShardCheckpoint], None]) -> None:
        self.shard_id = start.shard_id
        self._at_tip = start.at_tip
        self._tools = tools
        self._ended = ended
        mapping = tools.mapping
        factor = int(mapping.members.get("ParallelizationFactor") or 1)
        self._room_records = max(2 * mapping.batch_size * factor, ROOM_RECORDS)
        self._room_bytes = SYNC_PAYLOAD_BYTES * (factor + 2)
        self._writer = CheckpointWriter(tools.checkpoints, mapping.uuid, start.shard_id)
        self._reader = ShardReader(
            start.shard_id,
            start.checkpoint.position,
            tools=tools,
            most=max(mapping.batch_size, READ_RECORDS),
            take_in=self._take_in,
            gone=self._gone,
            has_room=self._has_room,
        )
        self._lanes = [self._lane(start.checkpoint) for _ in range(factor)]
        # Guards what follows.
        self._lock = threading.Lock()
        self._progress = ShardProgress()
        self._checkpoint = start.checkpoint
        self._is_at_end = False

    def _lane(self, checkpoint: ShardCheckpoint) -> StreamLane:
        length_seconds = int(self._tools.mapping.members.get("TumblingWindowInSeconds") or 0)
        windows = None
        if length_seconds:
            windows = ShardWindows(self.shard_id, length_seconds, checkpoint.window, self._tools)
        return StreamLane(
            self.shard_id,
            tools=self._tools,
            windows=windows,
            finished=self._finished,
            look_now=self._reader.look_now,
        )

    def start(self) -> None:
        """Blocks for a call of the stream where it begins at the shard's tip."""
        if self._at_tip:
            self._reader.open_tip()
        self._reader.start()

    def arrived(self) -> None:
        """The source has something to read."""
        self._reader.arrived()

    @property
    def behind_seconds(self) -> float:
        return self._reader.behind_seconds

    @property
    def running(self) -> int:
        """Batches that are on their way."""
        return sum(lane.is_running for lane in self._lanes)

    @property
    def waiting(self) -> int:
        """Records that were read and have not ended."""
        return self._progress.outstanding

    @property
    def is_stored(self) -> bool:
        """The last checkpoint is durable."""
        return self._writer.is_idle

    def describe(self) -> Mapping[str, Any]:
        return {"shard_id": self.shard_id, "waiting": self.waiting, "behind_seconds": self.behind_seconds}

    # --- from the reader ----------------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        progress = self._progress
        return progress.outstanding < self._room_records and progress.outstanding_bytes < self._room_bytes

    def _take_in(self, answer: ShardRead, asked_at: float) -> None:
        if answer.records:
            self._hand_out(answer.records)
        elif answer.behind_seconds <= 0:
            for lane in self._lanes:
                lane.at_tip(asked_at)
        if answer.next_iterator is None:
            self._end()

    def _hand_out(self, records: Sequence[SourceRecord]) -> None:
        tools = self._tools
        tools.observer.polled(tools.mapping, len(records))
        wanted, unwanted = list(records), list[SourceRecord]()
        if tools.filters.patterns:
            wanted = []
            for record in records:
                (wanted if passes(tools.filters, tools.mapping.kind, record) else unwanted).append(record)
        with self._lock:
            self._progress.add(records)
        if unwanted:
            tools.observer.filtered_out(tools.mapping, len(unwanted))
            with self._lock:
                window = self._checkpoint.window
            self._finished(unwanted, window)
        self._feed(wanted)

    def _feed(self, records: Sequence[SourceRecord]) -> None:
        lanes = self._lanes
        if len(lanes) == 1:
            lanes[0].feed(records)
            return
        shares: dict[int, list[SourceRecord]] = {}
        for record in records:
            shares.setdefault(zlib.crc32((record.lane or "").encode()) % len(lanes), []).append(record)
        for number, share in shares.items():
            lanes[number].feed(share)

    def _gone(self) -> None:
        """Trimmed away, or away with its stream: what it had that was not read is lost."""
        log.warning("%s of %s is gone", self.shard_id, self._tools.mapping.source_arn)
        self._end()

    def _end(self) -> None:
        with self._lock:
            self._is_at_end = True
        for lane in self._lanes:
            lane.end()
        self._finished((), self._checkpoint.window)

    # --- from the lanes -----------------------------------------------------------------------------------------------

    def _finished(self, records: Sequence[SourceRecord], window: TumblingWindow | None) -> None:
        with self._lock:
            has_moved = self._progress.finish(records) or window != self._checkpoint.window
            is_over = self._is_at_end and not self._progress.outstanding and not self._checkpoint.is_ended
            is_over = is_over and all(lane.is_idle for lane in self._lanes)
            if has_moved or is_over:
                after = self._progress.checkpoint or self._checkpoint.after_sequence_number
                self._checkpoint = checkpoint = replace(
                    self._checkpoint, after_sequence_number=after, window=window, is_ended=is_over
                )
                self._writer.write(checkpoint)
        if is_over:
            self._ended(self.shard_id, checkpoint)
        elif self._has_room():
            self._reader.wake()
