"""What follows from an attempt to have a batch of a stream processed: done, again, in halves, or given up.

Pure, but for request ids, which are random. Serves shards of Kinesis and DynamoDB Streams and partitions of Kafka
alike: nothing of a record counts here but its identifier, when it arrived, and its place in the batch. A stage asks
``before_invoke`` what to do with a batch, invokes, and asks ``after_batch`` what that led to. Where a decision leaves
two batches, all of the first comes to its end before the second begins: that keeps the order.

AWS: Lambda Developer Guide, "Retain discarded batch records" and "Configuring partial batch response" of each stream;
where it is silent the docstrings say what holds here.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from rie_server.model.batch_response import BatchFailed, BatchResult, BatchSucceeded, ItemsFailed
from rie_server.model.event_source import SourceRecord
from rie_server.model.request_id import new_request_id

# AWS backs off exponentially and does not publish how; these waits begin like those of asynchronous refusals.
BACKOFF_FIRST_SECONDS: Final = 1.0
BACKOFF_MAXIMUM_SECONDS: Final = 60.0
UNLIMITED: Final = -1


class DiscardCondition(StrEnum):
    """``condition`` of a failure record. The first is not spelled as it is for asynchronous events."""

    RETRY_ATTEMPTS_EXHAUSTED = "RetryAttemptsExhausted"
    RECORD_AGE_EXCEEDED = "RecordAgeExceeded"
    # Of a record that does not follow its schema; AWS's own word for it is not documented.
    SCHEMA_VALIDATION_FAILED = "SchemaValidationFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """
    Attributes:
        maximum_retry_attempts: MaximumRetryAttempts; a batch is invoked once more than that. -1 is for ever.
        maximum_record_age_seconds: MaximumRecordAgeInSeconds; -1 is any age.
        bisects: BisectBatchOnFunctionError.
    """

    maximum_retry_attempts: int = UNLIMITED
    maximum_record_age_seconds: int = UNLIMITED
    bisects: bool = False

    def allows_after(self, attempts: int) -> bool:
        return self.maximum_retry_attempts == UNLIMITED or attempts <= self.maximum_retry_attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBatch:
    """Consecutive records of one shard or partition (with a ParallelizationFactor: of one of its lanes).

    Attributes:
        records: in the stream's order; none for the final invocation of a tumbling window.
        attempts: how often this batch has failed.
        throttles: how often it was refused since it last failed; refusals are no attempts.
        request_id: the same for every attempt with the same records.
    """

    records: tuple[SourceRecord, ...]
    attempts: int = 0
    throttles: int = 0
    request_id: str = field(default_factory=new_request_id)

    @property
    def last(self) -> str | None:
        """Identifier of the last record."""
        return self.records[-1].identifier if self.records else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """The function could not be invoked: no concurrency, or any other refusal that may pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge:
    """The event is larger than 6 MB: AWS spends the attempts without an invocation."""


BatchOutcome = BatchResult | Throttled | TooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoke:
    """The batch may go to the function as it is."""

    batch: StreamBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    Attributes:
        checkpoint: identifier of the last record; it and all before it have ended. None for a batch without records.
    """

    checkpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """
    Attributes:
        batch: what is left to be done.
        after_seconds: of the server's time.
        checkpoint: identifier of the last record that succeeded on the way; None if there was none.
    """

    batch: StreamBatch
    after_seconds: float
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Two batches in the place of one; nothing has ended yet."""

    first: StreamBatch
    second: StreamBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """
    Attributes:
        batch: what is given up, and goes to the on-failure destination if there is one.
        invoke_count: approximateInvokeCount of the failure record.
        was_answered: the last attempt reached the function: the failure record has a responseContext.
        succeeded_before: identifier of the last record that succeeded on the way; None if there was none.
        checkpoint: identifier of the last record given up; holds once its failure record has been delivered.
        rest: what is still to be done; None if nothing is left.
    """

    batch: StreamBatch
    condition: DiscardCondition
    invoke_count: int
    was_answered: bool
    checkpoint: str | None
    succeeded_before: str | None = None
    rest: StreamBatch | None = None


def before_invoke(batch: StreamBatch, rules: StreamRules, *, now: float) -> Invoke | Discard | Split:
    """Whether the records are young enough; asked before every attempt.

    Records that are too old leave the batch from its head. Arrival times are approximate: where a younger record comes
    before them the batch is split, so that each part is one or the other. A batch that loses records is another batch,
    with a request id of its own, and keeps count of its attempts. AWS counts at least one invocation for records that
    it has never tried.
    """
    if rules.maximum_record_age_seconds == UNLIMITED:
        return Invoke(batch=batch)
    oldest_arrival = now - rules.maximum_record_age_seconds
    expired = [record.arrived_at < oldest_arrival for record in batch.records]
    if not any(expired):
        return Invoke(batch=batch)
    if not expired[0]:
        first, second = _cut(batch, expired.index(True))
        return Split(first=first, second=second)
    gone, rest = (batch, None) if all(expired) else _cut(batch, expired.index(False))
    return Discard(
        batch=gone,
        condition=DiscardCondition.RECORD_AGE_EXCEEDED,
        invoke_count=max(1, batch.attempts),
        was_answered=False,
        checkpoint=gone.last,
        rest=rest,
    )


def after_batch(batch: StreamBatch, outcome: BatchOutcome, rules: StreamRules) -> Done | Retry | Split | Discard:
    """What is to be done after an attempt with ``batch``.

    A partial failure with the first record among the failed ones is a failure of the whole batch: a stream goes on at
    the lowest failed record, and so nothing has been achieved.
    """
    if isinstance(outcome, BatchSucceeded):
        return Done(checkpoint=batch.last)
    if isinstance(outcome, Throttled):
        refused = replace(batch, throttles=batch.throttles + 1)
        return Retry(batch=refused, after_seconds=backoff_seconds(refused.attempts + refused.throttles))
    if isinstance(outcome, ItemsFailed) and outcome.positions[0] > 0:
        return _after_progress(batch, outcome.positions[0], rules)
    return _after_failure(batch, rules, was_answered=isinstance(outcome, ItemsFailed | BatchFailed))


def _after_progress(batch: StreamBatch, failed_at: int, rules: StreamRules) -> Retry | Discard:
    """The records before ``failed_at`` have succeeded.

    With bisect the batch is split there: the rest is new, has all its attempts before it, and is tried at once. Without
    bisect the rest has those attempts that the batch has left.
    """
    checkpoint, rest = batch.records[failed_at - 1].identifier, batch.records[failed_at:]
    if rules.bisects:
        return Retry(batch=StreamBatch(records=rest), after_seconds=0.0, checkpoint=checkpoint)
    tried = StreamBatch(records=rest, attempts=batch.attempts + 1)
    if not rules.allows_after(tried.attempts):
        # The record of the failure names the invocation that it was a part of.
        given_up = _exhausted(replace(tried, request_id=batch.request_id), was_answered=True)
        return replace(given_up, succeeded_before=checkpoint)
    return Retry(batch=tried, after_seconds=backoff_seconds(tried.attempts), checkpoint=checkpoint)


def _after_failure(batch: StreamBatch, rules: StreamRules, *, was_answered: bool) -> Retry | Split | Discard:
    """Halves are new batches, and to split costs no attempt; a single record is retried."""
    if rules.bisects and len(batch.records) > 1:
        middle = len(batch.records) // 2
        return Split(
            first=StreamBatch(records=batch.records[:middle]), second=StreamBatch(records=batch.records[middle:])
        )
    failed = replace(batch, attempts=batch.attempts + 1, throttles=0)
    if not rules.allows_after(failed.attempts):
        return _exhausted(failed, was_answered=was_answered)
    return Retry(batch=failed, after_seconds=backoff_seconds(failed.attempts))


def _exhausted(batch: StreamBatch, *, was_answered: bool) -> Discard:
    return Discard(
        batch=batch,
        condition=DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED,
        invoke_count=batch.attempts,
        was_answered=was_answered,
        checkpoint=batch.last,
    )


def backoff_seconds(failures: int) -> float:
    """The wait after the ``failures``-th attempt or refusal in a row, counted from 1."""
    return min(BACKOFF_MAXIMUM_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 16))


def _cut(batch: StreamBatch, at: int) -> tuple[StreamBatch, StreamBatch]:
    return (
        StreamBatch(records=batch.records[:at], attempts=batch.attempts),
        StreamBatch(records=batch.records[at:], attempts=batch.attempts),
    )
