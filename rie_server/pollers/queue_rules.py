"""What differs between the queues that ``message_queue`` polls, and how many batches of one may be with its function.

Pure. AWS: Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings".
"""

from collections.abc import Callable
from dataclasses import dataclass

# What a call of a source costs this process, generously. One that takes longer waits, which others may do beside it.
_CALL_SECONDS = 0.005
# How fast a quick call is forgotten.
_FORGET = 1.05


class CallTimes:
    """How many threads are worth having for the calls of a source: more of them than wait for the network stand in one
    another's way. Judged by the quick ones among the last calls, because the others waited for this process or for
    messages. Thread-safe: a lost update does no harm.
    """

    def __init__(self) -> None:
        self._quick_seconds = 0.0

    def took(self, seconds: float) -> None:
        self._quick_seconds = min(seconds, max(self._quick_seconds, _CALL_SECONDS / 100) * _FORGET)

    def threads(self, most: int) -> int:
        return min(most, 1 + int(self._quick_seconds / _CALL_SECONDS))


def _for_ever() -> float | None:
    return None


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """
    Attributes:
        batches_at_start: batches that may be with the function at a time, to begin with.
        batches_per_minute: how many more each minute while messages wait.
        batches_most: the end of that.
        batches_ahead: how many more may be received meanwhile, so that they are ready: for sources that have a claim on
            the messages that does not run out.
        receivers_least: threads that receive while the queue is empty.
        receivers_most: threads that receive while messages wait.
        receive_most: messages that one call of the source can bring.
        acknowledge_most: messages that one call of the source can delete.
        acknowledge_threads: such calls at a time.
        long_poll_seconds: how long an empty queue is listened to in one call.
        hold_seconds: for how long a received message stays hidden from others, as far as is known without asking; the
            function must not get it any more after that. None: until it is released. Must not block.
        failure_pause_seconds: how long messages of a batch that failed are held back before they are released; for
            sources that deliver them again at once.
        interrupt: ends the calls of ``receive`` that wait, at the end of the poller. Only where nothing is lost by it:
            SQS would hide the next message on behalf of a call whose connection has ended.
    """

    batches_at_start: int = 5
    batches_per_minute: int = 300
    batches_most: int
    batches_ahead: int = 0
    receivers_least: int = 1
    receivers_most: int = 4
    receive_most: int = 10
    acknowledge_most: int = 10
    acknowledge_threads: int = 4
    long_poll_seconds: float = 5.0
    hold_seconds: Callable[[], float | None] = _for_ever
    failure_pause_seconds: float = 0.0
    interrupt: Callable[[], None] = _nothing


class Scaling:
    """How many batches may be with the function now: it grows while messages wait, and starts over after a rest or
    after a throttle. Not thread-safe.
    """

    def __init__(self, rules: QueueRules) -> None:
        self._rules = rules
        self._growing_since: float | None = None

    def limit(self, now: float) -> int:
        """
        Args:
            now: seconds of a monotonic clock, here and below.
        """
        rules = self._rules
        grown = 0.0 if self._growing_since is None else (now - self._growing_since) * rules.batches_per_minute / 60
        return min(rules.batches_most, rules.batches_at_start + int(grown))

    def messages_wait(self, now: float) -> None:
        """The source gave as many messages as were asked for."""
        if self._growing_since is None:
            self._growing_since = now

    def queue_is_empty(self) -> None:
        self._growing_since = None

    def throttled(self, now: float) -> None:
        self._growing_since = now
