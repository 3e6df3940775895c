"""The two operations of the Lambda API that a durable function's SDK needs, for environments that cannot reach that
API: it listens on the loopback alone, where no container comes, because whoever reaches it can run code.

Only an environment is let in, and what it may do there its checkpoint token says. Thread-safe; never blocks: the
operations wait for the store, on threads of this module's own.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rie_server.api.exchange import JSON, Deferred, HotRoute, Reply, Request
from rie_server.api.runtime_api.identity import EnvironmentIdentities

PREFIX = "/2025-12-01/durable-executions/"
_THREADS = 4
_STRANGER = Reply(403, (("Content-Type", JSON),), b'{"message":"No execution environment calls from this address"}')

Operation = Callable[[Request], Reply | Deferred]


class DurableDoor:
    """
    Args:
        operation: the Lambda API.
    """

    def __init__(self, *, identities: EnvironmentIdentities, operation: Operation) -> None:
        self._identities = identities
        self._operation = operation
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="durable-door")
        self.hot_routes = [
            HotRoute(listener="runtime", method=method, prefix=PREFIX, suffix=suffix, operation=self)
            for method, suffix in (("POST", "/checkpoint"), ("GET", "/state"))
        ]

    def __call__(self, request: Request) -> Reply | Deferred:
        if self._identities.environment_of(request) is None:
            return _STRANGER
        deferred = Deferred(request.connection)
        self._threads.submit(self._answer, request, deferred)
        return deferred

    def close(self) -> None:
        """Waits for what is being answered."""
        self._threads.shutdown()

    def _answer(self, request: Request, deferred: Deferred) -> None:
        reply = self._operation(request)
        if isinstance(reply, Reply):
            deferred.complete(reply)
