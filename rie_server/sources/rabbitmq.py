"""Amazon MQ for RabbitMQ as a source of messages: fills ``polling.BrokerSource``. Thread-safe."""

from collections.abc import Callable, Sequence
from typing import Any

from rie_server.model.broker_address import BrokerAddress
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.rabbitmq_message import rabbitmq_document
from rie_server.ports import Clock
from rie_server.sources.access import access_uri
from rie_server.sources.broker_link import BrokerLinks, Delivery, Link
from rie_server.sources.rabbitmq_connection import RabbitMqConnection

PREFETCH_MAXIMUM = 65_535
DOCUMENT_BYTES = 600
"""Of the properties around a message's data, roughly."""


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

        def arrived(deliver: Any, properties: Any, body: bytes) -> None:
            document = rabbitmq_document(properties, body, redelivered=deliver.redelivered)
            tag, headers = deliver.delivery_tag, properties.headers
            put(
                SourceRecord(
                    identifier=str(tag),
                    # One batch at a time keeps the order of first deliveries; what failed takes nothing back with it.
                    lane=None,
                    arrived_at=float(properties.timestamp or now()),
                    # Text in headers becomes numbers, up to five characters for a byte.
                    size_bytes=len(document["data"]) + DOCUMENT_BYTES + (5 * len(str(headers)) if headers else 0),
                    document=document,
                    payload=body,
                    handle=Delivery(link, tag),
                )
            )

        return RabbitMqConnection(
            self._enter(),
            virtual_host=self._virtual_host,
            queue=self._queue,
            prefetch=self._prefetch,
            on_message=arrived,
            on_end=link.arrivals.end,
        )
