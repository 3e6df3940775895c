"""What both engines of Amazon MQ share: one connection at a time, with what it has received. Thread-safe.

Nothing is connected until the first ``receive``, and a connection that was lost is made anew by the next one: the
poller waits in between. A delivery means something on its own connection only; until it is acknowledged there the
broker keeps the message, and delivers it again when the connection is gone: a message may come twice and never not at
all.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord
from rie_server.sources.arrivals import Arrivals


class BrokerConnection(Protocol):
    def open(self) -> None:
        """Returns once the queue is consumed; raises SourceError."""

    def acknowledge(self, tags: Sequence[Any], /) -> bool:
        """False where the connection is gone."""

    def close(self) -> None:
        """Sends what is to be acknowledged, then ends. Idempotent."""


C = TypeVar("C", bound=BrokerConnection)


class Link(Generic[C]):
    """
    Attributes:
        connection: set before it is opened.
    """

    connection: C

    def __init__(self) -> None:
        self.arrivals = Arrivals()


class Delivery(NamedTuple):
    """The handle of a record.

    Attributes:
        tag: what the broker calls this delivery.
        redeliveries: how often this client has handed it out again.
    """

    link: Link[Any]
    tag: Any
    redeliveries: int = 0


class BrokerLinks(ABC, Generic[C]):
    """The base of a source: everything of ``polling.QueueSource`` that has to do with connections alone."""

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._link: Link[C] | None = None
        self._closed = False

    @abstractmethod
    def connection(self, link: Link[C]) -> C:
        """A new one, not yet open; its records go to the link's arrivals.

        Raises:
            SourceError: the broker is not known, or who to be there.
        """

    def receive(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        return self._connected().arrivals.take(most, wait_seconds)

    def acknowledge(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        kept: list[SourceRecord] = []
        for link, group in self.by_link(records):
            if not link.connection.acknowledge([record.handle.tag for record in group]):
                kept += group
        return kept

    def close(self) -> None:
        with self._opening:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.connection.close()
            link.arrivals.end(SourceError("The source is closed."))

    @property
    def current(self) -> Link[C] | None:
        """The connection that is open, as far as is known."""
        link = self._link
        return None if link is None or link.arrivals.ended is not None else link

    @staticmethod
    def by_link(records: Sequence[SourceRecord]) -> Iterator[tuple[Link[C], list[SourceRecord]]]:
        for link, group in groupby(records, key=lambda record: record.handle.link):
            yield link, list(group)

    def _connected(self) -> Link[C]:
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
            link = Link[C]()
            link.connection = self.connection(link)
            link.connection.open()
            self._link = link
            return link
