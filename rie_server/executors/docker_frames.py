"""Takes an engine's attach stream apart into lines and records. Not thread-safe: one owner at a time."""

import struct

from rie_server.executors.log_frames import Output, OutputReader

_HEADER = struct.Struct(">BxxxL")


class FrameReader:
    """Frames are eight bytes (stream, length) and a payload; stdout and stderr are put into lines apart."""

    __slots__ = ("_buffer", "_streams")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._streams: dict[int, OutputReader] = {}

    def feed(self, data: bytes) -> list[Output]:
        self._buffer += data
        lines: list[Output] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer, at)
            end = at + _HEADER.size + length
            if len(self._buffer) < end:
                break
            splitter = self._streams.setdefault(stream, OutputReader())
            lines += splitter.feed(bytes(self._buffer[at + _HEADER.size : end]))
            at = end
        del self._buffer[:at]
        return lines

    def flush(self, *, ended: bool = False) -> list[Output]:
        return [line for splitter in self._streams.values() for line in splitter.flush(ended=ended)]
