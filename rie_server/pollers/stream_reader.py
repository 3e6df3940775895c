"""Reads one shard: as fast as there is room while it is behind, a few times a second while records trickle in, about
twice a second while none do. Kinesis allows five reads a second of a shard, to all that read it. Where a source is sent
its records it is read when it says that some have come.

Promises: one read at a time; after trouble it goes on where it was, with a backoff. Waits by the real clock, on no
thread of its own. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from rie_server.errors import IteratorExpiredError, ShardGoneError, SourceError
from rie_server.model.event_source import ShardRead, StreamPosition
from rie_server.pollers.stream_context import StreamTools
from rie_server.ports import Timer

log = logging.getLogger(__name__)

# A read with so many is followed by another at once: DynamoDB does not say how far behind an answer is.
MANY_RECORDS: Final = 100
IDLE_SECONDS: Final = 0.1
IDLE_SECONDS_MOST: Final = 0.5
# Of a source that tells when there is more; and how long what arrives may be on its way to it.
PUSHED_SECONDS: Final = 1.0
PUSH_DELAY_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = 0.5
BACKOFF_SECONDS_MOST: Final = 30.0
_BEGINNING: Final = StreamPosition(starting_position="TRIM_HORIZON")
_TIP: Final = StreamPosition(starting_position="LATEST")

# Gets an answer and when it was asked for, by the server's time in seconds since the epoch; None at the shard's end.
TakeIn = Callable[[ShardRead, float], None]


class ShardReader:
    """
    Args:
        most: records of one read.
        take_in: see ``TakeIn``; may take some milliseconds.
        gone: called when the shard has been trimmed away.
        has_room: whether more records may be read now; ``wake`` when that has changed.
    """

    def __init__(
        self,
        shard_id: str,
        position: StreamPosition,
        *,
        tools: StreamTools,
        most: int,
        take_in: TakeIn,
        gone: Callable[[], None],
        has_room: Callable[[], bool],
    ) -> None:
        self._shard_id = shard_id
        self._position = position
        self._tools = tools
        self._most = most
        self._take_in = take_in
        self._gone = gone
        self._has_room = has_room
        # Written by the reading thread alone.
        self._iterator: str | None = None
        # Not every stream can be read from a time on: what arrived earlier is left out here.
        self._since = position.at_timestamp
        self._failures = self._empty = self._expired = 0
        self.behind_seconds = 0.0
        # Guards what follows.
        self._lock = threading.Lock()
        self._timer: Timer | None = None
        # A read is queued or going on; what waits for room or a timer is neither.
        self._is_reading = False
        self._is_urgent = False
        # Something has come since the read that goes on began.
        self._has_more = False
        self._is_over = False

    def open_tip(self) -> None:
        """Before ``start``: begins with what comes from now on. Without an answer it stays with the position."""
        with suppress(SourceError):
            self._iterator = self._tools.source.iterator(self._shard_id, _TIP)
            self._since = None

    def start(self) -> None:
        self._read_soon()

    def wake(self) -> None:
        """There is room again."""
        if not self._is_reading and self._timer is None:
            self._read_soon()

    def arrived(self) -> None:
        """A source that is sent its records has some."""
        with self._lock:
            self._has_more = True
            is_waiting = self._timer is not None
        if is_waiting and not self._failures:
            self._read_soon()

    def look_now(self) -> None:
        """Reads at once, whatever the pace. It counts as in flight."""
        threads = self._tools.threads
        with self._lock:
            if self._is_urgent or self._is_over or threads.stopping.is_set():
                return
            self._is_urgent = True
            threads.begin()
        self._read_soon()

    # --- pace ---------------------------------------------------------------------------------------------------------

    def _read_soon(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._is_reading or self._is_over or not (self._is_urgent or self._has_room()):
                return
            self._is_reading = True
        self._tools.threads.read(self._read)

    def _read_later(self, seconds: float) -> None:
        with self._lock:
            self._is_reading = False
            is_due = self._is_urgent or (self._has_more and not self._failures)
            if seconds > 0 and not is_due:
                self._timer = self._tools.real.call_later(seconds, self._read_soon)
                return
        self._read_soon()

    def _end(self) -> None:
        with self._lock:
            self._is_reading = False
            self._is_over = True
            was_urgent, self._is_urgent = self._is_urgent, False
        if was_urgent:
            self._tools.threads.end()

    # --- reading, on a thread of the readers' -------------------------------------------------------------------------

    def _read(self) -> None:
        with self._lock:
            was_urgent, self._is_urgent = self._is_urgent, False
            self._has_more = False
        try:
            if not self._tools.threads.stopping.is_set():
                self._read_once()
        finally:
            if was_urgent:
                self._tools.threads.end()

    def _read_once(self) -> None:
        asked_at = self._tools.clock.now()
        try:
            if self._iterator is None:
                self._iterator = self._open()
            answer = self._tools.source.read(self._iterator, self._most)
        except IteratorExpiredError as trouble:
            self._iterator = None
            self._expired += 1
            self._read_later(self._backoff(trouble) if self._expired > 1 else 0.0)
            return
        except ShardGoneError:
            self._end()
            self._gone()
            return
        except Exception as trouble:
            self._read_later(self._backoff(trouble))
            return
        self._failures = self._expired = 0
        self._tools.results.source_answers()
        self._pass_on(answer, asked_at)

    def _pass_on(self, answer: ShardRead, asked_at: float) -> None:
        self._iterator = answer.next_iterator
        self.behind_seconds = answer.behind_seconds
        count = len(answer.records)
        if count:
            self._position = StreamPosition(after_sequence_number=answer.records[-1].identifier)
        since = self._since
        if since is not None:
            answer = replace(answer, records=tuple(one for one in answer.records if one.arrived_at >= since))
        threads = self._tools.threads
        threads.begin()
        try:
            self._take_in(answer, asked_at - PUSH_DELAY_SECONDS if answer.is_pushed else asked_at)
        except Exception as defect:
            # Nothing after these records may be read: the shard stands still until the poller starts anew.
            log.exception("Records of %s cannot be taken in", self._shard_id)
            self._tools.results.source_failed(defect)
            self._end()
            return
        finally:
            threads.end()
        if answer.next_iterator is None:
            self._end()
            return
        if answer.is_pushed:
            self._read_later(0.0 if count else PUSHED_SECONDS)
            return
        self._empty = 0 if count else self._empty + 1
        is_behind = answer.behind_seconds > 0 or count >= MANY_RECORDS
        self._read_later(0.0 if is_behind else min(IDLE_SECONDS * 1.5 ** min(self._empty, 10), IDLE_SECONDS_MOST))

    def _open(self) -> str:
        source = self._tools.source
        self._since = self._position.at_timestamp if self._since is None else self._since
        try:
            return source.iterator(self._shard_id, self._position)
        except IteratorExpiredError as trouble:
            if self._position == _BEGINNING:
                raise
            # The stream has been made anew, or what comes next has been trimmed away.
            log.warning("%s is read from its beginning: %s", self._shard_id, trouble)
            self._position = _BEGINNING
            return source.iterator(self._shard_id, self._position)

    def _backoff(self, trouble: Exception) -> float:
        self._failures += 1
        passes = isinstance(trouble, SourceError) and trouble.passes
        if self._failures > 1 or not passes:  # a stream throttles its readers now and then
            self._tools.results.source_failed(trouble)
        if not passes:
            return BACKOFF_SECONDS_MOST if self._failures > 3 else BACKOFF_SECONDS * 2**self._failures
        return float(min(BACKOFF_SECONDS * 2 ** min(self._failures - 1, 10), BACKOFF_SECONDS_MOST))
