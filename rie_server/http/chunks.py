"""The body of a StreamedReply on its way to the client, in chunks.

``write``, ``finish`` and ``break_off`` may be called from any thread; the rest belongs to the loop's.
"""

import asyncio
from collections.abc import Callable, Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rie_server.http.listener import Listener
    from rie_server.http.protocol import HttpProtocol

# Above this, copying a chunk into one block costs more than handing the kernel three.
_JOINED_BYTES = 32 * 1024
_LAST_CHUNK = b"0\r\n\r\n"


class ChunkedBody:
    """A Receiver for one reply of one connection.

    Args:
        chunked: False for a client of HTTP/1.0, which knows the end of a body by the end of the connection.
        keep_alive: what becomes of the connection afterwards.
    """

    __slots__ = ("_chunked", "_connection", "_is_over", "_keep_alive", "_listener", "_transport")

    def __init__(
        self,
        connection: "HttpProtocol",
        transport: asyncio.Transport,
        listener: "Listener",
        *,
        chunked: bool,
        keep_alive: bool,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._listener = listener
        self._chunked = chunked
        self._keep_alive = keep_alive
        self._is_over = False

    def write(self, data: bytes) -> None:
        if data:  # an empty chunk would be the end
            self._on_loop(self._send, data)

    def finish(self, trailers: Mapping[str, str]) -> None:
        del trailers  # nothing that this server says needs any
        self._on_loop(self._finish)

    def break_off(self) -> None:
        """Ends the connection in the middle of the body: so the client knows that it is not whole."""
        self._on_loop(self._abort)

    def _on_loop(self, act: Callable[..., None], *arguments: Any) -> None:
        if get_ident() == self._listener.loop_thread:
            act(*arguments)
        else:
            self._listener.call_soon(act, *arguments)

    def _send(self, data: bytes) -> None:
        if self._is_over:
            return
        outbox, transport = self._listener.outbox, self._transport
        if not self._chunked:
            outbox.write(transport, data)
        elif len(data) < _JOINED_BYTES:
            outbox.write(transport, b"%x\r\n%b\r\n" % (len(data), data))
        else:
            outbox.write(transport, b"%x\r\n" % len(data), data)
            outbox.write(transport, b"\r\n")

    def _finish(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._chunked:
            self._listener.outbox.write(self._transport, _LAST_CHUNK)
        self._connection.on_sent(self._transport, self._keep_alive)

    def _abort(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._listener.outbox.flush()
        # What was written goes out; no last chunk follows.
        self._transport.close()
