"""Bytes to requests: httptools' callbacks, and the limits that it does not have.

One per connection, used on the loop's thread only. ``feed`` calls the sink for every complete request, in order, and
raises Refusal when the client cannot go on: what it sent before that has been delivered. A request whose body is to be
streamed is delivered when its head is complete.
"""

from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from rie_server.api.body_stream import BodyStream
from rie_server.api.exchange import Request, StreamedRequest
from rie_server.http.heads import HEAD_BYTES_REMEMBERED, heads, names, remember_head, remember_name
from rie_server.http.limits import HEAD_BYTES, BodyLimits
from rie_server.http.sink import Refusal, Sink, head_too_large

# Chunk sizes and extensions, and the little that is unknown of the first read, per byte of body.
_FRAMING_PER_BYTE = 8
_REPEATED_HEADERS = 100
_END_OF_HEAD = b"\r\n\r\n"


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
        "_is_over",
        "_limits",
        "_parser",
        "_repeated",
        "_replayed",
        "_sink",
        "_stream",
        "_streaming_header",
        "_trailer_bytes",
        "_trailers",
        "_unknown_head",
        "_upgrade",
        "_url",
        "in_body",
        "in_head",
    )

    def __init__(self, sink: Sink, limits: BodyLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._streaming_header = limits.streaming_header
        self._parser: Any = httptools.HttpRequestParser(self)
        self._upgrade = self._replayed = False
        self._stream: BodyStream | None = None
        self._is_over = False
        self.in_head = self.in_body = False
        self._began_here = self._head_may_be_large = self._http10 = False
        self._fed_bytes = 0

    def feed(self, data: bytes) -> None:
        self._unknown_head = None
        if not (self.in_head or self.in_body) and len(data) <= self._limits.kept_bytes:
            end = data.find(_END_OF_HEAD, 0, HEAD_BYTES_REMEMBERED)
            if end > 0:
                text = data[: end + len(_END_OF_HEAD)]
                head = heads.get(text)
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
                raise head_too_large()

    @property
    def is_held(self) -> bool:
        """Whether whoever receives a streamed body wants no more of it for now."""
        return self._stream is not None and self._stream.is_held and not self._is_over

    def break_off(self) -> bool:
        """The rest of the body will not come, or nobody wants it; nothing after it is a request. Whether somebody was
        being streamed one, and was told.
        """
        stream = self._stream
        if stream is None or self._is_over:
            return False
        self._is_over = True
        self.in_body = False
        stream.break_off()
        return True

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
            if self._stream is not None:
                self._add_trailer(raw_name, raw_value)
            return  # a trailer, or the head that is replayed after an upgrade
        name = names.get(raw_name) or remember_name(raw_name)
        value = raw_value.decode("latin-1")
        headers = self._headers
        if name in headers:
            if name == "host":
                raise Refusal(400, "BadRequest", "More than one Host header")
            self._repeated += 1
            if self._repeated > _REPEATED_HEADERS:
                raise head_too_large()
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
        is_streamed = self._streaming_header in headers and self._is_streamed(headers)
        if length is not None and int(length) > self._limits.most_bytes and not is_streamed:
            raise self._body_too_large()
        if parser.should_upgrade():
            self._upgrade = True
        if "expect" in headers:
            if headers["expect"].lower() != "100-continue":
                raise Refusal(417, "ExpectationFailed", f"Expect: {headers['expect']} is not supported")
            if not self._http10 and length != "0":
                self._sink.on_expect_continue()
        if is_streamed:
            self._begin_stream()

    def on_body(self, part: bytes) -> None:
        kept = self._body_bytes
        self._body_bytes = kept + len(part)
        if self._stream is not None:
            self._stream.write(part)
            return
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
        if self._stream is not None:
            self._end_stream(self._stream)
            return
        body = self._body if self._chunks is None else b"".join(self._chunks)
        path, query, raw_path = self._target()
        parser = self._parser
        request = Request(
            parser.get_method().decode(), path, query, self._headers, body, self._sink, self._body_bytes, raw_path
        )
        keep_alive = parser.should_keep_alive()
        text, self._unknown_head = self._unknown_head, None
        if text is not None and keep_alive and not self._http10 and (not body or self._limits.heads_recur):
            remember_head(text, request)
        self.in_body = self._upgrade = self._replayed = False
        self._sink.on_request(request, keep_alive, self._http10)

    # --- streamed bodies ---

    def _is_streamed(self, headers: dict[str, str]) -> bool:
        suffix = self._limits.streaming_suffix
        return headers[self._streaming_header] == "streaming" and self._url.endswith(suffix)

    def _begin_stream(self) -> None:
        if self._upgrade:
            return
        path, query, _ = self._target()
        self._trailers: dict[str, str] = {}
        self._trailer_bytes = 0
        stream = self._stream = BodyStream(self._sink.on_flow)
        method = self._parser.get_method().decode()
        self._sink.on_request(
            StreamedRequest(method, path, query, self._headers, stream, self._sink), False, self._http10
        )

    def _end_stream(self, stream: BodyStream) -> None:
        if self._is_over:
            raise Refusal(400, "BadRequest", "The request was answered before its body had ended")
        self._stream = None
        self.in_body = False
        self._sink.on_streamed(self._parser.should_keep_alive())
        stream.finish(self._trailers)

    def _add_trailer(self, raw_name: bytes, raw_value: bytes) -> None:
        self._trailer_bytes += len(raw_name) + len(raw_value) + 4
        if self._trailer_bytes > HEAD_BYTES:
            raise head_too_large()
        self._trailers[raw_name.decode("latin-1").lower()] = raw_value.decode("latin-1")

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
            raise head_too_large()

    def _body_too_large(self) -> Refusal:
        return Refusal(413, self._limits.code, self._limits.refusal)
