"""Where batches of a partition go that are given up: a queue, a topic of SNS, a bucket, or a topic of the same cluster.

Thread-safe; blocks within the adapters' timeouts.
"""

import base64
import uuid
from typing import Any

from rie_server.model.batch_failure_record import (
    FailedBatch,
    FunctionAnswer,
    message_record,
    object_key,
    object_record,
    topic_record,
)
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.destination_arn import DestinationKind, destination_kind
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.invocation import InvokeResult
from rie_server.model.stream_batch import Discard
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.polling import PartitionSource
from rie_server.ports import Clock, Destinations

KAFKA_TOPIC = "kafka://"


class PartitionFailures:
    """
    Args:
        clock: the server's time; it dates the records.
    """

    def __init__(
        self,
        *,
        mapping: EventSourceMapping,
        source: PartitionSource,
        invocation: BatchInvocation,
        destinations: Destinations,
        clock: Clock,
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._invocation = invocation
        self._destinations = destinations
        self._clock = clock

    def deliver(self, lane: str, discard: Discard, result: InvokeResult | None) -> bool:
        """Sends what tells of ``discard``; False where the mapping has no destination.

        Args:
            result: of the last invocation.

        Raises:
            DeliveryError: the destination does not have all of it; calling again sends all of it again.
        """
        target = self._mapping.on_failure_destination
        if target is None:
            return False
        failed = self._failed(lane, discard, result)
        if target.startswith(KAFKA_TOPIC):
            for record in failed.records:
                body = topic_record(failed, record, self._invocation.payload([record]))
                self._source.deliver(target.removeprefix(KAFKA_TOPIC), body, _key(record))
        else:
            self._destinations.deliver(self._delivery(failed, target))
        return True

    def _failed(self, lane: str, discard: Discard, result: InvokeResult | None) -> FailedBatch:
        records = discard.batch.records
        answer = None
        if discard.was_answered and result is not None:
            answer = FunctionAnswer(executed_version=result.executed_version, function_error=result.function_error)
        return FailedBatch(
            mapping=self._mapping,
            shard_id=lane,
            records=records,
            request_id=discard.batch.request_id,
            condition=discard.condition,
            invoke_count=discard.invoke_count,
            answer=answer,
            event=self._invocation.payload(records),
            bootstrap_servers=str(self._source.event([])["bootstrapServers"]),
            at=self._clock.now(),
        )

    def _delivery(self, failed: FailedBatch, target: str) -> Delivery:
        is_object = destination_kind(target) is DestinationKind.S3
        return Delivery(
            kind=DeliveryKind.ON_FAILURE,
            target_arn=target,
            request_id=failed.request_id,
            function=self._mapping.function,
            body=object_record(failed) if is_object else message_record(failed),
            trace_header="",
            at=failed.at,
            object_key=object_key(failed, str(uuid.uuid4())) if is_object else None,
        )


def _key(record: SourceRecord) -> bytes | None:
    key: Any = record.read_document().get("key")
    return base64.b64decode(key) if isinstance(key, str) else None
