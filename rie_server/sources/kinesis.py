"""Streams of Kinesis, by boto's own settings (``AWS_ENDPOINT_URL_KINESIS``): fills ``polling.StreamSource``.

Promises: records are what AWS hands to functions, to the letter; every failure is a SourceError in AWS's words.
Thread-safe.

The stream of an enhanced fan-out consumer can be polled like any other (``kinesis_fan_out`` does where it has to). Its
records of the Kinesis Producer Library are taken apart, as AWS does with enhanced fan-out alone: what was packed
together shares a sequence number.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.aws_clients import ServiceClients, is_aws
from rie_server.model.event_source import Shard, ShardRead, SourceRecord, StreamPosition
from rie_server.model.kpl_aggregate import unpack
from rie_server.sources.stream_answers import failures_of, same_stream, seconds_of

# Kinesis's own limits of one call.
READ_MOST = 10_000
LIST_MOST = 1000
# A record in the event, beyond its data and its keys; names and ARNs at their longest.
_RECORD_BYTES = 800


class KinesisSource:
    """
    Args:
        stream_arn: of the stream, or of an enhanced fan-out consumer, whose stream is then read by polling.
        role: the function's role, which the event names; asked at each read, because it may change.
        clients: may be shared; not this source's to close.
    """

    def __init__(self, stream_arn: str, *, role: Callable[[], str], clients: ServiceClients) -> None:
        self._event_source_arn = stream_arn
        self._arn, self._is_consumer, _ = stream_arn.partition("/consumer/")
        self._region = stream_arn.split(":")[3]
        self._role = role
        self._clients = clients

    # --- polling.StreamSource -----------------------------------------------------------------------------------------

    def shards(self) -> Sequence[Shard]:
        found: list[Shard] = []
        client = self._client()
        members: dict[str, Any] = self._stream(client)
        while True:
            with failures_of(self._arn):
                answer = client.list_shards(MaxResults=LIST_MOST, **members)
                found += [_shard(one) for one in answer["Shards"]]
            if not answer.get("NextToken"):
                return found
            members = {"NextToken": answer["NextToken"]}

    def iterator(self, shard_id: str, position: StreamPosition) -> str:
        """With the shard's name before it, because each record in an event has that, too.

        An emulator reads from the beginning where a time was asked for: kinesalite does not answer at all while no
        record is that young, and whoever reads leaves out what arrived earlier.
        """
        client = self._client()
        if position.at_timestamp is not None and not is_aws(client.meta.endpoint_url):
            position = StreamPosition(starting_position="TRIM_HORIZON")
        members = self._stream(client) | _iterator_members(position)
        with same_stream(self.shards), failures_of(self._arn, about_shard=True):
            return f"{shard_id} {client.get_shard_iterator(ShardId=shard_id, **members)['ShardIterator']}"

    def read(self, iterator: str, most: int) -> ShardRead:
        client = self._client()
        shard_id, _, place = iterator.partition(" ")
        with same_stream(self.shards), failures_of(self._arn, about_shard=True):
            answer = client.get_records(ShardIterator=place, Limit=min(most, READ_MOST))
            following = answer.get("NextShardIterator")
            return ShardRead(
                records=self.records_of(answer["Records"], shard_id),
                next_iterator=f"{shard_id} {following}" if following else None,
                behind_seconds=(answer.get("MillisBehindLatest") or 0) / 1000,
            )

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {"Records": [record.document for record in records]}

    def backlog(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing: connections are shared, and Kinesis knows no readers."""

    def watch(self, arrived: Callable[[str], None]) -> None:
        """Nothing: who polls is told nothing."""

    def note(self) -> str | None:
        return None

    # --- what only Kinesis has ----------------------------------------------------------------------------------------

    def records_of(self, found: Sequence[Mapping[str, Any]], shard_id: str) -> tuple[SourceRecord, ...]:
        """Records as Kinesis gives them, as the function gets them."""
        common = self._common_members() if found else {}
        return tuple(_record(one, shard_id, common) for packed in found for one in self._unpacked(packed))

    def _unpacked(self, record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        packed = unpack(record["Data"]) if self._is_consumer else None
        if packed is None:
            return (record,)
        return [{**record, "PartitionKey": one.partition_key, "Data": one.data} for one in packed]

    def _client(self) -> Any:
        with failures_of(self._arn):
            return self._clients.client("kinesis", self._region)

    def _stream(self, client: Any) -> dict[str, Any]:
        """By name, because emulators of an older date know no other way; on AWS by its ARN, which names the account."""
        if is_aws(client.meta.endpoint_url):
            return {"StreamARN": self._arn}
        return {"StreamName": self._arn.rpartition("/")[2]}

    def _common_members(self) -> dict[str, str]:
        return {
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": self._role(),
            "awsRegion": self._region,
            "eventSourceARN": self._event_source_arn,
        }


def _shard(description: Mapping[str, Any]) -> Shard:
    parents = (description.get("ParentShardId"), description.get("AdjacentParentShardId"))
    return Shard(
        shard_id=description["ShardId"],
        parents=tuple(parent for parent in parents if parent),
        began_at=description.get("SequenceNumberRange", {}).get("StartingSequenceNumber"),
    )


def _iterator_members(position: StreamPosition) -> dict[str, Any]:
    if position.after_sequence_number is not None:
        return {
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
            "StartingSequenceNumber": position.after_sequence_number,
        }
    if position.at_sequence_number is not None:
        return {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": position.at_sequence_number}
    if position.at_timestamp is not None:
        return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": position.at_timestamp}
    return {"ShardIteratorType": position.starting_position}


def _record(record: Mapping[str, Any], shard_id: str, common: Mapping[str, str]) -> SourceRecord:
    data: bytes = record["Data"]
    partition_key: str = record["PartitionKey"]
    sequence_number: str = record["SequenceNumber"]
    arrived_at = seconds_of(record["ApproximateArrivalTimestamp"])
    text = base64.b64encode(data).decode()
    return SourceRecord(
        identifier=sequence_number,
        lane=partition_key,
        arrived_at=arrived_at,
        size_bytes=_RECORD_BYTES + len(text) + 2 * len(sequence_number) + 4 * len(partition_key),
        document={
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": partition_key,
                "sequenceNumber": sequence_number,
                "data": text,
                "approximateArrivalTimestamp": arrived_at,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard_id}:{sequence_number}",
            **common,
        },
        payload=data,
    )
