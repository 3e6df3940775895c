"""A body in pieces, between one side that has it and one that wants it.

The side that has it calls ``write`` for every piece and at last ``finish`` or ``break_off``; the side that wants it
attaches a Receiver and holds the stream while it has enough. Pieces arrive in order and none is lost: what is written
before anybody has attached is kept. Thread-safe; one thread writes at a time, and an end from another one is final.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

# What may lie here before somebody attaches; the writer is held from then on.
KEPT_BYTES = 256 * 1024


class Receiver(Protocol):
    """Who wants the pieces. Called by the thread that writes; must not block."""

    def write(self, data: bytes) -> None: ...

    def finish(self, trailers: Mapping[str, str]) -> None:
        """The body is whole. ``trailers`` are what came after it, by lower-case name."""

    def break_off(self) -> None:
        """The rest will never come."""


class BodyStream:
    """
    Args:
        on_flow: called when ``is_held`` has changed, under this stream's lock: it may look at ``is_held`` and must
            neither block nor write.
    """

    __slots__ = ("_end", "_held", "_is_abandoned", "_kept", "_kept_bytes", "_lock", "_on_flow", "_receiver", "is_held")

    def __init__(self, on_flow: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._on_flow = on_flow
        self._receiver: Receiver | None = None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._end: Callable[[Receiver], None] | None = None
        self._held = self._is_abandoned = False
        self.is_held = False

    # --- the side that has the body ---

    def write(self, data: bytes) -> None:
        """Passes a piece on; nothing happens after the end."""
        with self._lock:
            if self._end is not None or self._is_abandoned:
                return
            receiver = self._receiver
            if receiver is None:
                self._kept.append(data)
                self._kept_bytes += len(data)
                self._settle()
                return
        receiver.write(data)

    def finish(self, trailers: Mapping[str, str] | None = None, *, last: bytes = b"") -> None:
        """The body is whole; ``last`` is its last piece, which nothing comes after."""
        found = trailers or {}

        def end(receiver: Receiver) -> None:
            if last:
                receiver.write(last)
            receiver.finish(found)

        self._conclude(end)

    def break_off(self) -> None:
        """The rest will never come. Harmless after the end."""
        self._conclude(lambda receiver: receiver.break_off())

    def _conclude(self, end: Callable[[Receiver], None]) -> None:
        with self._lock:
            if self._end is not None:
                return
            self._end = end
            receiver = self._receiver
        if receiver is not None:
            end(receiver)

    # --- the side that wants it ---

    def attach(self, receiver: Receiver) -> None:
        """``receiver`` gets what is there at once, on this thread, and everything else as it comes. Once only."""
        while True:
            with self._lock:
                if self._is_abandoned:
                    return
                kept, self._kept, self._kept_bytes = self._kept, [], 0
                if not kept:
                    self._receiver = receiver
                    end = self._end
                    self._settle()
                    break
            for piece in kept:
                receiver.write(piece)
        if end is not None:
            end(receiver)

    def hold(self, held: bool) -> None:
        """Whether the writer is to wait. What it writes nevertheless is passed on."""
        with self._lock:
            self._held = held
            self._settle()

    def abandon(self) -> None:
        """Nobody wants the rest: it is thrown away, and the writer is not held. No Receiver hears of it any more."""
        with self._lock:
            self._is_abandoned = True
            self._receiver = _NOBODY
            self._kept, self._kept_bytes = [], 0
            self._settle()

    def _settle(self) -> None:
        """Under the lock: tells the writer of a change."""
        held = not self._is_abandoned and (self._held or self._kept_bytes > KEPT_BYTES)
        if held != self.is_held:
            self.is_held = held
            if self._on_flow is not None:
                self._on_flow()


class _Nobody:
    def write(self, data: bytes) -> None: ...

    def finish(self, trailers: Mapping[str, str]) -> None: ...

    def break_off(self) -> None: ...


_NOBODY = _Nobody()
