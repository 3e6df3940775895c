"""Streams of DynamoDB tables, by boto's own settings (``AWS_ENDPOINT_URL_DYNAMODB_STREAMS``): fills
``polling.StreamSource``.

Promises: records are what AWS hands to functions, to the letter; every failure is a SourceError in AWS's words.
Thread-safe.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.aws_clients import ServiceClients
from rie_server.model.event_source import Shard, ShardRead, SourceRecord, StreamPosition
from rie_server.sources.stream_answers import failures_of, same_stream, seconds_of

# The service's own limits of one call.
READ_MOST = 1000
LIST_MOST = 100
_IMAGES = {
    "NEW_AND_OLD_IMAGES": ("NewImage", "OldImage"),
    "NEW_IMAGE": ("NewImage",),
    "OLD_IMAGE": ("OldImage",),
    "KEYS_ONLY": (),
}


class DynamoDbStreamSource:
    """
    Args:
        stream_arn: ``arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000``.
        clients: may be shared; not this source's to close.
    """

    def __init__(self, stream_arn: str, *, clients: ServiceClients) -> None:
        self._arn = stream_arn
        self._region = stream_arn.split(":")[3]
        self._clients = clients

    # --- polling.StreamSource -----------------------------------------------------------------------------------------

    def shards(self) -> Sequence[Shard]:
        found: list[Shard] = []
        client = self._client()
        members: dict[str, Any] = {"StreamArn": self._arn, "Limit": LIST_MOST}
        while True:
            with failures_of(self._arn):
                stream = client.describe_stream(**members)["StreamDescription"]
                found += [_shard(one) for one in stream["Shards"]]
            if not stream.get("LastEvaluatedShardId"):
                return found
            members["ExclusiveStartShardId"] = stream["LastEvaluatedShardId"]

    def iterator(self, shard_id: str, position: StreamPosition) -> str:
        """DynamoDB knows no AT_TIMESTAMP: there the shard is read from its beginning."""
        client = self._client()
        members = {"StreamArn": self._arn, "ShardId": shard_id, **_iterator_members(position)}
        with same_stream(self.shards), failures_of(self._arn, about_shard=True):
            return str(client.get_shard_iterator(**members)["ShardIterator"])

    def read(self, iterator: str, most: int) -> ShardRead:
        client = self._client()
        with same_stream(self.shards), failures_of(self._arn, about_shard=True):
            answer = client.get_records(ShardIterator=iterator, Limit=min(most, READ_MOST))
            return ShardRead(
                records=tuple(self._record(one) for one in answer["Records"]),
                next_iterator=answer.get("NextShardIterator") or None,
            )

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {"Records": [record.document for record in records]}

    def backlog(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing: connections are shared, and DynamoDB knows no readers."""

    def watch(self, arrived: Callable[[str], None]) -> None:
        """Nothing: who polls is told nothing."""

    def note(self) -> str | None:
        return None

    # --- what only DynamoDB has ---------------------------------------------------------------------------------------

    def _client(self) -> Any:
        with failures_of(self._arn):
            return self._clients.client("dynamodbstreams", self._region)

    def _record(self, record: Mapping[str, Any]) -> SourceRecord:
        document = record_document(record, stream_arn=self._arn, region=self._region)
        change = document["dynamodb"]
        return SourceRecord(
            identifier=change["SequenceNumber"],
            lane=json.dumps(change.get("Keys"), sort_keys=True),
            arrived_at=float(change["ApproximateCreationDateTime"]),
            size_bytes=len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()),
            document=document,
        )


def record_document(record: Mapping[str, Any], *, stream_arn: str, region: str) -> dict[str, Any]:
    """A record as GetRecords gives it, as an element of ``Records``."""
    document: dict[str, Any] = {
        "eventID": record["eventID"],
        "eventName": str(record["eventName"]),
        "eventVersion": record.get("eventVersion", "1.1"),
        "eventSource": "aws:dynamodb",
        "awsRegion": record.get("awsRegion", region),
        "dynamodb": _change(record["dynamodb"]),
    }
    identity = record.get("userIdentity")
    if identity:
        document["userIdentity"] = {"type": identity.get("Type"), "principalId": identity.get("PrincipalId")}
    document["eventSourceARN"] = stream_arn
    return document


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    made_at = seconds_of(change["ApproximateCreationDateTime"])
    members: dict[str, Any] = {"ApproximateCreationDateTime": int(made_at) if made_at.is_integer() else made_at}
    view_type = change.get("StreamViewType", "NEW_AND_OLD_IMAGES")
    for name in ("Keys", *_IMAGES[view_type]):
        if change.get(name):
            members[name] = _plain(change[name])
    members["SequenceNumber"] = change["SequenceNumber"]
    members["SizeBytes"] = change.get("SizeBytes", 0)
    members["StreamViewType"] = view_type
    return members


def _plain(value: Any) -> Any:
    """An attribute value as JSON has it: binary as base64, at any depth."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _shard(description: Mapping[str, Any]) -> Shard:
    parent = description.get("ParentShardId")
    return Shard(
        shard_id=description["ShardId"],
        parents=(parent,) if parent else (),
        began_at=description.get("SequenceNumberRange", {}).get("StartingSequenceNumber"),
    )


def _iterator_members(position: StreamPosition) -> dict[str, str]:
    if position.after_sequence_number is not None:
        return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position.after_sequence_number}
    if position.at_sequence_number is not None:
        return {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": position.at_sequence_number}
    return {"ShardIteratorType": position.starting_position or "TRIM_HORIZON"}
