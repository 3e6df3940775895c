"""Replies leave together, at the end of a turn of the loop.

Every write wakes a process that waits for it. Where processors are few that process takes the place of this one in the
middle of its work; written together, the replies of a turn cost one interruption instead of many. Used on the loop's
thread only.
"""

import asyncio


class Outbox:
    """One per listener: keeps the order of everything that is written through it."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes, bytes]] = []

    def write(self, transport: asyncio.Transport, head: bytes, body: bytes = b"") -> None:
        """Writes soon; a ``body`` apart from its head is not copied."""
        self._waiting.append((transport, head, body))
        if len(self._waiting) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Writes now: before a connection is closed, and at the end of the turn."""
        waiting, self._waiting = self._waiting, []
        for transport, head, body in waiting:
            if transport.is_closing():
                continue
            if body:
                transport.writelines((head, body))
            else:
                transport.write(head)
