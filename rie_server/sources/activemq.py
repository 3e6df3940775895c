"""Amazon MQ for ActiveMQ as a source of messages: fills ``polling.QueueSource``. Thread-safe.

AWS's poller is a JMS client with the default redelivery policy: a message that failed is handed out again by the client
itself, a second later and six times at most, and then goes back to the broker, which moves it to its dead-letter queue.
STOMP has no such policy, so it is kept here. Whatever is not acknowledged when the connection ends, the broker delivers
again by itself.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.activemq_message import activemq_document
from rie_server.model.broker_address import BrokerAddress
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.ports import Clock
from rie_server.sources.activemq_connection import ActiveMqConnection
from rie_server.sources.arrivals import Arrivals

REDELIVERIES_MAXIMUM = 6
REDELIVERY_SECONDS = 1.0
DOCUMENT_BYTES = 600
"""Of the members around a message's data, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """
    Attributes:
        ack: what the broker calls this delivery.
        redeliveries: how often this client has handed it out again.
    """

    link: "_Link"
    ack: str
    redeliveries: int = 0


class ActiveMqSource:
    """
    Attributes:
        consumers: how many batches may be in flight at most.
        failure_pause_seconds: none; the wait before a redelivery is this source's own.

    Args:
        enter: where the broker is and who to be there, asked at each connection.
        clock: the real one; it dates arrivals.
        server_time: what the wait before a redelivery goes by.
    """

    consumers = 5
    failure_pause_seconds = 0.0

    def __init__(
        self, mapping: EventSourceMapping, enter: Callable[[], BrokerAddress], clock: Clock, server_time: Clock
    ) -> None:
        self._arn = mapping.source_arn
        self.queue = str(mapping.members["Queues"][0])
        # The broker hands out no more than this unacknowledged: a batch for each consumer.
        self.prefetch = self.consumers * mapping.batch_size
        self.enter = enter
        self._clock = clock
        self._server_time = server_time
        self._opening = threading.Lock()
        self._link: _Link | None = None
        self._closed = False

    def receive(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        return self._connected().arrivals.take(most, wait_seconds)

    def acknowledge(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        return [record for record in records if not record.handle.link.connection.acknowledge([record.handle.ack])]

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        again: list[SourceRecord] = []
        for record in records:
            handle: Handle = record.handle
            if not failed:
                again.append(record)
            elif handle.redeliveries < REDELIVERIES_MAXIMUM:
                again.append(_again(record))
            else:
                handle.link.connection.refuse([handle.ack])

        def hand_out() -> None:
            for record in again:
                record.handle.link.arrivals.put(record)

        if again:
            self._server_time.call_later(REDELIVERY_SECONDS, hand_out)

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        messages = [dict(record.document) for record in records]
        return {"eventSource": "aws:mq", "eventSourceArn": self._arn, "messages": messages}

    def backlog(self) -> int | None:
        """What has arrived and waits here; STOMP does not tell what waits at the broker."""
        link = self._link
        return None if link is None else link.arrivals.waiting

    def close(self) -> None:
        with self._opening:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.connection.close()
            link.arrivals.end(SourceError("The source is closed."))

    def record(self, link: "_Link", headers: Any, body: bytes) -> SourceRecord:
        now = self._clock.now()
        document = activemq_document(headers, body, now_ms=int(now * 1000), redelivered=False)
        return SourceRecord(
            identifier=str(document["messageID"]),
            lane=None,
            arrived_at=document["brokerInTime"] / 1000,
            size_bytes=len(document["data"]) + DOCUMENT_BYTES + len(str(document["properties"]).encode()),
            document=document,
            payload=body,
            handle=Handle(link=link, ack=str(headers.get("ack") or headers.get("message-id"))),
        )

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
            link = _Link(self)
            link.connection.open()
            self._link = link
            return link


class _Link:
    """A connection with what it has received: acknowledgements mean something on their own connection only."""

    def __init__(self, source: ActiveMqSource) -> None:
        self.arrivals = Arrivals()
        self.connection = ActiveMqConnection(
            source.enter(),
            queue=source.queue,
            prefetch=source.prefetch,
            on_message=lambda headers, body: self.arrivals.put(source.record(self, headers, body)),
            on_end=self.arrivals.end,
        )


def _again(record: SourceRecord) -> SourceRecord:
    handle: Handle = record.handle
    return SourceRecord(
        identifier=record.identifier,
        lane=record.lane,
        arrived_at=record.arrived_at,
        size_bytes=record.size_bytes,
        document={**record.document, "redelivered": True},
        payload=record.payload,
        handle=Handle(link=handle.link, ack=handle.ack, redeliveries=handle.redeliveries + 1),
    )
