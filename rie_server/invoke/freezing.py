"""Environments are frozen between invocations (``RIE_FREEZE=1``), as in AWS: code that goes on working after the answer
stands still until the next invocation.

Whether an environment is to be frozen is decided under the fleet's lock, where it becomes idle or is given an
invocation; freezing and thawing block, so they happen on threads of this module's own, one after the other for each
environment. What waits for an environment to be thawed is a callback. Without this nothing is there but one test of an
attribute.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from rie_server.model.environment import RuntimeState

if TYPE_CHECKING:
    from rie_server.invoke.environments import Environment

log = logging.getLogger(__name__)


class Threads(Protocol):
    """The part of ``concurrent.futures.ThreadPoolExecutor`` that is used here."""

    def submit(self, fn: Callable[["Environment"], None], environment: "Environment", /) -> object: ...

    def shutdown(self, *, wait: bool) -> None: ...


class Frost:
    """How frozen one environment is. Guarded by the fleet's lock.

    Attributes:
        wanted: whether it is to be frozen.
        is_frozen: whether it is.
        is_busy: somebody is freezing or thawing it.
        when_thawed: are called once it is thawed; an invocation and the end of the environment may both wait.
    """

    __slots__ = ("is_busy", "is_frozen", "wanted", "when_thawed")

    def __init__(self) -> None:
        self.wanted = False
        self.is_frozen = False
        self.is_busy = False
        self.when_thawed: list[Callable[[], None]] = []

    @property
    def is_thawed(self) -> bool:
        """Also without the lock, by whoever has just made sure that nobody wants it frozen."""
        return not self.is_frozen and not self.is_busy


class Freezer:
    """
    Args:
        lock: the fleet's.
        threads: where environments are frozen and thawed; ``close`` shuts it down.
    """

    def __init__(self, *, lock: threading.Lock, threads: Threads) -> None:
        self._lock = lock
        self._threads = threads

    def want_frozen(self, environment: "Environment") -> None:
        """Under the lock: the environment is idle. The caller calls ``advance`` without the lock."""
        if environment.frost is None:
            environment.frost = Frost()
        environment.frost.wanted = True

    def when_thawed(self, environment: "Environment", callback: Callable[[], None]) -> None:
        """Calls ``callback`` once the environment is not frozen, from any thread; at once if it is not now."""
        with self._lock:
            frost = environment.frost
            if frost is not None:
                frost.wanted = False
                frost.when_thawed.append(callback)
        if frost is None:
            callback()
        else:
            self.advance(environment)

    def advance(self, environment: "Environment") -> None:
        """Freezes or thaws the environment if it is to be, and calls back whoever waits."""
        callbacks: list[Callable[[], None]] = []
        with self._lock:
            frost = environment.frost
            if frost is None or frost.is_busy:
                return
            is_due = _target(environment, frost) != frost.is_frozen
            if is_due:
                frost.is_busy = True
            else:
                callbacks, frost.when_thawed = frost.when_thawed, []
        if is_due:
            self._threads.submit(self._work, environment)
        else:
            _call(callbacks)

    def close(self) -> None:
        """Waits until everybody has been called back."""
        self._threads.shutdown(wait=True)

    def _work(self, environment: "Environment") -> None:
        frost = environment.frost
        assert frost is not None
        while True:
            with self._lock:
                freezing = _target(environment, frost)
                if freezing == frost.is_frozen:
                    frost.is_busy = False
                    callbacks, frost.when_thawed = frost.when_thawed, []
                    break
            self._set(environment, frozen=freezing)
            with self._lock:
                frost.is_frozen = freezing
        _call(callbacks)

    @staticmethod
    def _set(environment: "Environment", *, frozen: bool) -> None:
        running = environment.running
        if running is None:
            return
        try:
            running.freeze() if frozen else running.thaw()
        except Exception:
            log.exception("Environment %s could not be %s", environment.id, "frozen" if frozen else "thawed")


def _call(callbacks: Iterable[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()


def _target(environment: "Environment", frost: Frost) -> bool:
    """Nothing is frozen that is being stopped: it may still have something to do at its end."""
    return frost.wanted and environment.state is not RuntimeState.STOPPED
