"""One subscription of an enhanced fan-out consumer to a shard: five minutes, in which Kinesis sends what arrives.

A thread of its own takes the events off the connection into a small buffer; while that is full, Kinesis waits.
Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from rie_server.errors import SourceError

# Events have up to 1 MB each on AWS.
BUFFERED_EVENTS: Final = 4
JOIN_SECONDS: Final = 2.0

Failures = Callable[[BaseException], SourceError]


class Body(Protocol):
    def shutdown(self) -> None:
        """Ends a reading on another thread."""

    def close(self) -> None:
        """For the thread that reads."""


class Subscription:
    """
    Args:
        events: of botocore's event stream; waits for each.
        body: what they are read from.
        failure_of: what an exception of ``events`` means.
        arrived: called when there is something to take, and at the end; must not block.

    Attributes:
        continuation: where the next subscription goes on; None as long as no event has said so.
        is_at_end: the shard was closed, and its last event was taken.
        quiet: events without records that were taken in a row.
        behind_seconds: as the last event that was taken said; above 0 before the first.
    """

    def __init__(
        self,
        shard_id: str,
        events: Iterable[Mapping[str, Any]],
        body: Body,
        *,
        failure_of: Failures,
        arrived: Callable[[], None],
    ) -> None:
        self.continuation: str | None = None
        self.is_at_end = False
        self.quiet = 0
        self.behind_seconds = 0.001
        self._events = events
        self._body = body
        self._failure_of = failure_of
        self._arrived = arrived
        self._thread = threading.Thread(target=self._run, name=f"fan-out-{shard_id[-6:]}", daemon=True)
        # Guards what follows; notified when there is room, and at the end.
        self._changed = threading.Condition()
        self._buffer: deque[Mapping[str, Any]] = deque()
        self._failure: SourceError | None = None
        self._is_over = self._is_closed = False

    def start(self) -> None:
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Nothing comes any more, and everything was taken."""
        with self._changed:
            return self._is_over and not self._buffer

    def take(self) -> Mapping[str, Any] | None:
        """The next SubscribeToShardEvent that has come; None if there is none now.

        Raises:
            SourceError: how the subscription has ended, unless it has ended well; once.
        """
        with self._changed:
            if self._buffer:
                event = self._buffer.popleft()
                self._changed.notify_all()
                self._note(event)
                return event
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return None

    def _note(self, event: Mapping[str, Any]) -> None:
        self.continuation = event.get("ContinuationSequenceNumber") or self.continuation
        # Kinesis names the children with the last event, and no place to go on.
        self.is_at_end = not event.get("ContinuationSequenceNumber") and event.get("ChildShards") is not None
        self.behind_seconds = (event.get("MillisBehindLatest") or 0) / 1000
        self.quiet = 0 if event["Records"] else self.quiet + 1

    def close(self) -> None:
        """Ends the connection; returns at once. Idempotent."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._body.shutdown()

    def join(self) -> None:
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        failure = None
        count = 0
        try:
            for event in self._events:
                if not self._put(event["SubscribeToShardEvent"]):
                    break
                count += 1
        except Exception as trouble:
            failure = self._failure_of(trouble)
        if count == 0 and failure is None:
            # Who asks again at once would ask for ever.
            failure = SourceError("The subscription has ended before its first event")
        with suppress(Exception):  # it was broken already
            self._body.close()
        with self._changed:
            # A connection that breaks off after a while is an end like any other.
            is_told = failure is not None and (count == 0 or not failure.passes) and not self._is_closed
            self._failure = failure if is_told else None
            self._is_over = True
            is_closed = self._is_closed
        if not is_closed:
            self._arrived()

    def _put(self, event: Mapping[str, Any]) -> bool:
        """Waits for room; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._buffer) < BUFFERED_EVENTS)
            if self._is_closed:
                return False
            self._buffer.append(event)
        self._arrived()
        return True
