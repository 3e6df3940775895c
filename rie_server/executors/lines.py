"""Cuts a stream of bytes into lines. Pure state, one owner at a time: not thread-safe."""

LINE_BYTES_MAXIMUM = 256 * 1024


class LineSplitter:
    """Lines come without their newline; one longer than ``LINE_BYTES_MAXIMUM`` comes in pieces.

    Attributes:
        rest: what has come after the last newline.
    """

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes."""
        lines = (self.rest + data).split(b"\n")
        rest = lines.pop()
        pieces = [piece for line in lines for piece in _pieces(line)]
        while len(rest) >= LINE_BYTES_MAXIMUM:
            pieces.append(rest[:LINE_BYTES_MAXIMUM])
            rest = rest[LINE_BYTES_MAXIMUM:]
        self.rest = rest
        return pieces

    def flush(self) -> list[bytes]:
        """What came after the last newline, if anything did."""
        rest, self.rest = self.rest, b""
        return [rest] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= LINE_BYTES_MAXIMUM:
        return [line]
    return [line[at : at + LINE_BYTES_MAXIMUM] for at in range(0, len(line), LINE_BYTES_MAXIMUM)]
