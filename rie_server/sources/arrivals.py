"""What a connection has received and nobody has taken yet. Thread-safe: one thread puts, several take."""

import threading
from collections import deque
from collections.abc import Iterable

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord

MOMENT_SECONDS = 0.002
NOBODY_WAITS = 1 << 62


class Arrivals:
    """The records of one connection; they are worth nothing once it is gone, because the broker sends them again."""

    def __init__(self) -> None:
        self._records: deque[SourceRecord] = deque()
        self._changed = threading.Condition()
        self._end: SourceError | None = None
        # Who waits is woken for the first record, and then for as many as it wants: not for each of them.
        self._wait_for_first = 0
        self._wanted = NOBODY_WAITS

    def put(self, records: Iterable[SourceRecord]) -> None:
        if self._end is not None:
            return
        # Without the lock, which would cost as much as all else: whoever waits has said so before it looked.
        self._records.extend(records)
        if self._wait_for_first or len(self._records) >= self._wanted:
            with self._changed:
                self._changed.notify()

    def end(self, reason: SourceError) -> None:
        """The connection is gone; the first reason counts."""
        with self._changed:
            if self._end is None:
                self._end = reason
            self._records.clear()
            self._changed.notify_all()

    @property
    def ended(self) -> SourceError | None:
        return self._end

    @property
    def waiting(self) -> int:
        return len(self._records)

    def take(self, most: int, wait_seconds: float) -> list[SourceRecord]:
        """Up to ``most`` records; waits for the first one, and a moment for more.

        Raises:
            SourceError: the connection is gone.
        """
        with self._changed:
            self._wait_for_first += 1
            self._changed.wait_for(lambda: self._records or self._end is not None, wait_seconds)
            self._wait_for_first -= 1
            if 0 < len(self._records) < most:
                self._wanted = most
                self._changed.wait_for(lambda: len(self._records) >= most or self._end is not None, MOMENT_SECONDS)
                self._wanted = NOBODY_WAITS
            if self._end is not None:
                raise self._end
            return [self._records.popleft() for _ in range(min(most, len(self._records)))]
