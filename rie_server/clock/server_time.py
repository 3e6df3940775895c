"""The time that events live in: retries, ages, backoff, keep-alive and batching windows go by it.

It is the real one unless ``RIE_CLOCK`` or ``RIE_CLOCK_SPEED`` say otherwise. Deadlines of functions and whatever waits
for a process, a disk or a client go by the real clock, always. Thread-safe.
"""

from rie_server.clock.fast import FastClock
from rie_server.clock.manual import ManualClock
from rie_server.clock.memory import RememberedTime
from rie_server.config import Settings
from rie_server.errors import ResourceConflictException
from rie_server.observing import Settling
from rie_server.ports import Clock, Timer

# How long a move of the clock waits, in real time, for the functions it has set going.
SETTLE_SECONDS = 30.0
# How often, in real time, a fast clock writes down where it is.
REMEMBER_SECONDS = 1.0


class ServerTime:
    """
    Args:
        real: started before ``start`` and closed after ``close``.

    Attributes:
        clock: the time itself; with ``RIE_CLOCK=system`` at speed 1 it is ``real``.
    """

    def __init__(self, settings: Settings, real: Clock) -> None:
        self.mode = settings.clock
        self.speed = settings.clock_speed
        self.clock = real
        self._real = real
        self._memory = RememberedTime(settings.data_dir / "clock")
        self._manual: ManualClock | None = None
        self._timer: Timer | None = None
        if self.mode == "manual":
            self.clock = self._manual = ManualClock(real, start_at=self._memory.not_before(real.now()))
        elif self.speed != 1:
            self.clock = FastClock(real, start_at=self._memory.not_before(real.now()), speed=self.speed)

    def wait_for(self, worker: Settling) -> None:
        """A move of the clock lets ``worker`` finish what each moment begins."""
        if self._manual is not None:
            self._manual.wait_for(worker)

    def start(self) -> None:
        if self.clock is not self._real:
            self._keep_remembering()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._manual is not None:
            self._manual.close()
        if self.clock is not self._real:
            self._memory.remember(self.clock.now())

    def advance(self, seconds: float) -> bool:
        """Moves the clock; blocks until every timer that has come due has fired, and what they began is over.

        Returns:
            False if something still ran after ``SETTLE_SECONDS``; the clock moved on without it.

        Raises:
            ResourceConflictException: the clock is not one that is moved, or somebody else is moving it.
        """
        if self._manual is None:
            raise ResourceConflictException("This clock moves by itself. Start the server with RIE_CLOCK=manual.")
        settled = self._manual.advance(seconds, settle_seconds=SETTLE_SECONDS)
        if settled is None:
            raise ResourceConflictException("The clock is being moved by another request.")
        self._memory.remember(self.clock.now())
        return settled

    def _keep_remembering(self) -> None:
        self._memory.remember(self.clock.now())
        if self._manual is None:
            self._timer = self._real.call_later(REMEMBER_SECONDS, self._keep_remembering)
