"""One batch of messages on its way through the function, until it is over: run, retried where it was throttled, judged.

Promises: calls ``over`` exactly once; a message that its source has taken back meanwhile is not handed out any more; a
batch that is throttled is tried again with a backoff for as long as its messages are held, as the same batch.
Thread-safe; nothing here blocks but ``start``, which makes the event.
"""

import logging
import math
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rie_server.errors import LambdaError
from rie_server.model.invocation import InvokeResult
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_gathering import HeldRecord, lanes_of
from rie_server.ports import Timer

log = logging.getLogger(__name__)

THROTTLE_SECONDS = 0.25
THROTTLE_MOST_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """
    Attributes:
        batch: as it was begun.
        tried: what the function was to get in the end; the rest was taken back by the source before.
        result: None where the function got nothing.
    """

    batch: Sequence[HeldRecord]
    tried: Sequence[HeldRecord]
    result: InvokeResult | None


class QueueBatch:
    """
    Args:
        throttled: told of each refusal; must not block.
        over: gets the outcome, on any thread; must not block.
        go_on: runs a callback that may take some milliseconds, on another thread.
    """

    def __init__(
        self,
        batch: Sequence[HeldRecord],
        context: QueueContext,
        *,
        throttled: Callable[[LambdaError], None],
        over: Callable[["QueueBatch", BatchOutcome], None],
        go_on: Callable[[Callable[[], None]], None],
    ) -> None:
        self._batch = batch
        self._tried = batch
        self._invocation = context.invocation
        self._clock = context.clock
        self._real = context.real
        self._throttled = throttled
        self._over = over
        self._go_on = go_on
        self._request_id = str(uuid.uuid4())
        self._refusals = 0
        # Guards what follows.
        self._lock = threading.Lock()
        self._timers: list[Timer] = []
        self._is_waiting = False
        self._is_given_up = False

    @property
    def is_waiting(self) -> bool:
        """It was throttled, and waits for the clock."""
        return self._is_waiting

    def start(self) -> None:
        """Hands out what is still held."""
        now = self._real.monotonic()
        lost = lanes_of(held for held in self._tried if held.until <= now)
        self._tried = [held for held in self._tried if held.until > now and held.record.lane not in lost]
        if not self._tried or (self._is_given_up and self._refusals):
            self._over(self, BatchOutcome(batch=self._batch, tried=(), result=None))
            return
        records = [held.record for held in self._tried]
        try:
            payload = self._invocation.payload(records)
        except Exception:
            log.exception("No event can be made of %d messages", len(records))
            self._over(self, BatchOutcome(batch=self._batch, tried=self._tried, result=None))
            return
        self._invocation.submit(payload, len(records), self._request_id, self._on_result)

    def give_up(self) -> None:
        """The poller stops: a batch that is throttled, now or later, does not wait to be tried again."""
        self._is_given_up = True
        self._again()

    def _on_result(self, result: InvokeResult) -> None:
        if result.refusal is None:
            self._over(self, BatchOutcome(batch=self._batch, tried=self._tried, result=result))
            return
        self._throttled(result.refusal)
        pause = min(THROTTLE_SECONDS * 2 ** min(self._refusals, 10), THROTTLE_MOST_SECONDS)
        self._refusals += 1
        until = min(held.until for held in self._tried)
        with self._lock:
            self._is_waiting = True
            self._timers.append(self._clock.call_later(pause, self._again))
            # Where the server's time stands still, the source's does not.
            if math.isfinite(until):
                self._timers.append(self._real.call_later(max(until - self._real.monotonic(), 0.0), self._again))
        if self._is_given_up:
            self._again()

    def _again(self) -> None:
        with self._lock:
            if not self._is_waiting:
                return
            self._is_waiting = False
            timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()
        self._go_on(self.start)
