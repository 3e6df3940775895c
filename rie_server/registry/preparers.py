"""The threads that make deployments ready, each a moment after it was asked for.

``schedule`` and ``cancel`` belong to the registry's writer thread.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rie_server.model.arn import FunctionArn
from rie_server.ports import Clock, Timer

_log = logging.getLogger(__name__)

# How long a function stays Pending, or an update InProgress, at least: AWS's clients must be able to see it.
SETTLE_SECONDS = 0.002
_PREPARERS = 4


class Preparers:
    """Owns its threads: ``cancel`` what has not begun, then ``close``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: dict[FunctionArn, Timer] = {}
        self._threads = ThreadPoolExecutor(max_workers=_PREPARERS, thread_name_prefix="registry-preparer")

    def schedule(self, function: FunctionArn, prepare: Callable[[], None]) -> None:
        """Runs ``prepare`` on a thread, a moment later."""
        self._timers[function] = self._clock.call_later(SETTLE_SECONDS, partial(self._hand_over, prepare))

    def cancel(self) -> None:
        for timer in self._timers.values():
            timer.cancel()

    def close(self) -> None:
        """Joins the threads; waits for a preparation that is running."""
        self._threads.shutdown(cancel_futures=True)

    def _hand_over(self, prepare: Callable[[], None]) -> None:
        try:
            self._threads.submit(prepare)
        except RuntimeError:
            _log.debug("the registry closed before a preparation began; it is taken up at the next start")
