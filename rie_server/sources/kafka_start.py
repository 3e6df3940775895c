"""Where the reading of a partition begins: at the group's offset, or where it has none at StartingPosition."""

from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from rie_server.model.event_source import EventSourceMapping

ASK_SECONDS = 10.0


def starting_offsets(
    consumer: Consumer, mapping: EventSourceMapping, partitions: Sequence[TopicPartition]
) -> list[TopicPartition]:
    """
    Raises:
        KafkaException: a broker has not answered, or has refused to.
    """
    known = consumer.committed(list(partitions), timeout=ASK_SECONDS)
    failed = next((one for one in known if one.error is not None), None)
    if failed is not None and failed.error is not None:
        raise KafkaException(failed.error)
    new = [one for one in known if one.offset < 0]
    if not new:
        return known
    starts = _positions(consumer, mapping, new)
    # A server that is killed before the first record has been done must not begin elsewhere.
    consumer.commit(offsets=starts, asynchronous=False)
    return [one for one in known if one.offset >= 0] + starts


def _positions(
    consumer: Consumer, mapping: EventSourceMapping, partitions: Sequence[TopicPartition]
) -> list[TopicPartition]:
    position = mapping.members.get("StartingPosition") or "TRIM_HORIZON"
    if position == "AT_TIMESTAMP":
        moment_ms = int(float(mapping.members["StartingPositionTimestamp"]) * 1000)
        asked = [TopicPartition(one.topic, one.partition, moment_ms) for one in partitions]
        found = consumer.offsets_for_times(asked, timeout=ASK_SECONDS)
        return [one if one.offset >= 0 else _edge(consumer, one, is_latest=True) for one in found]
    return [_edge(consumer, one, is_latest=position == "LATEST") for one in partitions]


def _edge(consumer: Consumer, partition: TopicPartition, *, is_latest: bool) -> TopicPartition:
    low, high = consumer.get_watermark_offsets(partition, timeout=ASK_SECONDS) or (OFFSET_BEGINNING, OFFSET_BEGINNING)
    return TopicPartition(partition.topic, partition.partition, high if is_latest else low)
