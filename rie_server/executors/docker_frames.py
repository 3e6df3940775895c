"""Takes an engine's attach stream apart into lines. Not thread-safe: one owner at a time."""

import struct

from rie_server.executors.lines import LineSplitter

_HEADER = struct.Struct(">BxxxL")


class FrameReader:
    """Frames are eight bytes (stream, length) and a payload; stdout (1) and stderr (2) are put into lines apart."""

    __slots__ = ("_buffer", "_streams")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._streams: dict[int, LineSplitter] = {}

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The lines that are complete now, each with its stream."""
        self._buffer += data
        lines: list[tuple[int, bytes]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer, at)
            end = at + _HEADER.size + length
            if len(self._buffer) < end:
                break
            splitter = self._streams.setdefault(stream, LineSplitter())
            lines += ((stream, line) for line in splitter.feed(bytes(self._buffer[at + _HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return lines

    def flush(self) -> list[tuple[int, bytes]]:
        return [(stream, line) for stream, splitter in self._streams.items() for line in splitter.flush()]
