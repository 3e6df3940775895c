"""What the answer of a function means for the records of its batch."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.batch_response import (
    BatchFailed,
    BatchResult,
    BatchSucceeded,
    ItemsFailed,
    batch_result,
    returned_state,
)
from rie_server.model.event_source import SourceKind
from tests.unit.event_sources.records import record, records

ALL_SUCCEEDED = BatchSucceeded()
ALL_FAILED = BatchFailed()
BATCH = records("abcd")
REPORTING = [SourceKind.SQS, SourceKind.KINESIS, SourceKind.DYNAMODB]


def result_of(answer: Any, kind: SourceKind = SourceKind.SQS, batch: Any = BATCH, **settings: Any) -> BatchResult:
    payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return batch_result(kind, batch, payload, **{"function_error": None, "reports": True} | settings)


def failures(*identifiers: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize("kind", [*REPORTING, SourceKind.MSK])
@pytest.mark.parametrize(
    "answer", [None, "", {}, [], failures(), {"batchItemFailures": None}, {"statusCode": 200}, b"", b" \n"]
)
def test_an_answer_without_failures_is_a_full_success(kind: SourceKind, answer: Any) -> None:
    assert result_of(answer, kind) == ALL_SUCCEEDED


@pytest.mark.parametrize("kind", [*REPORTING, SourceKind.MSK])
@pytest.mark.parametrize(
    "answer",
    [
        failures(""),
        failures(None),
        failures("unknown"),
        failures(1),
        failures(["a"]),
        failures("a", "unknown"),
        {"batchItemFailures": [{"foo": "a"}]},
        {"batchItemFailures": [{"foo": None}]},
        {"batchItemFailures": [{}]},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": "a"},
        {"batchItemFailures": {"itemIdentifier": "a"}},
        [{}],
        ["a"],
        "text",
        1,
        0,
        False,
        b"no json",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_an_answer_that_makes_no_sense_fails_the_whole_batch(kind: SourceKind, answer: Any) -> None:
    assert result_of(answer, kind) == ALL_FAILED


@pytest.mark.parametrize("kind", REPORTING)
def test_the_records_that_are_named_failed_in_the_order_of_the_batch(kind: SourceKind) -> None:
    assert result_of(failures("d", "b", "d"), kind) == ItemsFailed(positions=(1, 3))


def test_a_message_that_was_received_twice_failed_twice() -> None:
    assert result_of(failures("a"), batch=records("aba")) == ItemsFailed(positions=(0, 2))


PARTITIONS = (record("15", lane="t-0"), record("15", lane="t-1"), record("16", lane="t-1"))


@pytest.mark.parametrize("offset", [15, "15"])
def test_kafka_records_are_named_by_partition_and_offset(offset: Any) -> None:
    answer = failures({"partition": "t-1", "offset": offset})
    assert result_of(answer, SourceKind.SELF_MANAGED_KAFKA, PARTITIONS) == ItemsFailed(positions=(1,))


@pytest.mark.parametrize(
    "identifier",
    [
        "15",
        {"partition": "t-2", "offset": 15},
        {"partition": "t-0", "offset": 16},
        {"partition": "t-0", "offset": None},
        {"partition": "t-0", "offset": True},
        {"offset": 15},
        {"partition": ["t-0"], "offset": 15},
    ],
)
def test_anything_else_names_no_kafka_record(identifier: Any) -> None:
    assert result_of(failures(identifier), SourceKind.MSK, PARTITIONS) == ALL_FAILED


def test_a_function_that_failed_fails_the_whole_batch_whatever_it_answered() -> None:
    assert result_of(failures("a"), function_error="Unhandled") == ALL_FAILED
    assert result_of(None, function_error="Unhandled", reports=False) == ALL_FAILED


@pytest.mark.parametrize("answer", [failures("a"), failures("unknown"), "text", b"no json"])
def test_without_report_batch_item_failures_the_answer_does_not_matter(answer: Any) -> None:
    assert result_of(answer, reports=False) == ALL_SUCCEEDED


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from("abcd"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["batchItemFailures", "itemIdentifier", "partition", "offset"]), inner)
    ),
    max_leaves=8,
)


@given(answer=ANY_JSON, kind=st.sampled_from(SourceKind))
def test_no_answer_makes_the_reading_fail(answer: Any, kind: SourceKind) -> None:
    result = result_of(answer, kind)
    if isinstance(result, ItemsFailed):
        assert result.positions
        assert set(result.positions) <= set(range(len(BATCH)))


@pytest.mark.parametrize(("answer", "state"), [({"state": {"1": 2}}, {"1": 2}), ({"state": {}} | failures("a"), {})])
def test_a_window_goes_on_with_the_state_that_was_returned(answer: Any, state: Any) -> None:
    assert returned_state(json.dumps(answer).encode()) == state


@pytest.mark.parametrize("payload", [b"", b"null", b"{}", b'"x"', b'{"state": null}', b'{"state": 1}', b"x", b"[1]"])
def test_an_answer_without_a_state_has_none(payload: bytes) -> None:
    assert returned_state(payload) is None
