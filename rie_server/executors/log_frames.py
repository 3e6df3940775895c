"""Takes a runtime's output apart: plain lines, and records in the frames of ``_LAMBDA_TELEMETRY_LOG_FD``.

A runtime that finds this variable writes what the function logs as frames into that descriptor, while ``print`` goes to
stdout as ever. Here the descriptor leads into the same pipe as stdout, so records and lines keep their order, and
nobody has to look at a second pipe. The kernel does not mix writes of up to 4 KB, and mixes longer ones only when the
pipe is full; bytes that are no frame after all are text.

A frame is a mark of three bytes, one for its kind, the length (4), a timestamp in microseconds (8, not in the oldest
kind), and the message; big-endian. Pure state, one owner at a time: not thread-safe.
"""

import struct
from collections.abc import Iterable, Sequence

from rie_server.executors.lines import LINE_BYTES_MAXIMUM, LineSplitter
from rie_server.model.log_record import LogRecord
from rie_server.model.log_settings import LEVELS
from rie_server.ports import EnvironmentObserver

Output = bytes | LogRecord

_MARK = b"\xa5\x5a\x00"
_BEGINNINGS = (_MARK[:1], _MARK[:2])
_HEAD = struct.Struct(">3xBL")
_TIME = struct.Struct(">Q")
_OLDEST_KIND = 0x01
# Two low bits say text (3) or JSON (2); the level is above them.
_KINDS = {(number << 2) | low for number in range(len(LEVELS) + 1) for low in (2, 3)}
_MESSAGE_BYTES = 1024 * 1024
_MICROSECONDS = 1_000_000
_NOTHING: list[Output] = []


class OutputReader:
    """``flush`` is called at the end of every invocation, most often for nothing: it looks at two attributes."""

    __slots__ = ("_frame", "_lines")

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._frame = b""

    def feed(self, data: bytes) -> Sequence[Output]:
        """What ``data`` completes."""
        if not self._frame and _MARK not in data and not data.endswith(_BEGINNINGS):
            return self._lines.feed(data)
        return self._take_apart(self._frame + data)

    def flush(self, *, ended: bool = False) -> Sequence[Output]:
        """What came after the last newline, if anything did. A frame that is under way is left to be completed.

        Args:
            ended: nothing can come any more; so the rest is text, whatever it looks like.
        """
        if not self._frame:
            return self._lines.flush() if self._lines.rest else _NOTHING
        if ended or not self._frame.startswith(_MARK):
            text, self._frame = self._frame, b""
            return [*self._lines.feed(text), *self._lines.flush()]
        return self._lines.flush()

    def _take_apart(self, data: bytes) -> list[Output]:
        found: list[Output] = []
        self._frame = b""
        while (at := data.find(_MARK)) >= 0:
            found += self._lines.feed(data[:at])
            data = data[at:]
            size = _frame_bytes(data)
            if size is None or len(data) < size:
                self._frame = data
                return found
            if size == 0:
                found += self._lines.feed(data[: len(_MARK)])
                data = data[len(_MARK) :]
                continue
            found += self._lines.flush()
            found += _records(data[:size])
            data = data[size:]
        for beginning in reversed(_BEGINNINGS):
            if data.endswith(beginning):
                data, self._frame = data[: -len(beginning)], beginning
                break
        found += self._lines.feed(data)
        return found


def tell(observer: EnvironmentObserver, output: Iterable[Output]) -> None:
    for one in output:
        if isinstance(one, bytes):
            observer.on_output(one)
        else:
            observer.on_record(one)


def _frame_bytes(data: bytes) -> int | None:
    """Size of the frame that begins here; None while too little of it is there, 0 where it is none."""
    if len(data) < _HEAD.size:
        return None
    kind, length = _HEAD.unpack_from(data)
    if length > _MESSAGE_BYTES:
        return 0
    if kind == _OLDEST_KIND:
        return int(_HEAD.size + length)
    return int(_HEAD.size + _TIME.size + length) if kind in _KINDS else 0


def _records(frame: bytes) -> list[Output]:
    """One record, or several where it is longer than a log event may be."""
    kind = frame[len(_MARK)]
    at_epoch_seconds, start = None, _HEAD.size
    if kind != _OLDEST_KIND:
        at_epoch_seconds, start = _TIME.unpack_from(frame, start)[0] / _MICROSECONDS, start + _TIME.size
    number = kind >> 2
    level = LEVELS[number - 1] if number else None
    text = frame[start:].removesuffix(b"\n")
    pieces = range(0, max(len(text), 1), LINE_BYTES_MAXIMUM)
    return [
        LogRecord(text=text[at : at + LINE_BYTES_MAXIMUM], level=level, at_epoch_seconds=at_epoch_seconds)
        for at in pieces
    ]
