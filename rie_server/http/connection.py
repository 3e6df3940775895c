"""What one connection is at any moment, and for how long it may stay so.

``HttpProtocol`` moves it; what is here only looks, waits and ends. Used on the loop's thread only, but for
``is_alive``.
"""

import asyncio
import select
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from rie_server.api.body_stream import BodyStream
from rie_server.api.exchange import Reply, Request
from rie_server.http.limits import QUEUED_BYTES, QUEUED_REQUESTS
from rie_server.http.reader import RequestReader

if TYPE_CHECKING:
    from rie_server.http.listener import Listener


class ConnectionState(ABC):
    """
    Attributes:
        local_address, peer_address: set when the connection is made.
    """

    __slots__ = (
        "_busy",
        "_continue_due",
        "_death_poll",
        "_eof",
        "_http10",
        "_keep_alive",
        "_lingering",
        "_listener",
        "_pumping",
        "_queue",
        "_queued_bytes",
        "_reader",
        "_reading_paused",
        "_sending",
        "_since_tick",
        "_to_head",
        "_transport",
        "_unsent_bytes",
        "_write_paused",
        "local_address",
        "peer_address",
    )

    def __init__(self, listener: "Listener", reader: RequestReader) -> None:
        self._listener = listener
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self._death_poll: select.poll | None = None
        self._queue: deque[tuple[Request | Reply, bool, bool]] = deque()
        self._sending: BodyStream | None = None
        self._queued_bytes = self._unsent_bytes = 0
        self._busy = self._pumping = self._eof = self._lingering = False
        self._write_paused = self._reading_paused = self._continue_due = False
        self._keep_alive = self._to_head = self._http10 = False
        self._since_tick = listener.tick

    @abstractmethod
    def _refuse(self, status: int, code: str, message: str) -> None:
        """The client gets its replies up to here, then this one; whatever else it sends is thrown away."""

    def is_alive(self) -> bool:
        """Asks the kernel: a close that nobody has read yet counts. On the Runtime API a client that has shut down its
        writing side is gone, since no runtime does that and waits; elsewhere it may still read its reply. Two threads
        may not ask about one connection at the same time.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        poll = self._death_poll
        if poll is None:
            poll = self._death_poll = select.poll()
            poll.register(transport.get_extra_info("socket").fileno(), self._listener.death_events)
        return not poll.poll(0)

    def _is_queue_full(self) -> bool:
        return len(self._queue) > QUEUED_REQUESTS or self._queued_bytes > QUEUED_BYTES

    def _is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def close_when_idle(self) -> None:
        """Ends the connection now if nothing is in hand; otherwise the reply in hand says ``Connection: close``."""
        reader = self._reader
        self._listener.outbox.flush()
        if self._transport is not None and not (self._busy or self._queue or reader.in_head or reader.in_body):
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_busy(self) -> bool:
        return self._busy or bool(self._queue) or self._unsent() > 0

    def _unsent(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def check_timeouts(self) -> None:
        """Called once a tick."""
        listener, timeouts = self._listener, self._listener.timeouts
        elapsed_seconds = (listener.tick - self._since_tick) * listener.tick_seconds
        if self._unsent():
            self._check_progress(elapsed_seconds)
        elif self._lingering:
            if not self._busy and elapsed_seconds > timeouts.linger_seconds:
                self.abort()
        elif self._busy or self._queue:
            return
        elif self._reader.in_head:
            if elapsed_seconds > timeouts.head_seconds:
                self._refuse(408, "RequestTimeout", "The request's headers did not arrive in time")
        elif self._reader.in_body:
            if elapsed_seconds > timeouts.body_seconds:
                self._refuse(408, "RequestTimeout", "The request's body did not arrive in time")
        elif timeouts.idle_seconds is not None and elapsed_seconds > timeouts.idle_seconds:
            cast("Any", self._transport).close()

    def _check_progress(self, elapsed_seconds: float) -> None:
        unsent_bytes = self._unsent()
        if unsent_bytes != self._unsent_bytes:
            self._unsent_bytes, self._since_tick = unsent_bytes, self._listener.tick
        elif elapsed_seconds > self._listener.timeouts.write_seconds:
            self.abort()
