"""The records that tell an on-failure destination which records of a stream or of Kafka were given up.

Pure. Members, their order and their absence are AWS's (version 1.0 of its record). They differ from those of
asynchronous events: the function's ARN has no qualifier, and without S3 or Kafka the payload stays behind, because the
stream still has it.

AWS: Lambda Developer Guide, "Retain discarded batch records" (Kinesis, DynamoDB) and "Capturing discarded batches"
(Kafka).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rie_server.model.destination_record import record_timestamp
from rie_server.model.event_source import EventSourceMapping, SourceKind, SourceRecord

_FUNCTION_RAN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionAnswer:
    """
    Attributes:
        executed_version: ``$LATEST`` or a number.
        function_error: ``Unhandled``; None where the function ran and its partial batch response failed the records.
    """

    executed_version: str
    function_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedBatch:
    """
    Attributes:
        shard_id: of a stream; ``topic-0`` for a partition of Kafka.
        records: none, if a tumbling window's final invocation failed.
        request_id: of the last attempt.
        condition: see ``stream_batch.DiscardCondition``.
        answer: None if the function was not invoked, or the records were too old.
        event: what the function got or would have got, as bytes.
        bootstrap_servers: Kafka's, as in the event.
        time_window: ``window``, ``state``, ... of the event, where the mapping has a tumbling window.
        at: when the records were given up, seconds since the epoch.
    """

    mapping: EventSourceMapping
    shard_id: str
    records: tuple[SourceRecord, ...]
    request_id: str
    condition: str
    invoke_count: int
    answer: FunctionAnswer | None
    event: bytes
    at: float
    bootstrap_servers: str = ""
    time_window: Mapping[str, Any] | None = None


def message_record(failed: FailedBatch) -> bytes:
    """What an SQS queue or an SNS topic gets: no payload."""
    return _dump(_members(failed))


def object_record(failed: FailedBatch) -> bytes:
    """What an S3 bucket gets: with the whole event, as a text within the JSON."""
    return _dump(_members(failed) | {"payload": failed.event.decode()})


def topic_record(failed: FailedBatch, record: SourceRecord, event: bytes) -> bytes:
    """What a Kafka topic gets for one record of the batch, under the record's own key.

    Args:
        event: with this record alone.
    """
    one = replace(failed, records=(record,), event=event)
    members = _members(one)
    information = dict(members["KafkaBatchInfo"])
    del information["recordsInfo"]
    information["recordInfo"] = {"offset": record.identifier, "timestamp": record_timestamp(record.arrived_at)}
    head = _dump(members | {"KafkaBatchInfo": information})
    # The bytes as they are, so that numbers of any length and the order of members survive.
    return head[:-1] + b',"payload":' + event + b"}"


def object_key(failed: FailedBatch, unique: str) -> str:
    """The key of an object in S3.

    Args:
        unique: a random UUID.
    """
    moment = datetime.fromtimestamp(failed.at, UTC)
    day, second = f"{moment:%Y/%m/%d}", f"{moment:%Y-%m-%dT%H.%M.%S}"
    return f"aws/lambda/{failed.mapping.uuid}/{failed.shard_id}/{day}/{second}-{unique}"


def _members(failed: FailedBatch) -> dict[str, Any]:
    members: dict[str, Any] = {
        "requestContext": {
            "requestId": failed.request_id,
            "functionArn": str(failed.mapping.function.unqualified),
            "condition": str(failed.condition),
            "approximateInvokeCount": failed.invoke_count,
        }
    }
    if failed.answer is not None:
        members["responseContext"] = {
            "statusCode": _FUNCTION_RAN,
            "executedVersion": failed.answer.executed_version,
            "functionError": failed.answer.function_error,
        }
    members |= {"version": "1.0", "timestamp": record_timestamp(failed.at)}
    if failed.mapping.kind.is_kafka:
        members["KafkaBatchInfo"] = _kafka_batch(failed)
    elif failed.mapping.kind is SourceKind.DYNAMODB:
        members["DDBStreamBatchInfo"] = _stream_batch(failed)
    else:
        members["KinesisBatchInfo"] = _stream_batch(failed)
    if failed.time_window is not None:
        members["timeWindowInfo"] = dict(failed.time_window)
    return members


def _stream_batch(failed: FailedBatch) -> dict[str, Any]:
    first, last = _ends(failed.records)
    arrival = _second_timestamp if failed.mapping.kind is SourceKind.DYNAMODB else record_timestamp
    return {
        "shardId": failed.shard_id,
        "startSequenceNumber": first and first.identifier,
        "endSequenceNumber": last and last.identifier,
        "approximateArrivalOfFirstRecord": first and arrival(first.arrived_at),
        "approximateArrivalOfLastRecord": last and arrival(last.arrived_at),
        "batchSize": len(failed.records),
        "streamArn": failed.mapping.source_arn,
    }


def _kafka_batch(failed: FailedBatch) -> dict[str, Any]:
    members: dict[str, Any] = {"batchSize": len(failed.records)}
    if failed.mapping.source_arn is not None:
        members["eventSourceArn"] = failed.mapping.source_arn
    return members | {
        "bootstrapServers": failed.bootstrap_servers,
        "payloadSize": len(failed.event),
        "recordsInfo": {
            partition: {
                "firstRecordOffset": records[0].identifier,
                "lastRecordOffset": records[-1].identifier,
                "firstRecordTimestamp": record_timestamp(records[0].arrived_at),
                "lastRecordTimestamp": record_timestamp(records[-1].arrived_at),
            }
            for partition, records in _by_partition(failed).items()
        },
    }


def _by_partition(failed: FailedBatch) -> dict[str, list[SourceRecord]]:
    partitions: dict[str, list[SourceRecord]] = {}
    for record in failed.records:
        partitions.setdefault(record.lane or failed.shard_id, []).append(record)
    return partitions


def _ends(records: Sequence[SourceRecord]) -> tuple[SourceRecord | None, SourceRecord | None]:
    return (records[0], records[-1]) if records else (None, None)


def _second_timestamp(epoch_seconds: float) -> str:
    """DynamoDB's records know the second of their making, and no more."""
    return f"{datetime.fromtimestamp(epoch_seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _dump(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()
