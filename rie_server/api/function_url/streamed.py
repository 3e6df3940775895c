"""The answer of a function URL of InvokeMode RESPONSE_STREAM: out while the handler still writes it.

Never blocks. One thread writes at a time, as ``streaming.ResponseSink`` says. A runtime that says so begins with a
prelude of status and headers; any other body goes out as it is, with status 200. What breaks off in the middle ends the
connection without a last chunk, so that the client can tell.
"""

from collections.abc import Callable

from rie_server.api.body_stream import BodyStream
from rie_server.api.exchange import Deferred, Reply, StreamedReply
from rie_server.model.http_event import UnreadableResultError, http_head
from rie_server.model.http_prelude import CONTENT_TYPE, InvalidPreludeError, PreludeReader
from rie_server.model.invocation import InvokeResult
from rie_server.streaming import Hold

Headers = tuple[tuple[str, str], ...]


class StreamedAnswer:
    """One call's way back to its client (fills ``ResponseSink``).

    Args:
        finished: turns the function's headers into those of the reply.
        failed: answers what has failed before its first byte.
    """

    __slots__ = ("_body", "_content_type", "_failed", "_finished", "_hold", "_prelude", "deferred")

    def __init__(
        self, deferred: Deferred, *, finished: Callable[[Headers], Headers], failed: Callable[[InvokeResult], Reply]
    ) -> None:
        self.deferred = deferred
        self._finished = finished
        self._failed = failed
        # Of what is no prelude; a buffered result is JSON.
        self._content_type: str | None = "application/json"
        self._prelude: PreludeReader | None = None
        self._body: BodyStream | None = None
        self._hold: Hold = _held_by_nobody

    def begin(self, *, content_type: str, executed_version: str, hold: Hold) -> None:
        del executed_version
        self._hold = hold
        self._content_type = content_type
        if content_type.partition(";")[0].strip().lower() == CONTENT_TYPE:
            self._content_type, self._prelude = None, PreludeReader()

    def write(self, data: bytes) -> None:
        """The first piece begins the reply: what fails before it can still be answered with its status."""
        if self._body is None and self._content_type is not None:
            self._reply(200, (("Content-Type", self._content_type),))
        elif self._body is None and self._prelude is not None:
            data = self._read_prelude(self._prelude, data)
        if self._body is not None and data:
            self._body.write(data)

    def complete(self, result: InvokeResult) -> None:
        """The invocation has ended."""
        has_failed = result.refusal is not None or result.function_error is not None
        if self._body is not None:
            if has_failed:
                self._body.break_off()
            else:
                self._body.finish()
        elif has_failed or self._content_type is None:
            self.deferred.complete(self._failed(result))
        else:
            # A buffered result is the body itself: in this mode nobody looks for a status in it.
            headers = self._finished((("Content-Type", self._content_type),))
            self.deferred.complete(Reply(200, headers, result.payload))

    def _read_prelude(self, reader: PreludeReader, data: bytes) -> bytes:
        """What of ``data`` belongs to the body."""
        try:
            body = reader.feed(data)
            head = reader.prelude
            if head is not None:
                document = {"statusCode": head.status_code, "headers": head.headers, "cookies": list(head.cookies)}
                self._reply(*http_head(document))
        except (InvalidPreludeError, UnreadableResultError):
            self._prelude = None  # nothing more is looked at, and the end answers
            return b""
        return body

    def _reply(self, status: int, headers: Headers) -> None:
        self._body = BodyStream(self._on_flow)
        self.deferred.complete(StreamedReply(status, self._finished(headers), self._body))

    def _on_flow(self) -> None:
        if self._body is not None:
            self._hold(self._body.is_held)


def _held_by_nobody(_held: bool) -> None:
    """Nothing is streamed, or not yet."""
