"""Heads that come again, byte for byte, and the few names that make up all headers: each is parsed once.

What is remembered is bounded, and shared by all connections of the process. Used on the loop's thread only.
"""

from rie_server.api.exchange import Request

HEAD_BYTES_REMEMBERED = 1024
_NAMES_REMEMBERED = 512
_HEADS_REMEMBERED = 512
_SINGULAR = frozenset(("authorization", "expect", "transfer-encoding", "upgrade"))

names: dict[bytes, str] = {}
heads: dict[bytes, "Head"] = {}


class Head:
    """What a request's head says. Runtimes and many clients send the same one again and again, byte for byte, so what
    the parser made of it serves for the next request, too. ``headers`` are shared by all of these.
    """

    __slots__ = ("body_bytes", "headers", "method", "path", "query")

    def __init__(self, request: Request) -> None:
        self.method = request.method
        self.path = request.path
        self.query = request.query
        self.headers = request.headers
        self.body_bytes = len(request.body)


def remember_head(text: bytes, request: Request) -> None:
    """Not one that says more of the body than its length, nor a signed one, which never comes again, nor an encoded
    path.
    """
    headers = request.headers
    if request.raw_path != request.path:
        return
    if int(headers.get("content-length", 0)) != len(request.body) or not _SINGULAR.isdisjoint(headers):
        return
    if len(heads) >= _HEADS_REMEMBERED:
        heads.clear()
    heads[text] = Head(request)


def remember_name(raw_name: bytes) -> str:
    """A header's name in lower case; few of them make up all traffic, so they are decoded once."""
    name = raw_name.decode("latin-1").lower()
    if len(names) < _NAMES_REMEMBERED:
        names[raw_name] = name
    return name
