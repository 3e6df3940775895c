"""One connection: requests in, one at a time, replies out, in order.

A request is handed to the listener's ``handle`` only when the one before it is answered; what a client pipelines
meanwhile waits here, and a client that pipelines too much is not read from. Used on the loop's thread only, but for
``send``, ``on_flow`` and ``is_alive``, which are thread-safe.

A StreamedReply keeps its request in hand until its body has ended. While the client does not take it, the body is held;
while a StreamedRequest's body is held, nothing is read.
"""

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, cast

from rie_server.api.exchange import ConstantReply, Reply, Request, StreamedReply
from rie_server.api.refusals import refusal
from rie_server.http.chunks import ChunkedBody
from rie_server.http.connection import ConnectionState
from rie_server.http.encoding import CONTINUE, encode_constant, encode_head, has_body
from rie_server.http.reader import RequestReader
from rie_server.http.sink import Refusal

if TYPE_CHECKING:
    from rie_server.http.listener import Listener

_CLOSE = "Connection: close\r\n"
_KEEP_ALIVE = "Connection: keep-alive\r\n"  # HTTP/1.0 clients need it said
# Above this, copying head and body into one block costs more than handing the kernel two.
_JOINED_BODY_BYTES = 32 * 1024


class HttpProtocol(ConnectionState, asyncio.Protocol):
    """Is also the ``Connection`` of its requests, and the ``Sink`` of its reader."""

    __slots__ = ()

    def __init__(self, listener: "Listener") -> None:
        super().__init__(listener, RequestReader(self, listener.bodies))

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
            # Of a body that is streamed, whoever receives it says so.
            self._refuse(400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
            return True
        if self._listener.closes_on_eof and not self._queue:
            return False
        return self._busy or bool(self._queue) or self._write_paused

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._queue.clear()
        self._reader.break_off()
        self._reader.close()
        self._stop_sending()
        self._listener.connections.discard(self)

    def pause_writing(self) -> None:
        self._write_paused = True
        self._since_tick, self._unsent_bytes = self._listener.tick, -1
        if self._sending is not None:
            self._sending.hold(True)

    def resume_writing(self) -> None:
        self._write_paused = False
        self._since_tick = self._listener.tick
        if self._sending is not None:
            self._sending.hold(False)
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

    def on_flow(self) -> None:
        listener = self._listener
        if get_ident() == listener.loop_thread:
            self._settle_reading()
        else:
            listener.call_soon(self._settle_reading)

    def on_streamed(self, keep_alive: bool) -> None:
        if self._busy and not self._queue:
            self._keep_alive = keep_alive
        self._settle_reading()  # whoever held the body has nothing to hold any more

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
            if type(reply) is StreamedReply:
                reply.stream.abandon()
            return
        keep_alive = self._keep_alive and not listener.draining
        if type(reply) is StreamedReply:
            self._begin_sending(transport, reply, keep_alive)
            return
        if keep_alive and type(reply) is ConstantReply and not (self._http10 or self._to_head):
            listener.outbox.write(transport, encode_constant(reply, listener.status_lines))
        else:
            self._write(transport, reply, _CLOSE if not keep_alive else _KEEP_ALIVE if self._http10 else "")
        self._conclude(transport, keep_alive)

    def _conclude(self, transport: asyncio.Transport, keep_alive: bool) -> None:
        """After a reply: the next request, or the end."""
        listener = self._listener
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

    # --- replies in pieces ---

    def _begin_sending(self, transport: asyncio.Transport, reply: StreamedReply, keep_alive: bool) -> None:
        listener, stream = self._listener, reply.stream
        keep_alive = keep_alive and not self._http10
        framing = "" if self._http10 else "Transfer-Encoding: chunked\r\n"
        head = encode_head(reply, listener.status_lines[reply.status], "" if keep_alive else _CLOSE, framing=framing)
        listener.outbox.write(transport, head)
        if self._to_head or not has_body(reply.status):
            stream.abandon()
            self._conclude(transport, keep_alive)
            return
        self._busy = True
        self._sending = stream
        if self._write_paused:
            stream.hold(True)
        stream.attach(ChunkedBody(self, transport, listener, chunked=not self._http10, keep_alive=keep_alive))

    def on_sent(self, transport: asyncio.Transport, keep_alive: bool) -> None:
        """A StreamedReply's body has ended."""
        self._busy, self._sending = False, None
        if not transport.is_closing():
            self._conclude(transport, keep_alive)

    def _stop_sending(self) -> None:
        stream, self._sending = self._sending, None
        if stream is not None:
            stream.abandon()

    # --- order and back-pressure ---

    def _enqueue(self, item: Request | Reply, keep_alive: bool, http10: bool) -> None:
        self._queue.append((item, keep_alive, http10))
        self._queued_bytes += len(item.body)
        self._settle_reading()

    def _settle_reading(self) -> None:
        """Reads, or does not: what a client sends has to be taken by somebody."""
        paused = self._is_queue_full() or self._reader.is_held
        if paused == self._reading_paused or self._is_closing():
            return
        self._reading_paused = paused
        transport = cast("asyncio.Transport", self._transport)
        if paused:
            transport.pause_reading()
        else:
            transport.resume_reading()

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
        if self._reading_paused:
            self._settle_reading()

    # --- the end ---

    def _refuse(self, status: int, code: str, message: str) -> None:
        """The client gets its replies up to here, then this one; whatever else it sends is thrown away."""
        if self._lingering:
            return  # the reply that ends this connection has left
        self._lingering = True
        self._continue_due = False
        if self._reader.break_off():
            return  # whoever received the body answers
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
        if self._reader.break_off():
            self._lingering = True  # answered before its body had ended
            self._settle_reading()
        if self._lingering and not self._eof:
            transport.write_eof()
        else:
            self._lingering = True
            transport.close()
