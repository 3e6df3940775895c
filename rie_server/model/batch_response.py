"""What a function's answer says of the records of its batch.

Pure. Without ``FunctionResponseTypes: ["ReportBatchItemFailures"]`` an answer says nothing but that the function ran.
With it, the answer may name the records that failed:

    {"batchItemFailures": [{"itemIdentifier": "a message id or sequence number"}]}
    {"batchItemFailures": [{"itemIdentifier": {"partition": "topic-0", "offset": 15}}]}

An answer that cannot be read as one of these, or names a record that was not in the batch, fails the batch as a whole;
an empty one is a success.

AWS: Lambda Developer Guide, "Configuring partial batch response", "Success and failure conditions".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rie_server.model.event_source import SourceKind, SourceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSucceeded:
    """Every record is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsFailed:
    """Some records failed, by the function's own account; the others are done.

    Attributes:
        positions: where they stand in the batch, counted from 0, lowest first; never empty. A queue is left with these
            records; a stream goes on at the first of them.
    """

    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFailed:
    """The function failed, or its answer makes no sense: no record is done."""


BatchResult = BatchSucceeded | ItemsFailed | BatchFailed


class _SenselessError(ValueError):
    """The answer names no records, or others than were sent."""


def batch_result(
    kind: SourceKind, records: Sequence[SourceRecord], payload: bytes, *, function_error: str | None, reports: bool
) -> BatchResult:
    """
    Args:
        records: those that the function was given, in their order.
        payload: what it answered.
        function_error: ``Unhandled`` where it failed.
        reports: the mapping's FunctionResponseTypes have ReportBatchItemFailures.
    """
    if function_error is not None:
        return BatchFailed()
    if not reports:
        return BatchSucceeded()
    try:
        identifiers = list(_identifiers(_answer(payload)))
        positions = _positions(kind, records, identifiers)
    except (ValueError, RecursionError):
        return BatchFailed()
    return ItemsFailed(positions=positions) if positions else BatchSucceeded()


def returned_state(payload: bytes) -> dict[str, Any] | None:
    """``state`` of a function that works with a tumbling window; None without one, which fails the invocation.

    AWS: "If the response does not contain a state property, Lambda considers this a failed invocation."
    """
    try:
        answer = _answer(payload)
    except (ValueError, RecursionError):
        return None
    state = answer.get("state") if isinstance(answer, dict) else None
    return state if isinstance(state, dict) else None


def _answer(payload: bytes) -> Any:
    """A runtime that sends nothing has returned null."""
    return json.loads(payload) if payload.strip() else None


def _identifiers(answer: Any) -> Iterator[Any]:
    """
    Raises:
        _SenselessError: there is something where AWS expects a list of failures, and it is none.
    """
    if answer is None or answer in ("", [], {}):
        return
    if not isinstance(answer, dict):
        raise _SenselessError
    failures = answer.get("batchItemFailures")
    if failures is None:
        return
    if not isinstance(failures, list):
        raise _SenselessError
    for failure in failures:
        if not isinstance(failure, dict) or not failure.get("itemIdentifier"):
            raise _SenselessError
        yield failure["itemIdentifier"]


def _positions(kind: SourceKind, records: Sequence[SourceRecord], identifiers: Sequence[Any]) -> tuple[int, ...]:
    """
    Raises:
        _SenselessError: an identifier is of no record, or of another kind of source.
    """
    if not identifiers:
        return ()
    standing: dict[Any, list[int]] = {}
    for position, record in enumerate(records):
        known_as = (record.lane, record.identifier) if kind.is_kafka else record.identifier
        standing.setdefault(known_as, []).append(position)
    found: set[int] = set()
    for identifier in identifiers:
        named = _kafka_item(identifier) if kind.is_kafka else identifier
        if not isinstance(named, str | tuple) or named not in standing:
            raise _SenselessError
        found.update(standing[named])
    return tuple(sorted(found))


def _kafka_item(identifier: Any) -> tuple[str, str] | None:
    """``{"partition": "topic-0", "offset": 15}`` as (lane, identifier) of a record."""
    if not isinstance(identifier, Mapping):
        return None
    partition, offset = identifier.get("partition"), identifier.get("offset")
    if not isinstance(partition, str) or isinstance(offset, bool) or not isinstance(offset, int | str):
        return None
    return partition, str(offset)
