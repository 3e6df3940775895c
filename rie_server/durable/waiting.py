"""Who waits for which durable execution to end. Thread-safe; callbacks run on whichever thread tells."""

import threading
from collections.abc import Callable, Sequence

from rie_server.model.durable_execution import DurableExecution

OnEnd = Callable[[DurableExecution], None]


class Waiters:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, list[OnEnd]] = {}

    def add(self, execution_id: str, on_end: OnEnd) -> None:
        """``on_end`` is called once, when the execution is over."""
        with self._lock:
            self._by_id.setdefault(execution_id, []).append(on_end)

    def tell(self, execution: DurableExecution | None) -> None:
        """This is how an execution stands now."""
        if execution is None or not execution.is_over:
            return
        with self._lock:
            waiting = self._by_id.pop(execution.arn.id, ())
        for on_end in waiting:
            on_end(execution)

    def awaited(self) -> Sequence[str]:
        """Ids of the executions that somebody waits for."""
        with self._lock:
            return tuple(self._by_id)
