"""Tumbling windows: a function adds up what came in a stretch of time, and its sum is carried from call to call.

Pure. A window is as long as TumblingWindowInSeconds and begins at a multiple of it since the epoch; a record belongs to
the window in which it arrived. Arrival times are approximate: a record that comes late, after its window has ended,
belongs to the one that is open, because no window opens twice.

The state begins as ``{}``, is what the function returned last, and goes with the window. When it outgrows 1 MB the
window is terminated early: it has its final invocation at once, and its remaining records begin with a fresh state.

AWS: Lambda Developer Guide, "Implementing stateful Kinesis Data Streams processing in Lambda" (and DynamoDB's).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from rie_server.model.batch_response import BatchFailed, BatchResult, ItemsFailed, returned_state
from rie_server.model.event_source import SourceRecord

STATE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TumblingWindow:
    """One window of one shard, as far as it has come.

    Attributes:
        start: seconds since the epoch.
        length_seconds: TumblingWindowInSeconds.
        state: what the function returned last.
    """

    start: int
    length_seconds: int
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The first moment that no longer belongs to the window, seconds since the epoch."""
        return self.start + self.length_seconds

    @property
    def is_overgrown(self) -> bool:
        """The state is too large: the next invocation is the final one, and comes early."""
        return len(json.dumps(self.state, separators=(",", ":"), ensure_ascii=False).encode()) > STATE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRun:
    """Consecutive records of one window.

    Attributes:
        start: of the window, seconds since the epoch.
    """

    start: int
    records: tuple[SourceRecord, ...]


def window_start(arrived_at: float, length_seconds: int) -> int:
    """Start of the window that a record belongs to, seconds since the epoch."""
    return math.floor(arrived_at / length_seconds) * length_seconds


def window_runs(
    records: Sequence[SourceRecord], length_seconds: int, *, open_since: int | None = None
) -> list[WindowRun]:
    """``records`` cut where one window ends and another begins: a batch has records of one window only.

    Args:
        open_since: start of the window that is open already; None if there is none.
    """
    runs: list[WindowRun] = []
    start, waiting = open_since, list[SourceRecord]()
    for record in records:
        own = window_start(record.arrived_at, length_seconds)
        if start is None or own > start:
            if waiting and start is not None:
                runs.append(WindowRun(start=start, records=tuple(waiting)))
            start, waiting = own, []
        waiting.append(record)
    if waiting and start is not None:
        runs.append(WindowRun(start=start, records=tuple(waiting)))
    return runs


def is_over(window: TumblingWindow, *, now: float, is_at_tip: bool) -> bool:
    """Whether ``window`` gets its final invocation although no record of a later window has come.

    Args:
        is_at_tip: everything in the shard has been read; before that, records of the window may still come.
    """
    return is_at_tip and now >= window.end


def window_members(
    window: TumblingWindow, *, shard_id: str, source_arn: str, is_final: bool = False, is_early: bool = False
) -> dict[str, Any]:
    """What stands beside ``Records`` in the event of a function with tumbling windows.

    Args:
        is_final: the last invocation for the window; its ``Records`` may be empty.
        is_early: the window is terminated early.
    """
    return {
        "window": {"start": _timestamp(window.start), "end": _timestamp(window.end)},
        "state": dict(window.state),
        "shardId": shard_id,
        "eventSourceARN": source_arn,
        "isFinalInvokeForWindow": is_final,
        "isWindowTerminatedEarly": is_early,
    }


def after_window_invoke(
    window: TumblingWindow, result: BatchResult, payload: bytes
) -> tuple[BatchResult, TumblingWindow]:
    """What an invocation means for its records, and the window after it.

    An answer without a ``state`` is a failure, in a final invocation, too. Records that a partial batch response fails
    are tried again with the returned state: it has those in it that succeeded. Where none succeeded it stays as it was.

    Args:
        result: as ``batch_response.batch_result`` has read it.
        payload: what the function answered.
    """
    if isinstance(result, BatchFailed):
        return result, window
    state = returned_state(payload)
    if state is None:
        return BatchFailed(), window
    if isinstance(result, ItemsFailed) and result.positions[0] == 0:
        return result, window
    return result, replace(window, state=state)


def after_final_invoke(window: TumblingWindow, *, was_early: bool) -> TumblingWindow | None:
    """What is open after the final invocation has ended, well or in failure: the same window with a fresh state, if it
    was terminated early, or nothing. No state is carried over.
    """
    return replace(window, state={}) if was_early else None


def _timestamp(epoch_seconds: int) -> str:
    return f"{datetime.fromtimestamp(epoch_seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
