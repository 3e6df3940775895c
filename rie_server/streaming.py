"""The fifth page of ports: responses that reach their caller while the handler still writes them."""

from collections.abc import Callable
from typing import Protocol

from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import Invoker

# Holds back whoever writes (True), or lets it go on (False). Callable from any thread; never blocks.
Hold = Callable[[bool], None]


class ResponseSink(Protocol):
    """A caller who takes a streamed response piece by piece. Called from one thread at a time; must not block."""

    def begin(self, *, content_type: str, executed_version: str, hold: Hold) -> None:
        """The runtime has begun to stream, which it need not: a buffered response, and every error before the first
        byte, is in the InvokeResult alone. ``content_type`` is the runtime's own.
        """

    def write(self, data: bytes) -> None:
        """A piece as it came; never after the InvokeResult, but for one that crosses it."""


class StreamingInvoker(Invoker, Protocol):
    """An Invoker that can also stream."""

    def invoke(
        self, request: InvokeRequest, on_result: Callable[[InvokeResult], None], sink: ResponseSink | None = None
    ) -> None:
        """As ``Invoker.invoke``; what a runtime streams goes to ``sink``, and ``on_result`` tells how it ended, with an
        empty payload unless it failed. Without a sink a streamed response is collected into the payload.
        """
