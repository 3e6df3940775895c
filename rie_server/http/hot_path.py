"""From a request to its reply, without a framework in between for what is hot.

``HotPath.handle`` runs on the loop's thread. Hot operations and the Runtime API never block and are called there;
the rest of the Lambda API may, and is called on a pool of threads. An exception that an operation lets out is this
server's fault: it is logged with its traceback, and the client gets a 500.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Executor

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.guard import Guard
from rie_server.api.refusals import server_fault
from rie_server.api.routing import HotTable
from rie_server.api.serving import Operation

log = logging.getLogger(__name__)

Send = Callable[[Reply], None]


class HotPath:
    """
    Args:
        guard: looks at every request first; None where no browser comes.
        other: answers what is not hot.
        threads: where ``other`` runs; None calls it on the loop.
    """

    __slots__ = ("_find", "_guard", "_listener", "_other", "_threads")

    def __init__(
        self, *, listener: str, table: HotTable, guard: Guard | None, other: Operation, threads: Executor | None
    ) -> None:
        self._listener = listener
        self._find = table.find
        self._guard = guard
        self._other = other
        self._threads = threads

    def handle(self, request: Request, send: Send) -> None:
        if self._guard is not None:
            try:
                answer = self._guard.answer(request)
            except Exception:
                log.exception("%s %s failed", request.method, request.path)
                answer = server_fault(self._listener)
            if answer is not None:
                _give(answer, send)
                return
            if "origin" in request.headers:
                send = _cors(self._guard, request, send)
        operation = self._find(request.method, request.path)
        if operation is not None:
            self._answer(operation, request, send)
        elif self._threads is None:
            self._answer(self._other, request, send)
        else:
            self._threads.submit(self._answer, self._other, request, send)

    def _answer(self, operation: Operation, request: Request, send: Send) -> None:
        try:
            answer = operation(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            answer = server_fault(self._listener)
        _give(answer, send)


def _give(answer: Reply | Deferred, send: Send) -> None:
    if isinstance(answer, Deferred):
        answer.attach(send)
    else:
        send(answer)


def _cors(guard: Guard, request: Request, send: Send) -> Send:
    return lambda reply: send(guard.finish(request, reply))
