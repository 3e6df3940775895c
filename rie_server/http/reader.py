"""Bytes to requests: httptools' callbacks, and the limits that it does not have.

One per connection, used on the loop's thread only. ``feed`` calls the sink for every complete request, in order, and
raises Refusal when the client cannot go on: what it sent before that has been delivered.
"""

from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import httptools

from rie_server.api.exchange import Connection, Request
from rie_server.http.limits import HEAD_BYTES, BodyLimits

# Chunk sizes and extensions, and the little that is unknown of the first read, per byte of body.
_FRAMING_PER_BYTE = 8
_REPEATED_HEADERS = 100
_NAMES_REMEMBERED = 512
_HEADS_REMEMBERED = 512
_HEAD_BYTES_REMEMBERED = 1024
_END_OF_HEAD = b"\r\n\r\n"
_SINGULAR = frozenset(("authorization", "expect", "transfer-encoding", "upgrade"))

_names: dict[bytes, str] = {}
_heads: dict[bytes, "Head"] = {}


class Refusal(Exception):  # noqa: N818 - not an error of ours
    """The client broke a rule of HTTP or a limit; it gets ``status`` and the connection ends."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


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


class Sink(Connection, Protocol):
    """Who takes the requests."""

    def on_request(self, request: Request, keep_alive: bool, http10: bool) -> None: ...

    def on_expect_continue(self) -> None:
        """The client waits for ``100 Continue`` before it sends the body."""


class RequestReader:
    """
    Attributes:
        in_head: a request has begun and its headers are not complete.
        in_body: the headers are there and the body is not complete.
    """

    __slots__ = (
        "_began_here",
        "_body",
        "_body_bytes",
        "_chunks",
        "_fed_bytes",
        "_head_may_be_large",
        "_headers",
        "_http10",
        "_limits",
        "_parser",
        "_repeated",
        "_replayed",
        "_sink",
        "_unknown_head",
        "_upgrade",
        "_url",
        "in_body",
        "in_head",
    )

    def __init__(self, sink: Sink, limits: BodyLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser: Any = httptools.HttpRequestParser(self)
        self._upgrade = self._replayed = False
        self.in_head = self.in_body = False
        self._began_here = self._head_may_be_large = self._http10 = False
        self._fed_bytes = 0

    def feed(self, data: bytes) -> None:
        self._unknown_head = None
        if not (self.in_head or self.in_body) and len(data) <= self._limits.kept_bytes:
            end = data.find(_END_OF_HEAD, 0, _HEAD_BYTES_REMEMBERED)
            if end > 0:
                text = data[: end + len(_END_OF_HEAD)]
                head = _heads.get(text)
                if head is None:
                    self._unknown_head = text
                elif len(data) == len(text) + head.body_bytes:
                    body = data[len(text) :]
                    request = Request(head.method, head.path, head.query, head.headers, body, self._sink)
                    self._sink.on_request(request, True, False)
                    return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._head_may_be_large = self.in_head or len(data) > HEAD_BYTES
        self._began_here = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data, upgrade.args[0])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Refusal):
                raise error.__context__ from None
            raise Refusal(400, "BadRequest", f"Malformed HTTP request: {error}") from None
        if self.in_head or self.in_body:
            # The parser itself would collect a header or a trailer without end.
            if not self._began_here:
                self._fed_bytes += len(data)
            framing_bytes = self._fed_bytes - self._body_bytes
            if framing_bytes > HEAD_BYTES + _FRAMING_PER_BYTE * self._body_bytes:
                raise _head_too_large()

    def close(self) -> None:
        """Breaks the circle between parser and reader, so that neither waits for the garbage collector."""
        self._parser = None

    # --- httptools calls these ---

    def on_message_begin(self) -> None:
        if self._replayed:
            return
        self.in_head = self._began_here = True
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = b""
        self._chunks: list[bytes] | None = None
        self._fed_bytes = self._body_bytes = self._repeated = 0

    def on_url(self, part: bytes) -> None:
        if not self._replayed:
            self._url = self._url + part if self._url else part

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        if not self.in_head:
            return  # a trailer, or the head that is replayed after an upgrade
        name = _names.get(raw_name) or _remember(raw_name)
        value = raw_value.decode("latin-1")
        headers = self._headers
        if name in headers:
            if name == "host":
                raise Refusal(400, "BadRequest", "More than one Host header")
            self._repeated += 1
            if self._repeated > _REPEATED_HEADERS:
                raise _head_too_large()
            headers[name] = f"{headers[name]}, {value}"
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        if self._replayed:
            return
        headers = self._headers
        self.in_head, self.in_body = False, True
        if self._head_may_be_large:
            self._check_head()
        parser = self._parser
        self._http10 = parser.get_http_version() == "1.0"
        if not self._http10 and "host" not in headers:
            raise Refusal(400, "BadRequest", "HTTP/1.1 requests need a Host header")
        length = headers.get("content-length")
        if length is not None and int(length) > self._limits.most_bytes:
            raise self._body_too_large()
        if parser.should_upgrade():
            self._upgrade = True
        if "expect" in headers:
            if headers["expect"].lower() != "100-continue":
                raise Refusal(417, "ExpectationFailed", f"Expect: {headers['expect']} is not supported")
            if not self._http10 and length != "0":
                self._sink.on_expect_continue()

    def on_body(self, part: bytes) -> None:
        kept = self._body_bytes
        self._body_bytes = kept + len(part)
        if not kept:
            self._body = part
        elif kept < self._limits.kept_bytes:
            if self._chunks is None:
                self._chunks = [self._body]
            self._chunks.append(part)
        if self._body_bytes > self._limits.most_bytes:
            raise self._body_too_large()

    def on_message_complete(self) -> None:
        if self._upgrade and not self._replayed:
            return  # see _go_on_without_upgrade
        body = self._body if self._chunks is None else b"".join(self._chunks)
        path, query, raw_path = self._target()
        parser = self._parser
        request = Request(
            parser.get_method().decode(), path, query, self._headers, body, self._sink, self._body_bytes, raw_path
        )
        keep_alive = parser.should_keep_alive()
        text, self._unknown_head = self._unknown_head, None
        if text is not None and keep_alive and not self._http10 and (not body or self._limits.heads_recur):
            _remember_head(text, request)
        self.in_body = self._upgrade = self._replayed = False
        self._sink.on_request(request, keep_alive, self._http10)

    # --- details ---

    def _go_on_without_upgrade(self, data: bytes, offset: int) -> None:
        """The client offered another protocol (Java's HTTP client offers h2c with its first request) and we stay with
        this one. The parser has stopped at the end of the head; a fresh one is put at that point.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            raise Refusal(405, "MethodNotAllowed", "CONNECT is not supported")
        self._parser = httptools.HttpRequestParser(self)
        self._replayed = True
        headers = self._headers
        framing = [
            f"{name}: {headers[name]}\r\n" for name in ("content-length", "transfer-encoding") if name in headers
        ]
        if "close" in headers.get("connection", "").lower():
            framing.append("connection: close\r\n")
        head = b"%s / HTTP/1.1\r\n%s\r\n" % (method, "".join(framing).encode("latin-1"))
        self._parse(head + data[offset:])

    def _target(self) -> tuple[str, str, str | None]:
        """Path, query and, where it is another one, path as it was sent, of the request line; the authority of an
        absolute URL takes the place of Host.
        """
        url = self._url
        if url.startswith(b"/") and b"?" not in url and b"%" not in url:
            return url.decode("utf-8", "replace"), "", None
        if not url.startswith(b"/") and url != b"*":
            try:
                parsed = httptools.parse_url(url)
            except httptools.HttpParserInvalidURLError:
                raise Refusal(400, "BadRequest", "Malformed request target") from None
            port = b":%d" % parsed.port if parsed.port else b""
            self._headers["host"] = ((parsed.host or b"") + port).decode("latin-1")
            url = (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
        raw_path, _, query = url.partition(b"?")
        if b"%" not in raw_path:
            return raw_path.decode("utf-8", "replace"), query.decode("latin-1"), None
        path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
        return path, query.decode("latin-1"), raw_path.decode("latin-1")

    def _check_head(self) -> None:
        size_bytes = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers.items())
        if size_bytes > HEAD_BYTES:
            raise _head_too_large()

    def _body_too_large(self) -> Refusal:
        return Refusal(413, self._limits.code, self._limits.refusal)


def _head_too_large() -> Refusal:
    return Refusal(431, "RequestHeaderFieldsTooLarge", f"Request line and headers exceed {HEAD_BYTES} bytes")


def _remember_head(text: bytes, request: Request) -> None:
    """Not one that says more of the body than its length, nor a signed one, which never comes again, nor an encoded
    path.
    """
    headers = request.headers
    if request.raw_path != request.path:
        return
    if int(headers.get("content-length", 0)) != len(request.body) or not _SINGULAR.isdisjoint(headers):
        return
    if len(_heads) >= _HEADS_REMEMBERED:
        _heads.clear()
    _heads[text] = Head(request)


def _remember(raw_name: bytes) -> str:
    """A header's name in lower case; few of them make up all traffic, so they are decoded once."""
    name = raw_name.decode("latin-1").lower()
    if len(_names) < _NAMES_REMEMBERED:
        _names[raw_name] = name
    return name
