"""How far a shard has come: which of its records have ended, and the document that a restart goes on from.

``ShardProgress`` and ``ShardCheckpoint`` are pure; ``CheckpointWriter`` is thread-safe.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.model.event_source import Shard, SourceRecord, StreamPosition
from rie_server.model.tumbling_window import TumblingWindow
from rie_server.polling import CheckpointStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardCheckpoint:
    """
    Attributes:
        after_sequence_number: the last record that is done, and all before it; None before the first.
        since: records that arrived earlier do not count, seconds since the epoch; None if all do.
        is_ended: the shard was closed, and every record of it is done.
        window: the tumbling window that is open, with its state.
        began_at: see ``Shard``.
    """

    after_sequence_number: str | None = None
    since: float | None = None
    is_ended: bool = False
    window: TumblingWindow | None = None
    began_at: str | None = None

    def is_of(self, shard: Shard) -> bool:
        """False for a shard of the same name in a stream that was made anew."""
        return self.began_at is None or shard.began_at is None or self.began_at == shard.began_at

    @property
    def position(self) -> StreamPosition:
        if self.after_sequence_number is not None:
            return StreamPosition(after_sequence_number=self.after_sequence_number)
        if self.since is not None:
            return StreamPosition(at_timestamp=self.since)
        return StreamPosition(starting_position="TRIM_HORIZON")

    def document(self) -> dict[str, Any]:
        """For ``CheckpointStore.save``."""
        members: dict[str, Any] = {
            "afterSequenceNumber": self.after_sequence_number,
            "since": self.since,
            "isEnded": self.is_ended,
            "beganAt": self.began_at,
        }
        if self.window is not None:
            members["window"] = {"start": self.window.start, "state": dict(self.window.state)}
        return members


def checkpoint_of(document: Mapping[str, Any], window_seconds: int) -> ShardCheckpoint:
    """
    Args:
        window_seconds: TumblingWindowInSeconds; a window that was open when there was another setting is forgotten.
    """
    window = document.get("window")
    opened = None
    if window and window_seconds and window["start"] % window_seconds == 0:
        opened = TumblingWindow(start=window["start"], length_seconds=window_seconds, state=window["state"])
    return ShardCheckpoint(
        after_sequence_number=document.get("afterSequenceNumber"),
        since=document.get("since"),
        is_ended=bool(document.get("isEnded")),
        began_at=document.get("beganAt"),
        window=opened,
    )


class ShardProgress:
    """Records end in any order when a shard has several lanes; the checkpoint is the last of those that ended without
    a gap. Records that share an identifier, because they were packed together, have ended when all of them have. Each
    record ends once. Not thread-safe.

    Attributes:
        outstanding_bytes: of the records that have not ended.
        checkpoint: identifier of the last record before the first that has not ended; None before the first.
    """

    def __init__(self) -> None:
        # By identifier, in the shard's order: how many records have not ended.
        self._records: dict[str, int] = {}
        self._outstanding = 0
        self.outstanding_bytes = 0
        self.checkpoint: str | None = None

    @property
    def outstanding(self) -> int:
        """How many records have been read and have not ended."""
        return self._outstanding

    def add(self, records: Iterable[SourceRecord]) -> None:
        for record in records:
            self._records[record.identifier] = self._records.get(record.identifier, 0) + 1
            self._outstanding += 1
            self.outstanding_bytes += record.size_bytes

    def finish(self, records: Iterable[SourceRecord]) -> bool:
        """Whether the checkpoint has moved."""
        for record in records:
            if self._records.get(record.identifier):
                self._records[record.identifier] -= 1
                self._outstanding -= 1
                self.outstanding_bytes -= record.size_bytes
        ended = []
        for identifier, outstanding in self._records.items():
            if outstanding:
                break
            ended.append(identifier)
        for identifier in ended:
            del self._records[identifier]
        if ended:
            self.checkpoint = ended[-1]
        return bool(ended)


class CheckpointWriter:
    """Writes the newest checkpoint of one shard; those that come while one is being written share the next write."""

    def __init__(self, store: CheckpointStore, uuid: str, shard_id: str) -> None:
        self._store = store
        self._uuid = uuid
        self._shard_id = shard_id
        self._lock = threading.Lock()
        self._waiting: ShardCheckpoint | None = None
        self._is_writing = False

    @property
    def is_idle(self) -> bool:
        return not self._is_writing

    def write(self, checkpoint: ShardCheckpoint) -> None:
        """Returns at once."""
        with self._lock:
            self._waiting = checkpoint
            if self._is_writing:
                return
            self._is_writing = True
        self._write_next()

    def _write_next(self) -> None:
        with self._lock:
            checkpoint, self._waiting = self._waiting, None
            if checkpoint is None:
                self._is_writing = False
                return
        self._store.save(self._uuid, self._shard_id, checkpoint.document(), self._on_durable)

    def _on_durable(self, error: Exception | None) -> None:
        if error is not None:
            # Its records are read again from an earlier one: at least once is kept.
            log.warning("A checkpoint of %s was not stored: %s", self._shard_id, error)
        self._write_next()
