"""Tumbling windows of a shard: which invocation is due, and what stands around its records.

Holds the window that is open; who calls it sees to it that one thread does at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rie_server.model.batch_response import BatchResult, BatchSucceeded
from rie_server.model.event_source import SourceRecord
from rie_server.model.stream_batch import (
    BatchOutcome,
    Discard,
    DiscardCondition,
    Done,
    Retry,
    Split,
    StreamBatch,
    StreamRules,
    Throttled,
    TooLarge,
    after_batch,
    backoff_seconds,
)
from rie_server.model.tumbling_window import (
    TumblingWindow,
    after_final_invoke,
    after_window_invoke,
    is_over,
    window_members,
    window_runs,
)
from rie_server.pollers.stream_context import StreamTools


class ShardWindows:
    """
    Args:
        opened: the window that a checkpoint has kept.

    Attributes:
        window: the one that is open.
    """

    def __init__(self, shard_id: str, length_seconds: int, opened: TumblingWindow | None, tools: StreamTools) -> None:
        self.shard_id = shard_id
        self.tools = tools
        self.window = opened
        self._length_seconds = length_seconds

    def next_run(self, records: Sequence[SourceRecord]) -> tuple[tuple[SourceRecord, ...], tuple[SourceRecord, ...]]:
        """The first of ``records`` that go together, and the rest. None go before the final invocation of the window
        that is open, if they belong to a later one.
        """
        window = self.window
        runs = window_runs(records, self._length_seconds, open_since=window.start if window else None)
        first = runs[0]
        if window is not None and (first.start > window.start or window.is_overgrown):
            return (), tuple(records)
        if window is None:
            self.window = TumblingWindow(start=first.start, length_seconds=self._length_seconds)
        return first.records, tuple(records[len(first.records) :])

    def is_over(self, tip_at: float | None) -> bool:
        """Whether the window that is open has had its last record.

        Args:
            tip_at: everything that arrived before then has been read; None if that is not known.
        """
        window = self.window
        if window is None:
            return False
        return window.is_overgrown or (tip_at is not None and is_over(window, now=tip_at, is_at_tip=True))

    def close(self, *, was_early: bool) -> None:
        """The final invocation has ended."""
        if self.window is not None:
            self.window = after_final_invoke(self.window, was_early=was_early)


class WindowFrame:
    """Around the records of the window that is open (fills ``stream_run.Frame``)."""

    def __init__(self, windows: ShardWindows, *, is_final: bool = False, is_early: bool = False) -> None:
        self._windows = windows
        self._is_final = is_final
        self.is_early = is_early

    def members(self) -> Mapping[str, Any]:
        windows = self._windows
        if windows.window is None:
            return {}
        return window_members(
            windows.window,
            shard_id=windows.shard_id,
            source_arn=windows.tools.mapping.source_arn or "",
            is_final=self._is_final,
            is_early=self.is_early,
        )

    def judge(self, result: BatchResult, payload: bytes) -> BatchResult:
        windows = self._windows
        if windows.window is None:
            return result
        judged, windows.window = after_window_invoke(windows.window, result, payload)
        return judged

    def after(self, batch: StreamBatch, outcome: BatchOutcome) -> Done | Retry | Split | Discard:
        if batch.records:
            return after_batch(batch, outcome, self._windows.tools.rules)
        return after_final_batch(batch, outcome, self._windows.tools.rules)


def after_final_batch(batch: StreamBatch, outcome: BatchOutcome, rules: StreamRules) -> Done | Retry | Discard:
    """What follows an invocation without records. Pure."""
    if isinstance(outcome, BatchSucceeded):
        return Done(checkpoint="")
    if isinstance(outcome, Throttled):
        refused = replace(batch, throttles=batch.throttles + 1)
        return Retry(batch=refused, after_seconds=backoff_seconds(refused.attempts + refused.throttles))
    failed = replace(batch, attempts=batch.attempts + 1, throttles=0)
    if rules.allows_after(failed.attempts):
        return Retry(batch=failed, after_seconds=backoff_seconds(failed.attempts))
    return Discard(
        batch=failed,
        condition=DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED,
        invoke_count=failed.attempts,
        was_answered=not isinstance(outcome, TooLarge),
        checkpoint="",
    )
