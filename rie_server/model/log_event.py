"""CloudWatch Logs: where lines of a function go, and what one PutLogEvents takes. Pure.

AWS's limits: a batch is 1 MB, counting 26 bytes for each event, 10,000 events, in the order of time, within 24 hours;
an event is not empty.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

BATCH_BYTES: Final = 1_048_576
BATCH_EVENTS: Final = 10_000
BATCH_MILLISECONDS: Final = 24 * 3600 * 1000
EVENT_OVERHEAD_BYTES: Final = 26
EVENT_BYTES: Final = 262_144 - EVENT_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStreamAddress:
    """One log stream: that of one environment."""

    region: str
    group: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """``size_bytes`` is what it counts in a batch."""

    epoch_milliseconds: int
    message: str
    size_bytes: int


def log_events(epoch_seconds: float, line: str) -> list[LogEvent]:
    """A line as CloudWatch Logs has it, with its newline; several events where it is too long for one."""
    data = f"{line}\n".encode("utf-8", "replace")
    at = int(epoch_seconds * 1000)
    return [
        LogEvent(
            epoch_milliseconds=at,
            message=piece.decode("utf-8", "replace"),
            size_bytes=len(piece) + EVENT_OVERHEAD_BYTES,
        )
        for piece in (data[start : start + EVENT_BYTES] for start in range(0, len(data), EVENT_BYTES))
    ]


def next_batch(waiting: deque[LogEvent]) -> list[LogEvent]:
    """The longest beginning of ``waiting`` that one call takes, in the order of time; ``waiting`` is left as it is."""
    batch: list[LogEvent] = []
    size_bytes = 0
    earliest = latest = waiting[0].epoch_milliseconds if waiting else 0
    for event in waiting:
        size_bytes += event.size_bytes
        earliest = min(earliest, event.epoch_milliseconds)
        latest = max(latest, event.epoch_milliseconds)
        if len(batch) == BATCH_EVENTS or size_bytes > BATCH_BYTES or latest - earliest >= BATCH_MILLISECONDS:
            break
        batch.append(event)
    # Records carry the time at which a runtime wrote them, so one may be a little older than the line before it.
    return sorted(batch, key=lambda event: event.epoch_milliseconds)
