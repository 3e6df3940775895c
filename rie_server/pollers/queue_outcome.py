"""Which messages of a batch are left to their queue, by the function's answer. Pure."""

from collections.abc import Sequence

from rie_server.model.batch_response import BatchFailed, BatchSucceeded, batch_result
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.invocation import InvokeResult


def failed_positions(
    mapping: EventSourceMapping, records: Sequence[SourceRecord], result: InvokeResult
) -> frozenset[int]:
    """Where the messages stand in ``records``.

    A message whose lane has failed before it fails with it, whether the function names it or not: deleted, it would
    have overtaken the one that comes again.
    """
    outcome = batch_result(
        mapping.kind,
        records,
        result.payload,
        function_error=result.function_error,
        reports=mapping.reports_batch_item_failures,
    )
    if isinstance(outcome, BatchSucceeded):
        return frozenset()
    if isinstance(outcome, BatchFailed):
        return frozenset(range(len(records)))
    failed = set(outcome.positions)
    failed_lanes: set[str] = set()
    for position, record in enumerate(records):
        if record.lane in failed_lanes:
            failed.add(position)
        elif position in failed and record.lane is not None:
            failed_lanes.add(record.lane)
    return frozenset(failed)
