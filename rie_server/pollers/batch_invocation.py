"""One batch of a mapping's records on its way through the function: from records to the function's answer.

Thread-safe.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.errors import LambdaError
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.model.request_id import random_digits
from rie_server.model.tracing import new_trace_header
from rie_server.pollers.event_json import event_json
from rie_server.polling import EventSource, PollObserver
from rie_server.ports import Clock, Invoker

OnResult = Callable[[InvokeResult], None]


class BatchInvocation:
    """
    Args:
        clock: the real one; it dates trace headers.
    """

    def __init__(
        self,
        *,
        mapping: EventSourceMapping,
        source: EventSource,
        invoker: Invoker,
        observer: PollObserver,
        clock: Clock,
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._invoker = invoker
        self._observer = observer
        self._clock = clock

    def payload(self, records: Sequence[SourceRecord], extra: Mapping[str, Any] | None = None) -> bytes:
        """The event as bytes; ``extra`` members (a tumbling window's) stand beside the records."""
        event = self._source.event(records)
        if extra:
            event.update(extra)
        return event_json(event)

    def submit(self, payload: bytes, count: int, request_id: str, on_result: OnResult) -> None:
        """Runs the function once and calls ``on_result`` exactly once, from any thread, perhaps before this returns.

        An invocation that was refused (throttled, no such function, ...) is a result too, with its ``refusal``.
        """
        request = InvokeRequest(
            function=self._mapping.function,
            payload=payload,
            request_id=request_id,
            trace_header=new_trace_header(self._clock.now(), random_digits()),
        )
        self._observer.invoked(self._mapping, count)
        try:
            self._invoker.invoke(request, on_result)
        except LambdaError as refusal:
            on_result(InvokeResult(payload=b"", function_error=None, executed_version="", refusal=refusal))

    def run(self, payload: bytes, count: int, request_id: str) -> InvokeResult:
        """The same, for who waits; blocks for as long as the function takes."""
        done = threading.Event()
        results: list[InvokeResult] = []

        def on_result(result: InvokeResult) -> None:
            results.append(result)
            done.set()

        self.submit(payload, count, request_id, on_result)
        done.wait()
        return results[0]
