"""Takes an engine's attach stream apart into lines and records. Not thread-safe: one owner at a time."""

import struct

from rie_server.executors.log_frames import Output, OutputReader

_HEADER = struct.Struct(">BxxxL")


class FrameReader:
    """Frames are eight bytes (stream, length) and a payload; stdout (1) and stderr (2) are put into lines apart."""

    __slots__ = ("_buffer", "_streams")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._streams: dict[int, OutputReader] = {}

    def feed(self, data: bytes) -> list[tuple[int, Output]]:
        """What is complete now, each with its stream."""
        self._buffer += data
        lines: list[tuple[int, Output]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer, at)
            end = at + _HEADER.size + length
            if len(self._buffer) < end:
                break
            reader = self._streams.setdefault(stream, OutputReader())
            lines += ((stream, one) for one in reader.feed(bytes(self._buffer[at + _HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return lines

    def flush(self, *, ended: bool = False) -> list[tuple[int, Output]]:
        return [(stream, one) for stream, reader in self._streams.items() for one in reader.flush(ended=ended)]
