"""One subscriber: gathers events into batches and sends them, in order, on a thread of its own.

A batch goes as soon as it has as many items or bytes as the subscriber asked for, or its oldest event is as old. What
is refused is sent again, with a growing pause, until the environment ends. While it waits further events are kept, up
to a few batches; then new ones are dropped and counted, and the next batch begins by telling so
(``platform.logsDropped``). So a subscriber that hangs costs neither memory without end nor any invocation its time.

Thread-safe; ``offer`` never blocks. The thread ``telemetry-...`` ends with ``close``.
"""

import logging
import threading
from collections import deque

from rie_server.model.telemetry_subscription import Subscription
from rie_server.observing import TelemetryConnection
from rie_server.ports import Clock
from rie_server.telemetry.platform_events import logs_dropped
from rie_server.telemetry.schemas import encoded, platform_document
from rie_server.telemetry.timestamps import iso_milliseconds

# As many batches may wait: one that is under way, and what comes meanwhile.
WAITING_BATCHES = 4
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Subscriber:
    def __init__(
        self, *, name: str, subscription: Subscription, connection: TelemetryConnection, clock: Clock, label: str
    ) -> None:
        self.name = name
        self.subscription = subscription
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped_records = 0
        self._dropped_bytes = 0
        self._armed = False
        self._wake = threading.Event()
        self._again = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{label}-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def offer(self, event: bytes) -> None:
        """Takes an event that this subscriber is to get."""
        subscription = self.subscription
        with self._lock:
            waiting_bytes = self._waiting_bytes + len(event)
            if (
                len(self._waiting) >= WAITING_BATCHES * subscription.max_items
                or waiting_bytes > WAITING_BATCHES * subscription.max_bytes
            ):
                self._dropped_records += 1
                self._dropped_bytes += len(event)
                return
            self._waiting.append(event)
            self._waiting_bytes = waiting_bytes
            full = len(self._waiting) >= subscription.max_items or waiting_bytes >= subscription.max_bytes
            arm = not self._armed and not full
            self._armed = self._armed or arm
        if full:
            self._wake.set()
        elif arm:
            self._clock.call_later(subscription.timeout_ms / 1000, self.flush)

    def flush(self) -> None:
        """What waits is sent at once."""
        self._wake.set()

    def close(self) -> None:
        """Ends the thread; what has not been taken by now is lost with the environment that it was for."""
        self._closing.set()
        self._wake.set()
        self._again.set()
        self._connection.close()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while not self._closing.is_set() and (batch := self._take()):
                self._deliver(batch)
            if self._closing.is_set():
                return

    def _take(self) -> list[bytes]:
        """The next batch; empty when nothing waits."""
        subscription = self.subscription
        with self._lock:
            self._armed = False
            dropped = self._dropped_records, self._dropped_bytes
            self._dropped_records = self._dropped_bytes = 0
            batch: list[bytes] = []
            batch_bytes = 0
            while self._waiting and len(batch) < subscription.max_items:
                batch_bytes += len(self._waiting[0])
                if batch and batch_bytes > subscription.max_bytes:
                    break
                event = self._waiting.popleft()
                self._waiting_bytes -= len(event)
                batch.append(event)
        return [self._told(*dropped), *batch] if dropped[0] else batch

    def _told(self, dropped_records: int, dropped_bytes: int) -> bytes:
        event = logs_dropped(dropped_records, dropped_bytes)
        document = platform_document(event, iso_milliseconds(self._clock.now()), self.subscription.schema_version)
        assert document is not None
        return encoded(document)

    def _deliver(self, batch: list[bytes]) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            try:
                self._connection.send(batch)
            except OSError as refused:
                log.debug("%s does not take its telemetry: %s", self.name, refused)
            else:
                return
            self._pause(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _pause(self, seconds: float) -> None:
        timer = self._clock.call_later(seconds, self._again.set)
        self._again.wait()
        self._again.clear()
        timer.cancel()
