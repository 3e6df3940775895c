"""Streams of Kinesis through an enhanced fan-out consumer (``SubscribeToShard``): fills ``polling.StreamSource``.

Kinesis sends what arrives, for five minutes, over a connection for each shard; then another subscription goes on where
that one ended. An emulator that does not know the operation is polled instead, and ``note`` says so. Records of the
Kinesis Producer Library are taken apart, as AWS does with enhanced fan-out alone. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rie_server.aws_clients import ServiceClients, is_aws
from rie_server.errors import IteratorExpiredError, ShardGoneError, SourceError
from rie_server.model.event_source import Shard, ShardRead, SourceRecord, StreamPosition
from rie_server.sources.kinesis import KinesisSource
from rie_server.sources.kinesis_subscription import Subscription
from rie_server.sources.push_body import keep_bodies, last_body
from rie_server.sources.stream_answers import OperationUnknownError, StreamMissingError, failure_of, failures_of

log = logging.getLogger(__name__)

# After so many events without records an emulator is asked whether the shard has ended.
QUIET_EVENTS: Final = 5
_PUSHED: Final = "pushed "


class FanOutSource:
    """
    Args:
        consumer_arn: of the consumer, ``arn:...:stream/NAME/consumer/NAME:NUMBER``.
        polled: the stream as whoever polls sees it.
        clients: may be shared; not this source's to close. Each subscription holds a connection.
    """

    def __init__(self, consumer_arn: str, *, polled: KinesisSource, clients: ServiceClients) -> None:
        self._arn = consumer_arn
        self._region = consumer_arn.split(":")[3]
        self._polled = polled
        self._clients = clients
        self._arrived: Callable[[str], None] = lambda _shard_id: None
        self._note: str | None = None
        # Guards what follows.
        self._lock = threading.Lock()
        self._subscriptions: dict[str, Subscription] = {}
        # Where each shard's next subscription goes on.
        self._positions: dict[str, Mapping[str, Any]] = {}
        self._is_closed = False

    # --- polling.StreamSource -----------------------------------------------------------------------------------------

    def watch(self, arrived: Callable[[str], None]) -> None:
        self._arrived = arrived

    def note(self) -> str | None:
        return self._note

    def shards(self) -> Sequence[Shard]:
        """
        Raises:
            StreamMissingError: also where there is no such consumer.
        """
        found = self._polled.shards()
        try:
            with failures_of(self._arn):
                self._client().describe_stream_consumer(ConsumerARN=self._arn)
        except OperationUnknownError:
            if is_aws(self._client().meta.endpoint_url):
                raise
        return found

    def iterator(self, shard_id: str, position: StreamPosition) -> str:
        if self._note is None:
            self._positions[shard_id] = _starting_position(position)
            try:
                self._subscribe(shard_id)
            except OperationUnknownError:
                self._fall_back()
            else:
                return f"{_PUSHED}{shard_id}"
        return self._polled.iterator(shard_id, position)

    def read(self, iterator: str, most: int) -> ShardRead:
        """One event that has come, which may have more records than ``most``."""
        if not iterator.startswith(_PUSHED):
            return self._polled.read(iterator, most)
        shard_id = iterator.removeprefix(_PUSHED)
        subscription = self._subscriptions.get(shard_id)
        if subscription is None or subscription.is_over:
            if subscription is not None:
                subscription.take()
            subscription = self._renew(shard_id)
        event = subscription.take()
        if event is None:
            behind = subscription.behind_seconds
            return ShardRead(records=(), next_iterator=iterator, behind_seconds=behind, is_pushed=True)
        is_at_end = not self._go_on(shard_id, subscription)
        return ShardRead(
            records=self._polled.records_of(event["Records"], shard_id),
            next_iterator=None if is_at_end else iterator,
            behind_seconds=subscription.behind_seconds,
            is_pushed=True,
        )

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return self._polled.event(records)

    def backlog(self) -> int | None:
        return None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            ended, self._subscriptions = list(self._subscriptions.values()), {}
        for subscription in ended:
            subscription.close()
        for subscription in ended:
            subscription.join()

    # --- subscriptions ------------------------------------------------------------------------------------------------

    def _renew(self, shard_id: str) -> Subscription:
        if self._positions[shard_id]["Type"] == "LATEST":
            # Nobody has said where that was, and it is elsewhere now.
            raise IteratorExpiredError(f"The subscription to {shard_id} ended before its first event")
        try:
            return self._subscribe(shard_id)
        except OperationUnknownError:
            # Another emulator has come to the place of one that knew it.
            self._fall_back()
            raise IteratorExpiredError(self._note or "") from None

    def _subscribe(self, shard_id: str) -> Subscription:
        """
        Raises:
            IteratorExpiredError: the stream does not hold what comes next.
            ShardGoneError: there is no such shard.
        """
        client = self._client()
        keep_bodies(client, "SubscribeToShard")
        try:
            with failures_of(self._arn, about_shard=True):
                answer = client.subscribe_to_shard(
                    ConsumerARN=self._arn, ShardId=shard_id, StartingPosition=self._positions[shard_id]
                )
        except ShardGoneError as gone:
            raise self._what_is_gone(shard_id, gone) from gone
        subscription = Subscription(
            shard_id,
            answer["EventStream"],
            last_body(),
            failure_of=lambda trouble: self._what_ended(shard_id, trouble),
            arrived=lambda: self._arrived(shard_id),
        )
        self._keep(shard_id, subscription)
        return subscription

    def _keep(self, shard_id: str, subscription: Subscription) -> None:
        with self._lock:
            before = self._subscriptions.get(shard_id)
            is_closed = self._is_closed
            if not is_closed:
                self._subscriptions[shard_id] = subscription
        if before is not None:
            before.close()
            before.join()
        subscription.start()
        if is_closed:
            subscription.close()

    def _go_on(self, shard_id: str, subscription: Subscription) -> bool:
        """False at the end of a shard that was closed."""
        if subscription.continuation:
            following = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": subscription.continuation}
            self._positions[shard_id] = following
        if not subscription.is_at_end and not self._ends_untold(shard_id, subscription):
            return True
        with self._lock:
            self._subscriptions.pop(shard_id, None)
        subscription.close()
        subscription.join()
        return False

    def _ends_untold(self, shard_id: str, subscription: Subscription) -> bool:
        """kinesis-local never says to a subscriber that a shard has ended, but to whoever polls it does."""
        if subscription.continuation is None or subscription.quiet % QUIET_EVENTS or not subscription.quiet:
            return False
        if is_aws(self._client().meta.endpoint_url):
            return False
        position = StreamPosition(after_sequence_number=subscription.continuation)
        try:
            answer = self._polled.read(self._polled.iterator(shard_id, position), 1)
        except SourceError:
            return False
        return answer.next_iterator is None and not answer.records

    def _what_ended(self, shard_id: str, trouble: BaseException) -> SourceError:
        failure = failure_of(self._arn, trouble, about_shard=True)
        return self._what_is_gone(shard_id, failure) if isinstance(failure, ShardGoneError) else failure

    def _what_is_gone(self, shard_id: str, gone: ShardGoneError) -> SourceError:
        """Not found may be the shard, the consumer, or the stream."""
        try:
            is_there = any(shard.shard_id == shard_id for shard in self.shards())
        except StreamMissingError as missing:
            return missing
        except SourceError as trouble:
            return trouble
        return SourceError(str(gone)) if is_there else gone

    def _fall_back(self) -> None:
        endpoint = self._client().meta.endpoint_url
        if is_aws(endpoint):
            raise SourceError(f"{endpoint} does not know SubscribeToShard")
        if self._note is None:
            self._note = f"{endpoint} does not offer SubscribeToShard, so the stream is polled"
            log.warning("%s: %s", self._arn, self._note)

    def _client(self) -> Any:
        with failures_of(self._arn):
            return self._clients.client("kinesis", self._region)


def _starting_position(position: StreamPosition) -> dict[str, Any]:
    if position.after_sequence_number is not None:
        return {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position.after_sequence_number}
    if position.at_sequence_number is not None:
        return {"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": position.at_sequence_number}
    if position.at_timestamp is not None:
        return {"Type": "AT_TIMESTAMP", "Timestamp": position.at_timestamp}
    return {"Type": position.starting_position}
