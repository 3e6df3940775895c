"""Admits invocations: resolves the function, holds the account's concurrency, and hands over to the fleet.

This is the ``Invoker`` that everybody else holds. Thread-safe; returns at once.
"""

import threading
from collections.abc import Callable

from rie_server.errors import TooManyRequestsException
from rie_server.invoke.environments import Invocation
from rie_server.invoke.fleet import Fleet
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import Clock, FunctionCatalog


class FrontController:
    """
    Args:
        concurrency_limit: invocations at a time, of all functions together (AWS: 1000 in an account and region).
    """

    def __init__(self, *, catalog: FunctionCatalog, fleet: Fleet, clock: Clock, concurrency_limit: int) -> None:
        self._catalog = catalog
        self._fleet = fleet
        self._clock = clock
        self._limit = concurrency_limit
        self._lock = threading.Lock()
        self._running = 0

    @property
    def running(self) -> int:
        """Invocations that were admitted and have no result yet."""
        return self._running

    def invoke(self, request: InvokeRequest, on_result: Callable[[InvokeResult], None]) -> None:
        function = self._catalog.resolve(request.function)
        with self._lock:
            if self._running >= self._limit:
                raise TooManyRequestsException("ConcurrentInvocationLimitExceeded")
            self._running += 1

        def finish(result: InvokeResult) -> None:
            with self._lock:
                self._running -= 1
            on_result(result)

        self._fleet.submit(Invocation(request, function, request.trace_header, finish, self._clock.monotonic()))

    def drain(self, seconds: float) -> None:
        """Blocks until every admitted invocation has its result, or ``seconds`` have passed."""
        give_up_at = self._clock.monotonic() + seconds
        while self._running and self._clock.monotonic() < give_up_at:
            self._clock.sleep(0.02)
