"""What the workers of shared environments do: they sit down, answer, are late. See ``sharing`` for what a seat is.

An environment that crashes fails all of its invocations; one that is late fails alone, and the others go on.
Thread-safe and never blocking; shares the fleet's lock.
"""

from collections.abc import Callable

from rie_server.errors import RuntimeApiError
from rie_server.invoke.answers import Answers
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.roster import NOTHING, Plan
from rie_server.invoke.sharing import Seat, SharedEnvironment
from rie_server.model.environment import RuntimeMove, RuntimeState
from rie_server.model.function_errors import timed_out


class Seating:
    """
    Args:
        end_init: called under the lock when an environment's first worker asks for an invocation.
    """

    def __init__(self, *, fleet: Fleet, answers: Answers, end_init: Callable[[Environment], None]) -> None:
        self._fleet = fleet
        self._answers = answers
        self._end_init = end_init

    @staticmethod
    def hold(host: Environment, poll: Poll) -> None:
        """Under the lock: a worker asks while extensions still initialize; it sits down when they have finished."""
        assert isinstance(host, SharedEnvironment)
        host.early.append(poll)

    @staticmethod
    def held(host: Environment) -> list[Poll]:
        """Under the lock: takes all that were held, as many as there may be."""
        assert isinstance(host, SharedEnvironment)
        alive = [poll for poll in host.early if poll.is_connected()]
        host.early.clear()
        return alive[-host.pool.seats_per_environment :]

    def sit_down(self, host: Environment, poll: Poll) -> tuple[Seat, Invocation | None, Plan]:
        """Under the lock: a worker asks for an invocation: the oldest that waits, or rest.

        Returns the worker's seat, and what the caller does without the lock: hand over the invocation, carry out the
        plan.
        """
        assert isinstance(host, SharedEnvironment)
        fleet, pool, roster = self._fleet, host.pool, self._fleet.roster
        if host.state is RuntimeState.STARTED:
            host.move(RuntimeMove.NEXT)
            host.idle_since = fleet.keepalive_clock.monotonic()
            self._end_init(host)
        elif host.state is RuntimeState.INIT_ERROR:
            raise RuntimeApiError(403, "InvalidStateTransition", "The environment's initialization has failed")
        pool.arrived(host)
        seat = Seat(host, poll)
        makes_room = roster.starved and not host.working and roster.somebody_starves(pool)
        if pool.waiting and not makes_room:
            invocation = pool.waiting.popleft()
            pool.occupy(seat)
            fleet.assign(seat, invocation)
            return seat, invocation, NOTHING
        is_leaving = pool.retired or fleet.is_closing or makes_room
        if is_leaving and not host.working:
            roster.bury(host)
            return seat, None, roster.plan_after([host])
        if not is_leaving:
            pool.park(seat, fleet.keepalive_clock.monotonic())
        return seat, None, roster.feed_starved() if roster.starved else NOTHING

    @staticmethod
    def addressed(host: Environment, request_id: str, runtime_id: str | None) -> Seat:
        """Under the lock: the seat of the worker that answers; raises as ``SharedEnvironment.seat_of`` does."""
        assert isinstance(host, SharedEnvironment)
        return host.seat_of(request_id, runtime_id)

    def answered(self, seat: Environment) -> None:
        """Under the lock: a worker has answered; its pool counts it among those that finish."""
        assert isinstance(seat, Seat)
        seat.host.finishing += 1
        seat.host.pool.leave(seat)
        seat.host.pool.look_at(seat.host, self._fleet.keepalive_clock.monotonic())

    @staticmethod
    def came_late(seat: Environment, invocation: Invocation) -> None:
        """Under the lock: a worker has ended a stream that had timed out, and is about to ask for more."""
        assert isinstance(seat, Seat)
        seat.host.late.pop(invocation.runtime_id or "", None)

    def overdue(self, seat: Environment) -> None:
        """A worker's invocation has timed out. Its environment lives, unless no worker of it is left."""
        assert isinstance(seat, Seat)
        fleet, host = self._fleet, seat.host
        stops: list[Environment] = []
        with fleet.lock:
            invocation = seat.take_invocation()
            if invocation is None:
                return
            host.pool.leave(seat)
            host.late[invocation.runtime_id or ""] = invocation.request.request_id
            if host.is_stuck or (host.pool.retired and not host.working):
                fleet.roster.bury(host)
                stops.append(host)
            else:
                host.pool.look_at(host, fleet.keepalive_clock.monotonic())
        error = timed_out(host.function.timeout_seconds)
        self._answers.fail(seat, invocation, error, error.payload(invocation.request.request_id))
        for environment in stops:
            fleet.stop(environment)
        fleet.settle(host.pool)
