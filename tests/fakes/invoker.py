"""A function that answers as a test says, at once or when the test lets it."""

import json
import threading
from collections.abc import Callable
from typing import Any

from rie_server.errors import LambdaError
from rie_server.model.invocation import InvokeRequest, InvokeResult

OnResult = Callable[[InvokeResult], None]


def answer(value: Any = None) -> InvokeResult:
    """The function has returned ``value``."""
    return InvokeResult(payload=json.dumps(value).encode(), function_error=None, executed_version="$LATEST")


def failure() -> InvokeResult:
    """The function has raised an exception."""
    return InvokeResult(payload=b'{"errorMessage":"no"}', function_error="Unhandled", executed_version="$LATEST")


class FakeInvoker:
    """Fills ``ports.Invoker``.

    Attributes:
        decide: what becomes of a request: a result, an error that is raised, or None: it runs until ``finish``.
        requests: all of them, in order.
        running: the events of those that run, with who waits for them.
        most_running: as many ran at the same time.
    """

    def __init__(self) -> None:
        self.decide: Callable[[Any], InvokeResult | LambdaError | None] = lambda event: answer()
        self.requests: list[InvokeRequest] = []
        self.running: list[tuple[Any, OnResult]] = []
        self.most_running = 0
        self._lock = threading.Lock()

    @property
    def bodies(self) -> list[list[str]]:
        """The bodies of each event's records, in the order of the requests."""
        events = [json.loads(request.payload) for request in tuple(self.requests)]
        return [[record["body"] for record in event["Records"]] for event in events]

    def invoke(self, request: InvokeRequest, on_result: OnResult) -> None:
        event = json.loads(request.payload)
        with self._lock:
            self.requests.append(request)
            decision = self.decide(event)
            if decision is None:
                self.running.append((event, on_result))
                self.most_running = max(self.most_running, len(self.running))
        if isinstance(decision, LambdaError):
            raise decision
        if decision is not None:
            on_result(decision)

    def finish(self, result: InvokeResult | None = None, position: int = 0) -> None:
        """Ends one of those that run, the oldest unless ``position`` says another."""
        with self._lock:
            _, on_result = self.running.pop(position)
        on_result(result or answer())
