"""Amazon MQ for ActiveMQ as a source of messages: fills ``polling.BrokerSource``. Thread-safe.

AWS's poller is a JMS client with the default redelivery policy: a message that failed is handed out again by the client
itself, a second later and six times at most, and then goes back to the broker, which moves it to its dead-letter queue.
STOMP has no such policy, so it is kept here. Whatever is not acknowledged when the connection ends, the broker delivers
again by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.model.activemq_message import activemq_document
from rie_server.model.broker_address import BrokerAddress
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.ports import Clock
from rie_server.sources.activemq_connection import ActiveMqConnection
from rie_server.sources.broker_link import BrokerLinks, Delivery, Link

REDELIVERIES_MAXIMUM = 6
REDELIVERY_SECONDS = 1.0
DOCUMENT_BYTES = 600
"""Of the members around a message's data, roughly."""


class ActiveMqSource(BrokerLinks[ActiveMqConnection]):
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
        super().__init__()
        self._arn = mapping.source_arn
        self._queue = str(mapping.members["Queues"][0])
        # The broker hands out no more than this unacknowledged: a batch for each consumer.
        self._prefetch = self.consumers * mapping.batch_size
        self._enter = enter
        self._clock = clock
        self._server_time = server_time

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        again: list[SourceRecord] = []
        for record in records:
            handle: Delivery = record.handle
            if not failed:
                again.append(record)
            elif handle.redeliveries < REDELIVERIES_MAXIMUM:
                again.append(_again(record))
            else:
                handle.link.connection.refuse([handle.tag])

        def hand_out() -> None:
            for record in again:
                record.handle.link.arrivals.put([record])

        if again:
            self._server_time.call_later(REDELIVERY_SECONDS, hand_out)

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        messages = [record.document for record in records]
        return {"eventSource": "aws:mq", "eventSourceArn": self._arn, "messages": messages}

    def backlog(self) -> int | None:
        """What has arrived and waits here; STOMP does not tell what waits at the broker."""
        link = self.current
        return None if link is None else link.arrivals.waiting

    def connection(self, link: Link[ActiveMqConnection]) -> ActiveMqConnection:
        return ActiveMqConnection(
            self._enter(),
            queue=self._queue,
            prefetch=self._prefetch,
            on_message=lambda headers, body: link.arrivals.put([self._record(link, headers, body)]),
            on_end=link.arrivals.end,
        )

    def _record(self, link: Link[ActiveMqConnection], headers: Mapping[str, str], body: bytes) -> SourceRecord:
        now = self._clock.now()
        document = activemq_document(headers, body, now_ms=int(now * 1000), redelivered=False)
        return SourceRecord(
            identifier=str(document["messageID"]),
            lane=None,
            arrived_at=document["brokerInTime"] / 1000,
            size_bytes=len(document["data"]) + DOCUMENT_BYTES + len(str(document["properties"]).encode()),
            document=document,
            payload=body,
            handle=Delivery(link, str(headers.get("ack") or headers.get("message-id"))),
        )


def _again(record: SourceRecord) -> SourceRecord:
    handle: Delivery = record.handle
    return record._replace(
        document={**record.read_document(), "redelivered": True},
        handle=handle._replace(redeliveries=handle.redeliveries + 1),
    )
