"""What a reader of requests and the connection that feeds it say to one another."""

from typing import Protocol

from rie_server.api.exchange import Connection, Request
from rie_server.http.limits import HEAD_BYTES


class Refusal(Exception):  # noqa: N818 - not an error of ours
    """The client broke a rule of HTTP or a limit; it gets ``status`` and the connection ends."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def head_too_large() -> Refusal:
    return Refusal(431, "RequestHeaderFieldsTooLarge", f"Request line and headers exceed {HEAD_BYTES} bytes")


class Sink(Connection, Protocol):
    """Who takes the requests."""

    def on_request(self, request: Request, keep_alive: bool, http10: bool) -> None: ...

    def on_expect_continue(self) -> None:
        """The client waits for ``100 Continue`` before it sends the body."""

    def on_flow(self) -> None:
        """``RequestReader.is_held`` has changed; called by any thread."""

    def on_streamed(self, keep_alive: bool) -> None:
        """The body of a StreamedRequest is complete; so far it was taken for one that ends the connection."""
