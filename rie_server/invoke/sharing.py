"""Environments in which several invocations run at a time (Lambda Managed Instances).

The workers of such an environment all call ``next``. Each call is a *seat*: it waits for an invocation, answers for the
one it was given, and is gone with its answer or its time. So everything that the stage does with an environment that
serves one invocation at a time it does with a seat, and what a seat shares with the others (process, log, pool) is its
host's.

Not thread-safe by themselves: read and written under the fleet's lock, like all records of this stage.
"""

import math
from collections import deque
from uuid import uuid4

from rie_server.errors import RuntimeApiError, invalid_request_id
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.invoke.pool import Pool
from rie_server.model.environment import INITIALIZING, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.ports import EnvironmentLog, RunningEnvironment


class Seat(Environment):
    """One worker of a shared environment, from its ``next`` to its answer."""

    __slots__ = ("host",)

    is_seat = True

    def __init__(self, host: "SharedEnvironment", poll: Poll) -> None:
        self.host = host
        init_duration_ms = host.init_duration_ms
        super().__init__(host.id, host.pool, host.log)
        host.init_duration_ms = init_duration_ms
        self.init_started_at = host.init_started_at
        self.state = RuntimeState.READY
        self.poll = poll

    @property
    def running(self) -> RunningEnvironment | None:
        return self.host.running

    @running.setter
    def running(self, _: RunningEnvironment | None) -> None:
        """It is the host's to say."""

    @property
    def log(self) -> EnvironmentLog:
        return self.host.log

    @log.setter
    def log(self, _: EnvironmentLog) -> None:
        """Likewise."""

    @property
    def init_duration_ms(self) -> float | None:
        return self.host.init_duration_ms

    @init_duration_ms.setter
    def init_duration_ms(self, value: float | None) -> None:
        self.host.init_duration_ms = value

    def leave(self) -> None:
        """Nothing that runs here is watched any more."""
        self.deadline = None
        self.state = RuntimeState.STOPPED
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class SharedEnvironment(Environment):
    """
    Attributes:
        early: workers that have asked before the environment was initialized, because its extensions were not ready.
        parked: seats that wait for an invocation.
        working: seats that have one.
        late: what has timed out here and has not been answered since: request ids by ``Invocation.runtime_id``.
        finishing: workers that have answered and not yet asked for more.
    """

    __slots__ = ("early", "finishing", "late", "parked", "working")

    is_shared = True
    pool: "SharedPool"

    def __init__(self, environment_id: str, pool: "SharedPool", log: EnvironmentLog) -> None:
        super().__init__(environment_id, pool, log)
        self.early: list[Poll] = []
        self.parked: set[Seat] = set()
        self.working: set[Seat] = set()
        self.late: dict[str, str] = {}
        self.finishing = 0

    @property
    def is_idle(self) -> bool:
        return bool(self.parked) and not self.working

    @property
    def absent(self) -> int:
        """Workers that neither wait nor work: most often they are about to ask for an invocation."""
        return max(0, self.pool.seats_per_environment - len(self.parked) - len(self.working) - len(self.late))

    @property
    def is_stuck(self) -> bool:
        """Every worker is busy with an invocation that nobody waits for any more."""
        return not self.parked and not self.working and len(self.late) >= self.pool.seats_per_environment

    def take_invocations(self) -> list[tuple[Environment, Invocation]]:
        owed: list[tuple[Environment, Invocation]] = []
        for seat in self.working:
            invocation = seat.take_invocation()
            if invocation is not None:
                owed.append((seat, invocation))
        return owed

    def seat_of(self, request_id: str, runtime_id: str | None) -> Seat:
        """Whose worker answers an invocation.

        Args:
            runtime_id: ``Lambda-Runtime-Invocation-Id``, if the worker sends it: two attempts at one event have the
                same request id.

        Raises:
            RuntimeApiError: it is none of this environment's, or has timed out.
        """
        for seat in self.working:
            invocation = seat.invocation
            if invocation is None or invocation.request.request_id != request_id:
                continue
            if runtime_id in (None, invocation.runtime_id):
                return seat
        for late_id, late_request_id in self.late.items():
            if runtime_id == late_id or (runtime_id is None and request_id == late_request_id):
                del self.late[late_id]
                raise invoke_timeout()
        raise invalid_request_id()


class SharedPool(Pool):
    """A pool of shared environments: ``idle`` holds those in which nothing runs.

    Attributes:
        seats: all workers that wait, in the order in which they began to.
    """

    __slots__ = ("seats", "seats_per_environment")

    def __init__(self, key: str, function: FunctionVersion) -> None:
        super().__init__(key, function)
        self.seats_per_environment = function.max_concurrency or 1
        self.seats: deque[Seat] = deque()

    def new_environment(self, environment_id: str, log: EnvironmentLog, *, provisioned: bool = False) -> Environment:
        del provisioned  # there is none for these
        return SharedEnvironment(environment_id, self, log)

    @property
    def about_to_be_free(self) -> int:
        """Workers that have answered, and those that have not asked for anything yet."""
        running = (one for one in self.environments if one.state not in INITIALIZING)
        return sum(one.absent for one in running if isinstance(one, SharedEnvironment))

    def missing(self, *, patient: bool) -> int:
        coming = self.starting * self.seats_per_environment + (self.about_to_be_free if patient else 0)
        return math.ceil(max(0, len(self.waiting) - coming) / self.seats_per_environment)

    def warmest(self) -> tuple[Environment | None, Poll | None]:
        while self.seats:
            seat = self.seats[-1]
            poll = seat.poll
            self._unpark(seat)
            if poll is not None and poll.is_connected():
                self.occupy(seat)
                return seat, poll
        return None, None

    def arrived(self, host: SharedEnvironment) -> None:
        """A worker of ``host`` has asked for an invocation.

        Raises:
            RuntimeApiError: more of them wait and work than may.
        """
        if host.finishing:
            host.finishing -= 1
            self.finishing -= 1
        if len(host.parked) + len(host.working) >= self.seats_per_environment:
            for seat in [one for one in host.parked if one.poll is None or not one.poll.is_connected()]:
                self._unpark(seat)
        if len(host.parked) + len(host.working) >= self.seats_per_environment:
            raise RuntimeApiError(
                403, "InvalidStateTransition", "More runtimes ask for invocations than the environment may have"
            )

    def park(self, seat: Seat, now: float) -> None:
        """The worker waits from now on; with it the environment, if nothing else runs there."""
        seat.host.parked.add(seat)
        self.seats.append(seat)
        self.look_at(seat.host, now)

    def occupy(self, seat: Seat) -> None:
        """The worker is about to be given an invocation."""
        seat.poll = None
        host = seat.host
        host.working.add(seat)
        if host in self.idle:
            self.idle.remove(host)
        host.state = RuntimeState.RUNNING

    def leave(self, seat: Seat) -> None:
        """The worker has none any more."""
        seat.leave()
        seat.host.working.discard(seat)

    def look_at(self, host: SharedEnvironment, now: float) -> None:
        """Perhaps nothing runs in an environment any more: then it may go after a while, whether or not its workers ask
        for more; if they do, it is idle, and may go when somebody needs its place.
        """
        if host.working:
            return
        if host.state is not RuntimeState.READY:
            host.state = RuntimeState.READY
            host.idle_since = now
        if host.parked and host not in self.idle:
            self.idle.append(host)

    def forget(self, environment: Environment) -> None:
        assert isinstance(environment, SharedEnvironment)
        self.environments.discard(environment)
        if environment.state in INITIALIZING:
            self.initialized(environment)
        if environment in self.idle:
            self.idle.remove(environment)
        for seat in list(environment.parked):
            self._unpark(seat)
        for seat in environment.working:
            seat.leave()
        self.finishing -= environment.finishing
        environment.finishing = 0

    def _unpark(self, seat: Seat) -> None:
        self.seats.remove(seat)
        seat.host.parked.discard(seat)
        if not seat.host.parked and seat.host in self.idle:
            self.idle.remove(seat.host)


def invoke_timeout() -> RuntimeApiError:
    """The answer to a worker whose invocation has timed out: its environment lives on."""
    return RuntimeApiError(410, "InvokeTimeout", "Invoke timeout")


def new_runtime_id() -> str:
    """``Lambda-Runtime-Invocation-Id``: which hand-over an answer is for."""
    return str(uuid4())
