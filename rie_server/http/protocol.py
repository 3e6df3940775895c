"""One connection: requests in, one at a time, replies out, in order.

A request is handed to the listener's ``handle`` only when the one before it is answered; what a client pipelines
meanwhile waits here, and a client that pipelines too much is not read from. Used on the loop's thread only, but for
``send`` and ``is_alive``, which are thread-safe.
"""

import asyncio
import select
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

from rie_server.api.exchange import ConstantReply, Reply, Request
from rie_server.api.refusals import refusal
from rie_server.http.encoding import CONTINUE, encode_constant, encode_head, has_body
from rie_server.http.limits import QUEUED_BYTES, QUEUED_REQUESTS
from rie_server.http.reader import Refusal, RequestReader

if TYPE_CHECKING:
    from rie_server.http.listener import Listener

_CLOSE = "Connection: close\r\n"
_KEEP_ALIVE = "Connection: keep-alive\r\n"  # HTTP/1.0 clients need it said
# Above this, copying head and body into one block costs more than handing the kernel two.
_JOINED_BODY_BYTES = 32 * 1024


class HttpProtocol(asyncio.Protocol):
    """Is also the ``Connection`` of its requests."""

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
        "_since_tick",
        "_to_head",
        "_transport",
        "_unsent_bytes",
        "_write_paused",
        "local_address",
        "peer_address",
    )

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._reader = RequestReader(self, listener.bodies)
        self._transport: asyncio.Transport | None = None
        self._death_poll: select.poll | None = None
        self._queue: deque[tuple[Request | Reply, bool, bool]] = deque()
        self._queued_bytes = self._unsent_bytes = 0
        self._busy = self._pumping = self._eof = self._lingering = False
        self._write_paused = self._reading_paused = self._continue_due = False
        self._keep_alive = self._to_head = self._http10 = False
        self._since_tick = listener.tick

    # --- Connection ---

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

    # --- asyncio calls these ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.local_address: tuple[str, int] = transport.get_extra_info("sockname")[:2]
        self.peer_address: str = transport.get_extra_info("peername")[0]
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        reader = self._reader
        if not reader.in_head:
            self._since_tick = self._listener.tick
        try:
            reader.feed(data)
        except Refusal as wrong:
            self._refuse(wrong.status, wrong.code, wrong.message)

    def eof_received(self) -> bool:
        """True keeps the writing side open."""
        self._eof = True
        self._listener.outbox.flush()
        if self._lingering:
            return self._busy or bool(self._queue)
        if self._reader.in_head or self._reader.in_body:
            self._refuse(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
            return True
        if self._listener.closes_on_eof and not self._queue:
            return False
        return self._busy or bool(self._queue) or self._write_paused

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._queue.clear()
        self._reader.close()
        self._listener.connections.discard(self)

    def pause_writing(self) -> None:
        self._write_paused = True
        self._since_tick, self._unsent_bytes = self._listener.tick, -1

    def resume_writing(self) -> None:
        self._write_paused = False
        self._since_tick = self._listener.tick
        self._pump()

    # --- the reader calls these ---

    def on_request(self, request: Request, keep_alive: bool, http10: bool) -> None:
        if self._busy or self._write_paused or self._queue:
            self._enqueue(request, keep_alive, http10)
        else:
            self._begin(request, keep_alive, http10)

    def on_expect_continue(self) -> None:
        if self._busy or self._queue:
            self._continue_due = True
        elif self._transport is not None:
            self._listener.outbox.write(self._transport, CONTINUE)

    # --- replies ---

    def send(self, reply: Reply) -> None:
        """Answers the request in hand; called once, from any thread."""
        listener = self._listener
        if get_ident() == listener.loop_thread:
            self._finish(reply)
        else:
            listener.call_soon(self._finish, reply)

    def _begin(self, item: Request | Reply, keep_alive: bool, http10: bool) -> None:
        self._busy = True
        self._keep_alive, self._http10 = keep_alive, http10
        if type(item) is Reply:
            self._to_head = False
            self._finish(item)
        else:
            request = cast("Request", item)
            self._to_head = request.method == "HEAD"
            self._listener.handle(request, self.send)

    def _finish(self, reply: Reply) -> None:
        self._busy = False
        transport, listener = self._transport, self._listener
        if transport is None or transport.is_closing():
            return
        keep_alive = self._keep_alive and not listener.draining
        if keep_alive and type(reply) is ConstantReply and not (self._http10 or self._to_head):
            listener.outbox.write(transport, encode_constant(reply, listener.status_lines))
        else:
            self._write(transport, reply, _CLOSE if not keep_alive else _KEEP_ALIVE if self._http10 else "")
        self._since_tick = listener.tick
        if not keep_alive:
            self._end()
        elif self._queue:
            self._pump()
        elif self._eof:
            listener.outbox.flush()
            transport.close()
        elif self._continue_due:
            self._continue_due = False
            listener.outbox.write(transport, CONTINUE)

    def _write(self, transport: asyncio.Transport, reply: Reply, connection: str) -> None:
        listener = self._listener
        head = encode_head(reply, listener.status_lines[reply.status], connection, to_head_request=self._to_head)
        body = reply.body
        if not body or self._to_head or not has_body(reply.status):
            listener.outbox.write(transport, head)
        elif len(body) < _JOINED_BODY_BYTES:
            listener.outbox.write(transport, head + body)
        else:
            listener.outbox.write(transport, head, body)

    # --- order and back-pressure ---

    def _enqueue(self, item: Request | Reply, keep_alive: bool, http10: bool) -> None:
        self._queue.append((item, keep_alive, http10))
        self._queued_bytes += len(item.body)
        if not self._reading_paused and self._is_queue_full() and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _is_queue_full(self) -> bool:
        return len(self._queue) > QUEUED_REQUESTS or self._queued_bytes > QUEUED_BYTES

    def _pump(self) -> None:
        """Begins what waits. A loop and not a recursion: replies that are there at once come back to ``_finish``."""
        if self._pumping:
            return
        self._pumping = True
        while self._queue and not self._busy and not self._write_paused and not self._is_closing():
            item, keep_alive, http10 = self._queue.popleft()
            self._queued_bytes -= len(item.body)
            self._begin(item, keep_alive, http10)
        self._pumping = False
        if self._reading_paused and not self._is_queue_full() and not self._is_closing():
            self._reading_paused = False
            cast("asyncio.Transport", self._transport).resume_reading()

    # --- the end ---

    def _refuse(self, status: int, code: str, message: str) -> None:
        """The client gets its replies up to here, then this one; whatever else it sends is thrown away."""
        self._lingering = True
        self._continue_due = False
        reply = refusal(self._listener.kind, status, code, message)
        if self._busy or self._queue or self._write_paused:
            self._enqueue(reply, False, False)
        else:
            self._begin(reply, False, False)

    def _end(self) -> None:
        """After the last reply. A client that may still be sending is not cut off at once: the reset that this causes
        could overtake the reply.
        """
        transport = cast("asyncio.Transport", self._transport)
        self._queue.clear()
        self._listener.outbox.flush()
        if self._lingering and not self._eof:
            transport.write_eof()
        else:
            self._lingering = True
            transport.close()

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
