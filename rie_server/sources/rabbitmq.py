"""Amazon MQ for RabbitMQ as a source of messages: fills ``polling.QueueSource``. Thread-safe.

Nothing is connected until the first ``receive``, and a connection that was lost is made anew by the next one: the
poller waits in between. A message is acknowledged after the function has succeeded; until then the broker keeps it for
this connection and gives it to the next one if this one is lost, so a message may come twice and never not at all.
"""

import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.broker_address import BrokerAddress
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.rabbitmq_message import rabbitmq_document
from rie_server.ports import Clock
from rie_server.sources.access import access_uri
from rie_server.sources.arrivals import Arrivals
from rie_server.sources.rabbitmq_connection import RabbitMqConnection

PREFETCH_MAXIMUM = 65_535
DOCUMENT_BYTES = 600
"""Of the properties around a message's data, roughly."""


class RabbitMqSource:
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
        self._arn = mapping.source_arn
        self._queue = str(mapping.members["Queues"][0])
        self._virtual_host = access_uri(mapping, "VIRTUAL_HOST") or "/"
        self._label = f"{self._queue}::{self._virtual_host}"
        # One batch at work, one that is ready when it is done, and one on its way.
        self._prefetch = min(3 * mapping.batch_size, PREFETCH_MAXIMUM)
        self._enter = enter
        self._clock = clock
        self._opening = threading.Lock()
        self._link: _Link | None = None
        self._closed = False

    def receive(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        return self._connected().arrivals.take(most, wait_seconds)

    def acknowledge(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        kept: list[SourceRecord] = []
        for link, group in self._by_link(records):
            if not link.connection.acknowledge([record.handle[1] for record in group]):
                kept += group
        return kept

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        del failed  # the broker counts deliveries itself
        for link, group in self._by_link(records):
            link.connection.requeue([record.handle[1] for record in group])

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {
            "eventSource": "aws:rmq",
            "eventSourceArn": self._arn,
            "rmqMessagesByQueue": {self._label: [dict(record.document) for record in records]},
        }

    def backlog(self) -> int | None:
        """As of the last time that somebody asked."""
        link = self._link
        if link is None or link.arrivals.ended is not None:
            return None
        link.connection.ask_waiting()
        return link.connection.messages_waiting

    def close(self) -> None:
        with self._opening:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.connection.close()
            link.arrivals.end(SourceError("The source is closed."))

    def _connected(self) -> "_Link":
        """The connection that is open, or a new one; whoever comes meanwhile waits for it."""
        with self._opening:
            link = self._link
            if link is not None and link.arrivals.ended is None:
                return link
            if self._closed:
                raise SourceError("The source is closed.")
            if link is not None:
                link.connection.close()
                self._link = None
                # The reason is told once, so that the poller reports it and waits before it tries again.
                raise link.arrivals.ended or SourceError("The connection has ended.")
            self._link = link = _Link(self)
            try:
                link.connection.open()
            except SourceError:
                self._link = None
                raise
            return link

    def record(self, link: "_Link", deliver: Any, properties: Any, body: bytes) -> SourceRecord:
        document = rabbitmq_document(vars(properties), body, redelivered=deliver.redelivered)
        return SourceRecord(
            identifier=str(deliver.delivery_tag),
            # One batch at a time keeps the order of first deliveries; what failed takes nothing back with it.
            lane=None,
            arrived_at=float(properties.timestamp or self._clock.now()),
            size_bytes=len(document["data"]) + DOCUMENT_BYTES + _headers_bytes(properties.headers),
            document=document,
            payload=body,
            handle=(link, deliver.delivery_tag),
        )

    @staticmethod
    def _by_link(records: Sequence[SourceRecord]) -> list[tuple["_Link", list[SourceRecord]]]:
        return [(link, list(group)) for link, group in groupby(records, key=lambda record: record.handle[0])]

    def new_connection(self, link: "_Link") -> RabbitMqConnection:
        return RabbitMqConnection(
            self._enter(),
            virtual_host=self._virtual_host,
            queue=self._queue,
            prefetch=self._prefetch,
            on_message=lambda deliver, properties, body: link.arrivals.put(
                self.record(link, deliver, properties, body)
            ),
            on_end=link.arrivals.end,
        )


class _Link:
    """A connection with what it has received: delivery tags mean something on their own connection only."""

    def __init__(self, source: RabbitMqSource) -> None:
        self.arrivals = Arrivals()
        self.connection = source.new_connection(self)


def _headers_bytes(headers: Any) -> int:
    """Text in headers becomes numbers, up to five characters for a byte."""
    return 0 if not headers else 5 * len(str(headers))
