"""Event source mappings as the engine needs them, and the records that their sources hand out.

Pure data. What CreateEventSourceMapping accepts, defaults and shows are the rules of ``event_source_rules``; a mapping
that is here has passed them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from rie_server.model.arn import FunctionArn


class SourceKind(StrEnum):
    """What a mapping polls. Amazon MQ's two engines cannot be told by the ARN; its adapter asks for the broker's."""

    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"
    MSK = "msk"
    SELF_MANAGED_KAFKA = "self-managed-kafka"
    MQ = "mq"
    DOCUMENTDB = "documentdb"

    @property
    def is_kafka(self) -> bool:
        return self in (SourceKind.MSK, SourceKind.SELF_MANAGED_KAFKA)

    @property
    def is_stream(self) -> bool:
        """Kinesis and DynamoDB Streams: shards, sequence numbers, checkpoints of our own."""
        return self in (SourceKind.KINESIS, SourceKind.DYNAMODB)


class MappingState(StrEnum):
    """``State`` of an event source mapping."""

    CREATING = "Creating"
    ENABLING = "Enabling"
    ENABLED = "Enabled"
    DISABLING = "Disabling"
    DISABLED = "Disabled"
    UPDATING = "Updating"
    DELETING = "Deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSourceMapping:
    """
    Attributes:
        uuid: names the mapping, its checkpoints and its consumer group.
        function: as it was asked for, with its qualifier; region and account are the mapping's too.
        source_arn: None for self-managed Kafka. An enhanced fan-out consumer of Kinesis has its own ARN.
        enabled: what the user wants; ``state`` follows.
        members: everything that was configured, under the API's own names, AWS's defaults filled in where AWS shows
            them. Read through the properties below where there is one.
        last_modified: seconds since the epoch.
        last_processing_result: None where AWS shows none (SQS).
    """

    uuid: str
    kind: SourceKind
    function: FunctionArn
    source_arn: str | None
    enabled: bool
    state: MappingState
    state_transition_reason: str
    members: Mapping[str, Any]
    last_modified: float
    last_processing_result: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        place = self.function
        return f"arn:aws:lambda:{place.region}:{place.account}:event-source-mapping:{self.uuid}"

    @property
    def batch_size(self) -> int:
        return int(self.members["BatchSize"])

    @property
    def batching_window_seconds(self) -> float:
        """Kafka, Amazon MQ and DocumentDB wait half a second where nothing was set, and do not show it."""
        window = self.members.get("MaximumBatchingWindowInSeconds")
        if window is None:
            return 0.0 if self.kind is SourceKind.SQS or self.kind.is_stream else 0.5
        return float(window)

    @property
    def filter_patterns(self) -> tuple[str, ...]:
        filters = self.members.get("FilterCriteria", {}).get("Filters") or ()
        return tuple(one["Pattern"] for one in filters if "Pattern" in one)

    @property
    def reports_batch_item_failures(self) -> bool:
        return "ReportBatchItemFailures" in (self.members.get("FunctionResponseTypes") or ())

    @property
    def on_failure_destination(self) -> str | None:
        """ARN, or ``kafka://topic``."""
        return self.members.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") or None


class SourceRecord(NamedTuple):
    """One record of any source, as its adapter has read it. A tuple, because one is made of every record: a frozen
    dataclass takes thrice as long. It is made by keyword all the same.

    Attributes:
        identifier: what a partial batch response calls it: message id, sequence number; for Kafka the offset as text.
        lane: records of one lane reach the function in order: message group, partition key, Kafka's ``topic-0``; None
            where there is no order to keep.
        arrived_at: seconds since the epoch, by the source's own clock.
        size_bytes: of ``document`` as JSON in the event; an upper estimate will do.
        document: the record as the handler sees it; bytes where its adapter has written it as JSON, which saves making
            an object of every record that nobody looks into.
        payload: what filters look into where ``document`` holds it encoded (base64); None where it is plain there.
        invalid: why the function may not see it (its schema does not fit); it is given up without an invocation.
        handle: the adapter's own (receipt handle, delivery tag, resume token); nobody else looks at it.
    """

    identifier: str
    lane: str | None
    arrived_at: float
    size_bytes: int
    document: Mapping[str, Any] | bytes
    payload: bytes | None = None
    invalid: str | None = None
    handle: Any = None

    def read_document(self) -> Mapping[str, Any]:
        """The document, for who looks into it."""
        document = self.document
        if isinstance(document, bytes):
            parsed: Mapping[str, Any] = json.loads(document)
            return parsed
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """
    Attributes:
        parents: shards whose records come before this one's; parents that no longer exist may be among them.
        began_at: the sequence number with which it began. A stream that is deleted and made anew has shards of the same
            names that began elsewhere. None if that is not known.
    """

    shard_id: str
    parents: tuple[str, ...] = ()
    began_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPosition:
    """Where to read a shard from: exactly one of the four.

    Attributes:
        after_sequence_number: the last record that is done.
        at_sequence_number: a record that is to be read again.
        starting_position: ``TRIM_HORIZON`` or ``LATEST``.
        at_timestamp: seconds since the epoch.
    """

    after_sequence_number: str | None = None
    at_sequence_number: str | None = None
    starting_position: str | None = None
    at_timestamp: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRead:
    """One answer of a shard.

    Attributes:
        next_iterator: None at the end of a shard that was closed.
        behind_seconds: how far the answer is from the shard's tip; 0 at the tip.
        is_pushed: the source tells when there is more to read, and answers with what it has been sent.
    """

    records: tuple[SourceRecord, ...]
    next_iterator: str | None
    behind_seconds: float = 0.0
    is_pushed: bool = False
