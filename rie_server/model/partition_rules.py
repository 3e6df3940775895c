"""When a partition's batches are tried again, by the members of its mapping. Pure."""

from typing import Final

from rie_server.model.event_source import EventSourceMapping
from rie_server.model.stream_batch import UNLIMITED, Discard, DiscardCondition, StreamBatch, StreamRules

ATTEMPTS_WITH_DESTINATION: Final = 10
"""AWS: with retries for ever and an on-failure destination "Lambda automatically applies a maximum of 10 retry
attempts", because nothing would ever get there."""


def partition_rules(mapping: EventSourceMapping) -> StreamRules:
    members = mapping.members
    attempts = int(members.get("MaximumRetryAttempts", UNLIMITED))
    if attempts == UNLIMITED and mapping.on_failure_destination is not None:
        attempts = ATTEMPTS_WITH_DESTINATION
    return StreamRules(
        maximum_retry_attempts=attempts,
        maximum_record_age_seconds=int(members.get("MaximumRecordAgeInSeconds", UNLIMITED)),
        bisects=bool(members.get("BisectBatchOnFunctionError", False)),
    )


def invalid_record(batch: StreamBatch) -> Discard:
    """A record that no function can be given, alone in its batch."""
    return Discard(
        batch=batch,
        condition=DiscardCondition.SCHEMA_VALIDATION_FAILED,
        invoke_count=0,
        was_answered=False,
        checkpoint=batch.last,
    )
