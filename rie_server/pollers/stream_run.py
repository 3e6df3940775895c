"""One batch of a shard on its way to its end: run, tried again, halved, or given up, part after part.

Promises: parts come to their end in order; records are called finished only after the function succeeded with them, or
after their failure record was delivered. After ``stop`` no further attempt begins, and what was not finished is left to
the next start. Nothing waits on a thread but the making of events.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from rie_server.errors import RequestEntityTooLargeException, RequestTooLargeException
from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.batch_response import BatchFailed, BatchResult, BatchSucceeded, ItemsFailed, batch_result
from rie_server.model.event_source import SourceRecord
from rie_server.model.invocation import InvokeResult
from rie_server.model.stream_batch import (
    BatchOutcome,
    Discard,
    Done,
    Invoke,
    Retry,
    Split,
    StreamBatch,
    Throttled,
    TooLarge,
    after_batch,
    before_invoke,
)
from rie_server.pollers.stream_context import StreamTools

log = logging.getLogger(__name__)

DEFECT_SECONDS = 1.0


class Frame(Protocol):
    """What stands around the records of a batch in its event."""

    def members(self) -> Mapping[str, Any]:
        """Members of the event beside ``Records``."""

    def judge(self, result: BatchResult, payload: bytes) -> BatchResult:
        """What the function's answer means, once more: a window wants a state."""

    def after(self, batch: StreamBatch, outcome: BatchOutcome) -> Done | Retry | Split | Discard:
        """See ``stream_batch.after_batch``."""


class PlainFrame:
    """Nothing."""

    def __init__(self, tools: StreamTools) -> None:
        self._rules = tools.rules

    def members(self) -> Mapping[str, Any]:
        return {}

    def judge(self, result: BatchResult, payload: bytes) -> BatchResult:
        del payload
        return result

    def after(self, batch: StreamBatch, outcome: BatchOutcome) -> Done | Retry | Split | Discard:
        return after_batch(batch, outcome, self._rules)


class StreamRun:
    """
    Args:
        finished: gets records that have ended, in order; must not block.
        over: called when all have, and not after ``stop``; must not block.
    """

    def __init__(
        self,
        records: tuple[SourceRecord, ...],
        *,
        shard_id: str,
        frame: Frame,
        tools: StreamTools,
        finished: Callable[[Sequence[SourceRecord]], None],
        over: Callable[[], None],
    ) -> None:
        self._shard_id = shard_id
        self._frame = frame
        self._tools = tools
        self._finished = finished
        self._over = over
        # The next part last. One thread at a time works on it.
        self._parts = [StreamBatch(records=records)]

    def start(self) -> None:
        self._tools.threads.run(self._step)

    # --- before the function ------------------------------------------------------------------------------------------

    def _step(self) -> None:
        if self._tools.threads.stopping.is_set():
            return
        if not self._parts:
            self._over()
            return
        try:
            self._attempt(self._parts[-1])
        except Exception:
            log.exception("A batch of %s cannot be handed to its function; it is tried again", self._shard_id)
            self._later(DEFECT_SECONDS)

    def _attempt(self, batch: StreamBatch) -> None:
        tools = self._tools
        decision = before_invoke(batch, tools.rules, now=tools.clock.now())
        if not isinstance(decision, Invoke):
            self._carry_out(batch, decision)
            return
        event = self._event(batch)
        if len(event) > SYNC_PAYLOAD_BYTES:
            tools.results.processed("PROBLEM: Function call failed")
            self._carry_out(batch, self._frame.after(batch, TooLarge()))
            return
        if batch.records:
            age_seconds = max(0.0, tools.clock.now() - batch.records[-1].arrived_at)
            tools.observer.iterator_age(tools.mapping, age_seconds * 1000)
        tools.threads.begin()
        tools.invocation.submit(event, len(batch.records), batch.request_id, partial(self._on_result, batch))

    def _event(self, batch: StreamBatch) -> bytes:
        return self._tools.invocation.payload(batch.records, self._frame.members())

    # --- after it -----------------------------------------------------------------------------------------------------

    def _on_result(self, batch: StreamBatch, result: InvokeResult) -> None:
        """On any thread."""
        self._tools.threads.run(partial(self._after, batch, result))
        self._tools.threads.end()

    def _after(self, batch: StreamBatch, result: InvokeResult) -> None:
        try:
            outcome = self._outcome(batch, result)
            self._tell(batch, result, outcome)
            self._carry_out(batch, self._frame.after(batch, outcome), result)
        except Exception:
            log.exception("An answer for a batch of %s cannot be carried out; it is tried again", self._shard_id)
            self._later(DEFECT_SECONDS)

    def _outcome(self, batch: StreamBatch, result: InvokeResult) -> BatchOutcome:
        if isinstance(result.refusal, RequestTooLargeException | RequestEntityTooLargeException):
            return TooLarge()
        if result.refusal is not None:
            return Throttled()
        mapping = self._tools.mapping
        read = batch_result(
            mapping.kind,
            batch.records,
            result.payload,
            function_error=result.function_error,
            reports=mapping.reports_batch_item_failures,
        )
        return self._frame.judge(read, result.payload)

    def _tell(self, batch: StreamBatch, result: InvokeResult, outcome: BatchOutcome) -> None:
        tools = self._tools
        if result.refusal is not None:
            tools.results.processed(f"PROBLEM: {result.refusal.message}")
        elif isinstance(outcome, BatchSucceeded):
            tools.results.processed("OK")
        else:
            tools.results.processed("PROBLEM: Function call failed")
        if isinstance(outcome, ItemsFailed):
            tools.observer.failed_invoke(tools.mapping, len(outcome.positions))
        elif isinstance(outcome, BatchFailed):
            tools.observer.failed_invoke(tools.mapping, len(batch.records))

    def _carry_out(
        self, batch: StreamBatch, decision: Done | Retry | Split | Discard, result: InvokeResult | None = None
    ) -> None:
        match decision:
            case Done():
                self._replace(batch.records)
            case Split():
                self._replace((), decision.second, decision.first)
            case Retry():
                self._replace(_before(batch, decision.batch.records), decision.batch)
                if decision.after_seconds > 0:
                    self._later(decision.after_seconds)
                    return
            case Discard():
                self._discard(batch, decision, result)
                return
        self.start()

    def _discard(self, batch: StreamBatch, decision: Discard, result: InvokeResult | None) -> None:
        rest = (decision.rest,) if decision.rest is not None else ()
        gone = decision.batch
        if decision.succeeded_before is not None:
            self._finished(_before(batch, gone.records))
        members = self._frame.members()
        self._tools.failures.give_up(
            self._shard_id,
            decision,
            answer=result,
            event=self._event(gone),
            time_window=members or None,
            given_up=partial(self._given_up, gone, rest),
        )

    def _given_up(self, gone: StreamBatch, rest: tuple[StreamBatch, ...]) -> None:
        self._replace(gone.records, *rest)
        self.start()

    def _replace(self, finished: Sequence[SourceRecord], *parts: StreamBatch) -> None:
        """``parts`` stand in the place of the part that was tried, the next one last."""
        self._parts[-1:] = parts
        if finished:
            self._finished(finished)

    def _later(self, seconds: float) -> None:
        self._tools.clock.call_later(seconds, self.start)


def _before(batch: StreamBatch, rest: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
    """The records of ``batch`` before ``rest``, with which it ends."""
    return batch.records[: len(batch.records) - len(rest)]
