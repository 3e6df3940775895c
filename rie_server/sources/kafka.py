"""Kafka topics of MSK and of self-managed clusters, as a member of the mapping's consumer group.

Fills ``polling.PartitionSource``: all of it is one thread's, but for ``event``, ``backlog`` and ``deliver``. Offsets
live in the broker and are written only by ``commit`` and when partitions are handed over; where the group has none yet,
the mapping's StartingPosition is looked up and committed at once, so that LATEST still means the same moment after a
crash.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from rie_server.errors import DeliveryError, SourceError
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.polling import PartitionWatcher
from rie_server.sources.kafka_access import KafkaCluster
from rie_server.sources.kafka_producer import KafkaProducer
from rie_server.sources.kafka_record import PartitionRecords, event
from rie_server.sources.kafka_settings import consumer_settings
from rie_server.sources.kafka_start import starting_offsets
from rie_server.sources.kafka_words import configuration_error, is_passing, source_error

log = logging.getLogger(__name__)

ASK_SECONDS = 10.0
LOOK_SECONDS = 1.0
COUNT_READS = 10
"""As often as every so many reads it is counted how much waits."""

# Turns a record into what the handler gets by the schema registry.
Decode = Callable[[SourceRecord], SourceRecord]


class KafkaSource:
    """
    Args:
        enter: finds the cluster and the way in, anew at each ``open``; raises SourceError.
        decode: None without a schema registry.
    """

    def __init__(
        self, mapping: EventSourceMapping, enter: Callable[[], KafkaCluster], *, decode: Decode | None = None
    ) -> None:
        self._mapping = mapping
        self._enter = enter
        self._decode = decode
        self._topic = str(mapping.members["Topics"][0])
        self._lock = threading.Lock()
        self._cluster: KafkaCluster | None = None
        self._producer: KafkaProducer | None = None
        # The reading thread's.
        self._consumer: Consumer | None = None
        self._watcher: PartitionWatcher | None = None
        self._wanted: dict[str, int] = {}
        self._confirmed: dict[str, int] = {}
        self._committing = False
        self._failure: SourceError | None = None
        self._trouble: str | None = None
        self._reads = 0
        self._backlog: int | None = None

    # --- the group ----------------------------------------------------------------------------------------------------

    def open(self, watcher: PartitionWatcher) -> None:
        cluster = self._enter()
        with self._lock:
            self._cluster = cluster
        self._watcher, self._failure, self._trouble = watcher, None, None
        settings = {
            **consumer_settings(self._mapping, cluster),
            "error_cb": self._on_error,
            "on_commit": self._on_commit,
        }
        try:
            self._consumer = consumer = Consumer(settings, logger=log)
        except (KafkaException, ValueError, TypeError) as refusal:
            raise configuration_error(str(refusal)) from refusal
        try:
            self._find_topic(consumer)
            consumer.subscribe(
                [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except KafkaException as refusal:
            raise self._failure or source_error(_error_of(refusal)) from refusal

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            # Tells the watcher what is revoked.
            consumer.close()
        self._wanted.clear()
        self._confirmed.clear()
        self._committing, self._backlog = False, None
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()

    def _find_topic(self, consumer: Consumer) -> None:
        """
        Raises:
            KafkaException: no broker has answered.
            SourceError: there is no such topic, or a password is wrong.
        """
        for is_last in (*[False] * (int(ASK_SECONDS / LOOK_SECONDS) - 1), True):
            try:
                found = consumer.list_topics(self._topic, timeout=LOOK_SECONDS)
                break
            except KafkaException:
                consumer.poll(0)  # what is wrong with the connection is told here, and more than once
                if self._failure is not None or is_last:
                    raise
        error = found.topics[self._topic].error
        if error is not None:
            raise source_error(error)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        consumer = self._consumer
        if consumer is None:
            raise SourceError("The source is closed.")
        try:
            first = consumer.poll(wait_seconds)
            # Without waiting: ``consume`` waits for as many as it is asked for.
            messages = [] if first is None else [first, *consumer.consume(most - 1, 0)] if most > 1 else [first]
        except KafkaException as refusal:
            raise source_error(_error_of(refusal)) from refusal
        if self._failure is not None:
            raise self._failure
        records = self._records(messages)
        if records:
            self._trouble = None
        self._commit_wanted()
        self._reads += 1
        if self._reads % COUNT_READS == 0:
            self._count_backlog(consumer)
        return records if self._decode is None else [self._decode(record) for record in records]

    def _records(self, messages: Sequence[Message]) -> list[SourceRecord]:
        records: list[SourceRecord] = []
        last = -1
        for message in messages:
            error = message.error()
            if error is not None:
                self._message_error(error)
                continue
            partition = message.partition() or 0
            if partition != last:  # they come in long rows
                records_of = PartitionRecords(self._lane(partition), self._topic, partition)
                make, last = records_of.record, partition
            records.append(make(message))
        return records

    def _count_backlog(self, consumer: Consumer) -> None:
        """What is not committed of this member's partitions, as far as the last fetches know."""
        waiting = 0
        for lane, offset in self._confirmed.items():
            _, end = consumer.get_watermark_offsets(self._partition(lane), cached=True) or (0, 0)
            waiting += max(0, end - offset)
        self._backlog = waiting

    def trouble(self) -> str | None:
        if self._trouble is not None and self._consumer is not None:
            try:
                self._consumer.list_topics(self._topic, timeout=LOOK_SECONDS)
            except KafkaException:
                return self._trouble
            self._trouble = None
        return self._trouble

    def pause(self, lanes: Sequence[str]) -> None:
        if self._consumer is not None:
            self._consumer.pause([self._partition(lane) for lane in lanes])

    def resume(self, lanes: Sequence[str]) -> None:
        if self._consumer is not None:
            self._consumer.resume([self._partition(lane) for lane in lanes])

    def commit(self, offsets: Mapping[str, int]) -> None:
        self._wanted.update(offsets)
        self._commit_wanted()

    def _commit_wanted(self) -> None:
        """One commit at a time: the broker keeps the last that it gets, so they must not overtake one another."""
        if self._committing or not self._wanted or self._consumer is None:
            return
        offsets, self._wanted = self._partitions(self._wanted), {}
        self._committing = True
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as refusal:
            self._on_commit(_error_of(refusal), offsets)

    # --- what the client tells, on the reading thread -----------------------------------------------------------------

    def _on_commit(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        self._committing = False
        offsets = {self._lane(one.partition): one.offset for one in partitions}
        ours = {lane: offset for lane, offset in offsets.items() if lane in self._confirmed}
        if error is None:
            self._confirmed.update(ours)
            return
        # Whatever it is, a coordinator that moves or a group that changes: it passes, or the partitions are lost.
        log.info("Event source mapping %s: offsets are not committed yet: %s", self._mapping.uuid, error.str())
        self._wanted = ours | self._wanted

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            starts = starting_offsets(consumer, self._mapping, partitions)
            consumer.incremental_assign(starts)
        except KafkaException as refusal:
            self._failure = source_error(_error_of(refusal))
        except SourceError as failure:
            self._failure = failure
        else:
            offsets = {self._lane(one.partition): one.offset for one in starts}
            self._confirmed.update(offsets)
            if self._watcher is not None:
                self._watcher.assigned(offsets)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        lanes = [self._lane(one.partition) for one in partitions]
        done = self._watcher.revoked(lanes) if self._watcher is not None else {}
        for lane in lanes:
            self._wanted.pop(lane, None)
        # A commit that has been sent and not confirmed is repeated: its answer may never come.
        news = {lane: offset for lane, offset in done.items() if offset != self._confirmed.pop(lane, None)}
        if news:
            try:
                consumer.commit(offsets=self._partitions(news), asynchronous=False)
            except KafkaException as refusal:
                log.warning("Event source mapping %s: records of %s come again: %s", self._mapping.uuid, lanes, refusal)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        lanes = [self._lane(one.partition) for one in partitions]
        for lane in lanes:
            self._wanted.pop(lane, None)
            self._confirmed.pop(lane, None)
        if self._watcher is not None:
            self._watcher.lost(lanes)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or not is_passing(error):
            self._failure = source_error(error)
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's own codes have this name
            self._trouble = str(source_error(error))

    def _message_error(self, error: KafkaError) -> None:
        """What stands in the place of a message.

        Raises:
            SourceError: unless it passes.
        """
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            log.warning("Event source mapping %s: records have expired: %s", self._mapping.uuid, error.str())
        elif error.fatal() or not is_passing(error):
            raise source_error(error)

    # --- anybody's ----------------------------------------------------------------------------------------------------

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        servers = self._cluster.bootstrap_servers if self._cluster is not None else ()
        return event(self._mapping, servers, records)

    def backlog(self) -> int | None:
        return self._backlog

    def deliver(self, topic: str, body: bytes, key: bytes | None) -> None:
        with self._lock:
            if self._cluster is None:
                raise DeliveryError(f"kafka://{topic}: the cluster is not known yet", passes=True)
            if self._producer is None:
                self._producer = KafkaProducer(self._cluster)
            producer = self._producer
        producer.deliver(topic, body, key)

    def _lane(self, partition: int) -> str:
        return f"{self._topic}-{partition}"

    def _partition(self, lane: str, offset: int | None = None) -> TopicPartition:
        number = int(lane.rsplit("-", 1)[1])
        return TopicPartition(self._topic, number) if offset is None else TopicPartition(self._topic, number, offset)

    def _partitions(self, offsets: Mapping[str, int]) -> list[TopicPartition]:
        return [self._partition(lane, offset) for lane, offset in offsets.items()]


def _error_of(refusal: KafkaException) -> KafkaError:
    error = refusal.args[0] if refusal.args else None
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(refusal))  # noqa: SLF001
