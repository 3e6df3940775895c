"""Amazon MQ for RabbitMQ as a source of messages: fills ``polling.BrokerSource``. Thread-safe."""

from collections.abc import Callable, Sequence
from typing import Any

from rie_server.model.broker_address import BrokerAddress
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.rabbitmq_message import rabbitmq_document
from rie_server.ports import Clock
from rie_server.sources.access import access_uri
from rie_server.sources.broker_link import BrokerLinks, Delivery, Link
from rie_server.sources.rabbitmq_connection import Message, RabbitMqConnection

PREFETCH_MAXIMUM = 65_535
# All members in order, past the constructor with its names: that takes a third of the time.
_new = tuple.__new__


class RabbitMqSource(BrokerLinks[RabbitMqConnection]):
    """
    Attributes:
        consumers: how many batches may be in flight: AWS runs one for each mapping, which keeps the queue's order.
        failure_pause_seconds: before a message is released that failed: the broker delivers it again at once.

    Args:
        enter: where the broker is and who to be there, asked at each connection.
        clock: the real one; it dates arrivals.
    """

    consumers = 1
    failure_pause_seconds = 1.0

    def __init__(self, mapping: EventSourceMapping, enter: Callable[[], BrokerAddress], clock: Clock) -> None:
        super().__init__()
        self._arn = mapping.source_arn
        self._queue = str(mapping.members["Queues"][0])
        self._virtual_host = access_uri(mapping, "VIRTUAL_HOST") or "/"
        self._label = f"{self._queue}::{self._virtual_host}"
        # One batch at work, one that is ready when it is done, and two on their way.
        self._prefetch = min(4 * mapping.batch_size, PREFETCH_MAXIMUM)
        self._enter = enter
        self._clock = clock

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        del failed  # the broker counts deliveries itself
        for link, group in self.by_link(records):
            link.connection.requeue([record.handle.tag for record in group])

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {
            "eventSource": "aws:rmq",
            "eventSourceArn": self._arn,
            "rmqMessagesByQueue": {self._label: [record.document for record in records]},
        }

    def backlog(self) -> int | None:
        """As of the last time that somebody asked."""
        link = self.current
        if link is None:
            return None
        link.connection.ask_waiting()
        return link.connection.messages_waiting

    def connection(self, link: Link[RabbitMqConnection]) -> RabbitMqConnection:
        put, now = link.arrivals.put, self._clock.now

        def arrived(messages: Sequence[Message]) -> None:
            arrived_at = now()
            records = []
            for tag, redelivered, head, body in messages:
                document = rabbitmq_document(head, body, redelivered=redelivered)
                # One batch at a time keeps the order of first deliveries, without a lane; what failed takes nothing
                # back with it.
                at = float(head.timestamp or arrived_at)
                handle = _new(Delivery, (link, tag, 0))
                records.append(_new(SourceRecord, (str(tag), None, at, len(document), document, body, None, handle)))
            put(records)

        return RabbitMqConnection(
            self._enter(),
            virtual_host=self._virtual_host,
            queue=self._queue,
            prefetch=self._prefetch,
            on_messages=arrived,
            on_end=link.arrivals.end,
        )
