"""Retries, bisecting, ages, partial failures and throttles of stream batches, one by one and together."""

from dataclasses import replace

import pytest

from rie_server.model.batch_response import BatchFailed, BatchSucceeded, ItemsFailed
from rie_server.model.stream_batch import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MAXIMUM_SECONDS,
    BatchOutcome,
    Discard,
    DiscardCondition,
    Done,
    Invoke,
    Retry,
    Split,
    StreamBatch,
    StreamRules,
    Throttled,
    TooLarge,
    after_batch,
    backoff_seconds,
    before_invoke,
)
from tests.unit.event_sources.records import record, records

FOR_EVER = StreamRules()
ONE_RETRY = StreamRules(maximum_retry_attempts=1)
NO_RETRY = StreamRules(maximum_retry_attempts=0)
BISECTING = StreamRules(maximum_retry_attempts=1, bisects=True)
MINUTE_OLD = StreamRules(maximum_record_age_seconds=60)
FAILURES = [BatchFailed(), ItemsFailed(positions=(0,)), ItemsFailed(positions=(0, 2)), TooLarge()]
NOW = 1_000.0


def batch(identifiers: str = "abcd", *, attempts: int = 0) -> StreamBatch:
    return StreamBatch(records=records(identifiers), attempts=attempts)


def names(of: StreamBatch | None) -> str:
    return "" if of is None else "".join(one.identifier for one in of.records)


def test_a_batch_that_succeeds_is_done_up_to_its_last_record() -> None:
    assert after_batch(batch(), BatchSucceeded(), FOR_EVER) == Done(checkpoint="d")


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("rules", [FOR_EVER, ONE_RETRY])
def test_a_batch_that_fails_is_tried_again_unchanged_with_its_request_id(
    failure: BatchOutcome, rules: StreamRules
) -> None:
    failed = batch()
    assert after_batch(failed, failure, rules) == Retry(
        batch=replace(failed, attempts=1), after_seconds=BACKOFF_FIRST_SECONDS
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_a_batch_is_invoked_once_more_than_it_may_be_retried(failure: BatchOutcome) -> None:
    given_up = after_batch(batch(attempts=1), failure, ONE_RETRY)
    assert isinstance(given_up, Discard)
    assert names(given_up.batch) == "abcd"
    assert given_up.condition == DiscardCondition.RETRY_ATTEMPTS_EXHAUSTED
    assert given_up.invoke_count == 2
    assert given_up.checkpoint == "d"
    assert given_up.rest is None


def test_without_retries_the_first_failure_is_the_last() -> None:
    given_up = after_batch(batch(), BatchFailed(), NO_RETRY)
    assert isinstance(given_up, Discard)
    assert given_up.invoke_count == 1


def test_without_a_limit_retries_never_end() -> None:
    assert isinstance(after_batch(batch(attempts=1_000_000), BatchFailed(), FOR_EVER), Retry)


@pytest.mark.parametrize(("outcome", "was_answered"), [(BatchFailed(), True), (TooLarge(), False)])
def test_only_a_function_that_was_invoked_has_answered(outcome: BatchOutcome, was_answered: bool) -> None:
    given_up = after_batch(batch(), outcome, NO_RETRY)
    assert isinstance(given_up, Discard)
    assert given_up.was_answered is was_answered


@pytest.mark.parametrize("rules", [FOR_EVER, ONE_RETRY, NO_RETRY, BISECTING])
def test_a_throttle_costs_no_attempt_and_splits_nothing(rules: StreamRules) -> None:
    refused = batch()
    for refusals in (1, 2, 3):
        retry = after_batch(refused, Throttled(), rules)
        assert isinstance(retry, Retry)
        assert retry.batch == replace(refused, throttles=refusals)
        assert retry.after_seconds == backoff_seconds(refusals)
        refused = retry.batch


def test_waits_double_up_to_a_limit() -> None:
    waits = [backoff_seconds(failures) for failures in (1, 2, 3, 4, 100_000)]
    assert waits == [1.0, 2.0, 4.0, 8.0, BACKOFF_MAXIMUM_SECONDS]


@pytest.mark.parametrize(
    ("identifiers", "first", "second"), [("abcd", "ab", "cd"), ("abc", "a", "bc"), ("ab", "a", "b")]
)
@pytest.mark.parametrize("failure", [BatchFailed(), ItemsFailed(positions=(0,)), TooLarge()])
def test_bisecting_makes_two_new_batches_of_one(
    identifiers: str, first: str, second: str, failure: BatchOutcome
) -> None:
    failed = batch(identifiers, attempts=1)
    halves = after_batch(failed, failure, BISECTING)
    assert isinstance(halves, Split)
    assert (names(halves.first), names(halves.second)) == (first, second)
    assert halves.first.attempts == halves.second.attempts == 0
    assert len({failed.request_id, halves.first.request_id, halves.second.request_id}) == 3


def test_bisecting_goes_on_where_no_retry_is_allowed() -> None:
    assert isinstance(after_batch(batch(), BatchFailed(), replace(BISECTING, maximum_retry_attempts=0)), Split)


def test_a_single_record_is_retried_instead_of_split() -> None:
    single = batch("a")
    retry = after_batch(single, BatchFailed(), BISECTING)
    assert isinstance(retry, Retry)
    assert retry.batch == replace(single, attempts=1)
    assert isinstance(after_batch(retry.batch, BatchFailed(), BISECTING), Discard)


def test_a_stream_goes_on_at_the_lowest_record_that_failed() -> None:
    failed = batch()
    retry = after_batch(failed, ItemsFailed(positions=(2, 3)), ONE_RETRY)
    assert isinstance(retry, Retry)
    assert names(retry.batch) == "cd"
    assert retry.checkpoint == "b"
    assert retry.batch.attempts == 1
    assert retry.batch.request_id != failed.request_id


def test_a_partial_failure_at_the_last_attempt_gives_up_only_what_failed() -> None:
    failed = batch(attempts=1)
    given_up = after_batch(failed, ItemsFailed(positions=(3,)), ONE_RETRY)
    assert isinstance(given_up, Discard)
    assert names(given_up.batch) == "d"
    assert given_up.batch.request_id == failed.request_id
    assert (given_up.invoke_count, given_up.was_answered) == (2, True)
    assert (given_up.succeeded_before, given_up.checkpoint) == ("c", "d")


def test_with_bisect_a_batch_is_split_at_the_record_that_failed() -> None:
    retry = after_batch(batch(attempts=1), ItemsFailed(positions=(1, 3)), BISECTING)
    assert isinstance(retry, Retry)
    assert names(retry.batch) == "bcd"
    assert (retry.checkpoint, retry.batch.attempts, retry.after_seconds) == ("a", 0, 0.0)


def aged(*ages: float, attempts: int = 0) -> StreamBatch:
    return StreamBatch(
        records=tuple(record("abcd"[at], arrived_at=NOW - age) for at, age in enumerate(ages)), attempts=attempts
    )


@pytest.mark.parametrize("rules", [FOR_EVER, MINUTE_OLD])
def test_records_that_are_young_enough_go_to_the_function(rules: StreamRules) -> None:
    young = aged(60, 59)
    assert before_invoke(young, rules, now=NOW) == Invoke(batch=young)


def test_without_a_maximum_age_no_record_is_too_old() -> None:
    old = aged(1e9)
    assert before_invoke(old, FOR_EVER, now=NOW) == Invoke(batch=old)


@pytest.mark.parametrize(("attempts", "invoke_count"), [(0, 1), (1, 1), (3, 3)])
def test_records_that_are_too_old_leave_their_batch(attempts: int, invoke_count: int) -> None:
    old = aged(62, 61, 60, 10, attempts=attempts)
    given_up = before_invoke(old, MINUTE_OLD, now=NOW)
    assert isinstance(given_up, Discard)
    assert (names(given_up.batch), names(given_up.rest)) == ("ab", "cd")
    assert given_up.condition == DiscardCondition.RECORD_AGE_EXCEEDED
    assert (given_up.invoke_count, given_up.was_answered, given_up.checkpoint) == (invoke_count, False, "b")
    assert given_up.rest is not None
    assert given_up.rest.attempts == attempts
    assert given_up.rest.request_id != old.request_id


def test_a_batch_of_old_records_is_given_up_as_it_is() -> None:
    old = aged(70, 61)
    given_up = before_invoke(old, MINUTE_OLD, now=NOW)
    assert isinstance(given_up, Discard)
    assert (given_up.batch, given_up.rest) == (old, None)


def test_an_old_record_behind_a_younger_one_waits_for_its_turn_and_is_not_invoked() -> None:
    parts = before_invoke(aged(10, 61, 10), MINUTE_OLD, now=NOW)
    assert isinstance(parts, Split)
    assert isinstance(before_invoke(parts.first, MINUTE_OLD, now=NOW), Invoke)
    given_up = before_invoke(parts.second, MINUTE_OLD, now=NOW)
    assert isinstance(given_up, Discard)
    assert (names(parts.first), names(given_up.batch), names(given_up.rest)) == ("a", "b", "c")


def test_a_final_invocation_without_records_is_retried_like_any_batch() -> None:
    final = StreamBatch(records=())
    assert before_invoke(final, MINUTE_OLD, now=NOW) == Invoke(batch=final)
    assert after_batch(final, BatchSucceeded(), BISECTING) == Done(checkpoint=None)
    retry = after_batch(final, BatchFailed(), BISECTING)
    assert isinstance(retry, Retry)
    given_up = after_batch(retry.batch, BatchFailed(), BISECTING)
    assert isinstance(given_up, Discard)
    assert (given_up.invoke_count, given_up.checkpoint) == (2, None)
