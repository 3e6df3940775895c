"""Replies as bytes: one block of headers and body, so that they leave in one segment.

Pure, but for ``StatusLines``, which caches what changes once a second and belongs to the loop's thread.
"""

from email.utils import formatdate
from http import HTTPStatus

from rie_server.api.exchange import ConstantReply, Reply

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_BODILESS = frozenset((204, 304))


class StatusLines:
    """``HTTP/1.1 200 OK`` and the Date that goes with it, built once a second and status.

    Attributes:
        constants: whole replies with the same date, by the constant they were made of.
    """

    __slots__ = ("_date", "_epoch_second", "_lines", "constants")

    def __init__(self) -> None:
        self._epoch_second = -1
        self._date = ""
        self._lines: dict[int, str] = {}
        self.constants: dict[ConstantReply, bytes] = {}

    def set_time(self, epoch_seconds: float) -> None:
        if int(epoch_seconds) != self._epoch_second:
            self._epoch_second = int(epoch_seconds)
            self._date = formatdate(self._epoch_second, usegmt=True)
            self._lines.clear()
            self.constants.clear()

    def __getitem__(self, status: int) -> str:
        line = self._lines.get(status)
        if line is None:
            line = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\nDate: {self._date}\r\n"
            self._lines[status] = line
        return line


def encode_head(
    reply: Reply, status_line: str, connection: str, *, to_head_request: bool = False, framing: str | None = None
) -> bytes:
    """Everything before the body.

    Args:
        status_line: what ``StatusLines`` has for the reply's status.
        connection: a whole Connection line, or nothing.
        to_head_request: the body stays behind; a Content-Length among the headers then stands for it.
        framing: a whole line, or nothing, that says where a body of unknown length ends, in place of Content-Length.
    """
    text = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    lines = len(reply.headers)
    if text.count("\n") != lines or text.count("\r") != lines:
        # A line break in a value would let whoever chose it write headers, or replies, of their own.
        text = "".join(f"{_one_line(name)}: {_one_line(value)}\r\n" for name, value in reply.headers)
    if reply.status in _BODILESS or (to_head_request and _has_length(reply)):
        text = f"{status_line}{text}{connection}\r\n"
    elif framing is not None:
        text = f"{status_line}{text}{framing}{connection}\r\n"
    else:
        text = f"{status_line}{text}Content-Length: {len(reply.body)}\r\n{connection}\r\n"
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def encode_constant(reply: ConstantReply, status_lines: StatusLines) -> bytes:
    """The whole of a reply that is always the same, on a connection that stays."""
    block = status_lines.constants.get(reply)
    if block is None:
        block = encode_head(reply, status_lines[reply.status], "") + reply.body
        status_lines.constants[reply] = block
    return block


def has_body(status: int) -> bool:
    """Whether a reply of ``status`` may have a body at all."""
    return status not in _BODILESS


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _has_length(reply: Reply) -> bool:
    return any(name.lower() == "content-length" for name, _ in reply.headers)
