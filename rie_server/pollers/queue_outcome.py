"""Which messages of a batch have failed, by the function's answer. Pure."""

import json
from collections.abc import Sequence

from rie_server.model.event_source import SourceRecord
from rie_server.model.invocation import InvokeResult


def failed_identifiers(
    records: Sequence[SourceRecord], result: InvokeResult, *, reports_failures: bool
) -> frozenset[str]:
    """Identifiers of the messages that are left to the queue; of all where the function failed, or where its partial
    batch response cannot be understood. A message of a lane whose earlier message has failed has failed with it.
    """
    everything = frozenset(record.identifier for record in records)
    if result.function_error is not None:
        return everything
    if not reports_failures:
        return frozenset()
    reported = _reported(result.payload)
    if reported is None or not reported <= everything:
        return everything
    return _with_later_ones(records, reported)


def _reported(payload: bytes) -> frozenset[str] | None:
    """None where the answer is no partial batch response."""
    try:
        answer = json.loads(payload or b"null")
    except ValueError:
        return None
    if not answer:
        return frozenset()
    if not isinstance(answer, dict):
        return None
    failures = answer.get("batchItemFailures")
    if failures is None:
        return frozenset()
    if not isinstance(failures, list):
        return None
    names = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
    return None if not all(isinstance(name, str) and name for name in names) else frozenset(names)


def _with_later_ones(records: Sequence[SourceRecord], reported: frozenset[str]) -> frozenset[str]:
    failed_lanes: set[str] = set()
    failed = set(reported)
    for record in records:
        if record.lane is None:
            continue
        if record.identifier in reported:
            failed_lanes.add(record.lane)
        elif record.lane in failed_lanes:
            failed.add(record.identifier)
    return frozenset(failed)
