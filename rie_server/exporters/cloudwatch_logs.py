"""Sends the logs of functions to CloudWatch Logs, or to whatever stands in for it (``AWS_ENDPOINT_URL_LOGS``).

Groups and streams are made when the first line for them comes, as AWS does. The thread ``cloudwatch-logs`` sends, one
stream after the other; a stream that is refused waits with a growing pause and does not hold up the others. What waits
is bounded: when the service is away for long the oldest lines give way, and that is said once. No invocation ever waits
for it. Fills ``observing.LogDelivery``; thread-safe.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from rie_server.aws_clients import ServiceClients
from rie_server.model.log_event import LogEvent, LogStreamAddress, log_events, next_batch
from rie_server.ports import Clock

WAITING_BYTES = 32 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# At the end the last lines get this long.
CLOSE_SECONDS = 10.0

# Refusals that the same batch would meet again.
_HOPELESS = frozenset({"InvalidParameterException", "ValidationException", "SerializationException"})

log = logging.getLogger(__name__)


class _Stream:
    """What waits for one stream. ``retry_at``: monotonic seconds before which it is left alone."""

    __slots__ = ("address", "pause_seconds", "retry_at", "waiting")

    def __init__(self, address: LogStreamAddress) -> None:
        self.address = address
        self.waiting: deque[LogEvent] = deque()
        self.pause_seconds = FIRST_PAUSE_SECONDS
        self.retry_at = 0.0


class CloudWatchLogs:
    def __init__(self, *, clients: ServiceClients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._lock = threading.Lock()
        self._streams: dict[LogStreamAddress, _Stream] = {}
        self._waiting_bytes = 0
        self._dropped = 0
        self._troubled = False
        self._wake = threading.Event()
        self._closing = False
        self._gives_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="cloudwatch-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self, lines: Sequence[tuple[LogStreamAddress, float, str]]) -> None:
        """Lines with the time of each, in seconds since the epoch. Returns at once."""
        with self._lock:
            for address, epoch_seconds, line in lines:
                stream = self._streams.get(address)
                if stream is None:
                    stream = self._streams[address] = _Stream(address)
                for event in log_events(epoch_seconds, line):
                    stream.waiting.append(event)
                    self._waiting_bytes += event.size_bytes
            self._make_room()
        self._wake.set()

    def close(self) -> None:
        """Sends what is left, each stream's until it is refused, and for ``CLOSE_SECONDS`` at most."""
        self._gives_up_at = self._clock.monotonic() + CLOSE_SECONDS
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS + 1.0)
        self._clients.close()
        lost = self._dropped + sum(len(stream.waiting) for stream in self._streams.values())
        if lost:
            log.warning("%d lines of functions' logs did not reach CloudWatch Logs", lost)

    def _make_room(self) -> None:
        """Under the lock."""
        while self._waiting_bytes > WAITING_BYTES:
            fullest = max(self._streams.values(), key=lambda stream: len(stream.waiting))
            self._waiting_bytes -= fullest.waiting.popleft().size_bytes
            self._dropped += 1

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            pause_seconds = self._send_all()
            if self._closing and pause_seconds is None:
                return
            if pause_seconds is not None:
                self._clock.call_later(pause_seconds, self._wake.set)

    def _send_all(self) -> float | None:
        """Sends what may be sent now; in how many seconds to come again, None if nothing waits."""
        while True:
            now = self._clock.monotonic()
            with self._lock:
                waiting = [one for one in self._streams.values() if one.waiting]
            # At the end everybody has one more attempt.
            due = [one for one in waiting if one.retry_at <= now or self._closing]
            if not due:
                return max(0.0, min(one.retry_at for one in waiting) - now) if waiting else None
            for stream in due:
                if self._clock.monotonic() >= self._gives_up_at:
                    return None
                self._send(stream)

    def _send(self, stream: _Stream) -> None:
        with self._lock:
            batch = next_batch(stream.waiting)
        if not batch:
            return
        try:
            self._put(stream.address, batch)
        except Exception as refused:
            self._refused(stream, batch, refused)
            return
        self._settle(stream, batch)
        stream.pause_seconds = FIRST_PAUSE_SECONDS
        self._troubled = False

    def _settle(self, stream: _Stream, batch: Sequence[LogEvent]) -> None:
        """The batch does not wait any more. Meanwhile some of it may have given way to newer lines."""
        sent = set(map(id, batch))
        with self._lock:
            while stream.waiting and id(stream.waiting[0]) in sent:
                self._waiting_bytes -= stream.waiting.popleft().size_bytes
            if not stream.waiting:
                self._streams.pop(stream.address, None)

    def _refused(self, stream: _Stream, batch: Sequence[LogEvent], refused: Exception) -> None:
        if not self._troubled:
            log.warning("CloudWatch Logs does not take lines for %s: %s", stream.address.group, refused)
        self._troubled = True
        if _code(refused) in _HOPELESS:
            with self._lock:
                self._dropped += len(batch)
            self._settle(stream, batch)
            return
        if self._closing:
            with self._lock:
                self._dropped += len(stream.waiting)
                stream.waiting.clear()
            return
        stream.retry_at = self._clock.monotonic() + stream.pause_seconds
        stream.pause_seconds = min(stream.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _put(self, address: LogStreamAddress, batch: Sequence[LogEvent]) -> None:
        client = self._clients.client("logs", address.region)
        request = {
            "logGroupName": address.group,
            "logStreamName": address.stream,
            "logEvents": [{"timestamp": event.epoch_milliseconds, "message": event.message} for event in batch],
        }
        try:
            client.put_log_events(**request)
        except Exception as refused:
            if _code(refused) != "ResourceNotFoundException":
                raise
            self._make(client, address)
            client.put_log_events(**request)

    @staticmethod
    def _make(client: Any, address: LogStreamAddress) -> None:
        for make, names in (
            (client.create_log_group, {"logGroupName": address.group}),
            (client.create_log_stream, {"logGroupName": address.group, "logStreamName": address.stream}),
        ):
            try:
                make(**names)
            except Exception as refused:
                if _code(refused) != "ResourceAlreadyExistsException":
                    raise


def _code(refused: Exception) -> str:
    response = getattr(refused, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
