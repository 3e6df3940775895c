"""Places invocations: a warm environment first, otherwise a cold start, bound to whichever comes free first.

Promises: at most one invocation per environment; every accepted invocation is handed over, refused or ended by the
supervisor, exactly once; the number of environments stays within the host's cap, the longest idle going first.

Thread-safe. ``lock`` guards the records of the whole stage (fleet, supervisor and mailbox share it); it is held for
lines only, and nothing that blocks, logs or writes to a runtime happens under it.
"""

import threading
from collections.abc import Callable
from functools import partial

from rie_server.errors import LambdaError, ServiceException, TooManyRequestsException
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.invoke.freezing import Freezer
from rie_server.invoke.pool import Pool
from rie_server.invoke.roster import NOTHING, Plan, Roster
from rie_server.invoke.sharing import new_runtime_id
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.environment import RuntimeMove, RuntimeState
from rie_server.ports import Clock, LogFactory

# An environment that has answered asks for more within a millisecond; one that takes longer is not waited for.
FINISHING_PATIENCE_SECONDS = 0.05
# With every environment busy and none to evict an invocation waits this long before it is throttled.
PLACEMENT_SECONDS = 60.0
SWEEP_SECONDS = 1.0
# Nobody looks for idle environments more often than this, and sums of floats are a hair away from what they should be.
SHORTEST_REAP_SECONDS = 0.05
HAIR_SECONDS = 1e-6

Carry = Callable[[Environment], None]


class Fleet:
    """
    Args:
        clock: real time, for deadlines and for whoever waits here.
        keepalive_clock: what idle environments age by; None for ``clock``.
        max_environments: the host's cap.
        keepalive_seconds: how long an idle environment is kept.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        logs: LogFactory,
        max_environments: int,
        keepalive_seconds: float,
        keepalive_clock: Clock | None = None,
    ) -> None:
        self.lock = threading.Lock()
        self.roster = Roster(clock=clock, logs=logs, max_environments=max_environments)
        self.start: Carry  # the supervisor's, set when it is made
        self.stop: Carry
        self.on_deadline: Carry
        self.freezer: Freezer | None = None  # set where environments are frozen between invocations
        self._clock = clock
        self.keepalive_clock = keepalive_clock or clock
        self._keepalive_seconds = keepalive_seconds
        self.is_closing = False

    # --- invocations ---------------------------------------------------------------------------------------------

    def submit(self, invocation: Invocation) -> None:
        """Hands the invocation to the warmest environment, or puts it into the waiting line of its deployment."""
        plan, environment, poll = NOTHING, None, None
        with self.lock:
            closing = self.is_closing
            if not closing:
                function = invocation.function
                tenant_id = invocation.request.tenant_id if function.tenant_isolated else None
                pool = self.roster.pool_of(function, tenant_id)
                environment, poll = pool.warmest()
                if environment is not None:
                    self.assign(environment, invocation)
                else:
                    pool.waiting.append(invocation)
                    plan = self.roster.plan(pool)
                    self._arm_patience(pool)
        if environment is not None and poll is not None:
            self.hand_over(environment, invocation, poll)
        elif closing:
            invocation.refuse(stopping())
        else:
            self.carry_out(plan)

    def hand_over(self, environment: Environment, invocation: Invocation, poll: Poll) -> None:
        """Without the lock: gives an assigned invocation to its runtime, which is thawed first. What initialization has
        printed comes before START, and START before what the handler prints.
        """
        if self.freezer is not None and environment.frost is not None and not environment.frost.is_thawed:
            self.freezer.when_thawed(environment, partial(self.hand_over, environment, invocation, poll))
            return
        if self.freezer is not None and environment.invocation is not invocation:
            return  # it timed out, or its environment ended, before the thaw
        if environment.init_duration_ms is not None and environment.running is not None:
            environment.running.flush_output()
        invocation.tell_start(environment.log)
        if environment.extensions is not None:
            environment.extensions.deliver()
        poll.deliver(invocation)

    def assign(self, environment: Environment, invocation: Invocation) -> None:
        """Under the lock: makes ``environment`` answer for ``invocation``. The caller hands over, without the lock."""
        environment.move(RuntimeMove.HAND_OVER)
        if environment.frost is not None:
            environment.frost.wanted = False
        environment.invocation = invocation
        environment.last_request_id = invocation.request.request_id
        now = self._clock.monotonic()
        if not environment.bound:
            invocation.started_at = now
        environment.bound = False
        environment.deadline = invocation.started_at + environment.function.timeout_seconds
        invocation.deadline_epoch_ms = int((self._clock.now() + environment.deadline - now) * 1000)
        if environment.extensions is not None:
            environment.extensions.invoke(invocation)
        elif environment.is_seat:
            invocation.runtime_id = new_runtime_id()
        self.arm(environment)

    def ready(self, environment: Environment, poll: Poll) -> tuple[Invocation | None, Plan]:
        """Under the lock: the runtime waits in ``next`` and owes nothing: the oldest waiting invocation, or rest.

        Returns what the caller does without the lock: hand over the invocation, and carry out the plan.
        """
        pool = environment.pool
        makes_room = self.roster.starved and not environment.provisioned and self.roster.somebody_starves(pool)
        if pool.waiting and not makes_room:
            invocation = pool.waiting.popleft()
            self.assign(environment, invocation)
            return invocation, NOTHING
        if pool.retired or self.is_closing or makes_room:
            self.roster.bury(environment)
            return None, self.roster.plan_after([environment])
        environment.poll = poll
        environment.idle_since = self.keepalive_clock.monotonic()
        pool.rest(environment)
        plan = self.roster.feed_starved() if self.roster.starved else NOTHING
        if self.freezer is not None and environment.running is not None:
            self.freezer.want_frozen(environment)
            plan = Plan(starts=plan.starts, stops=plan.stops, rests=[environment])
        return None, plan

    # --- environments --------------------------------------------------------------------------------------------

    @staticmethod
    def who_waits_for(environment: Environment) -> Invocation | None:
        """Under the lock: takes the oldest invocation out of the waiting line that an initializing environment was
        started for, if it was.
        """
        waiting = environment.pool.waiting
        return waiting.popleft() if waiting and not environment.provisioned else None

    def settle(self, pool: Pool) -> None:
        """Starts what the waiting lines need after an environment has gone."""
        with self.lock:
            plan = Plan()
            plan.extend(self.roster.plan(pool))
            if pool.allotment is not None and not self.is_closing:
                plan.extend(self.roster.refill(pool))
            if self.roster.starved:
                plan.extend(self.roster.feed_starved())
        self.carry_out(plan)

    def arm(self, environment: Environment) -> None:
        """Under the lock: sees to it that ``on_deadline`` is called when the environment's deadline has passed.

        One timer per environment, moved only when a deadline falls before it: a warm invocation costs no timer.
        """
        if environment.deadline is None:
            return
        if environment.timer is not None:
            if environment.timer_due <= environment.deadline:
                return
            environment.timer.cancel()
        environment.timer_due = environment.deadline
        seconds = max(0.0, environment.deadline - self._clock.monotonic())
        environment.timer = self._clock.call_later(seconds, partial(self.on_deadline, environment))

    def retire(self, function: FunctionArn, current_deployment_id: str | None) -> None:
        """Lets every environment of a version of ``function`` (none: ``$LATEST``) go that was started for another
        deployment than the current one.
        """
        key = str(function.unqualified), function.qualifier or LATEST
        stops: list[Environment] = []
        with self.lock:
            for pool in list(self.roster.pools.values()):
                if pool.function.key == key and pool.function.deployment_id != current_deployment_id:
                    pool.retired = True
                    stops += (*pool.standing, *pool.idle)
            for environment in stops:
                self.roster.bury(environment)
            plan = self.roster.plan_after(stops)
        self.carry_out(plan)

    # --- upkeep --------------------------------------------------------------------------------------------------

    def is_settled(self) -> bool:
        """See ``observing.Settling``: an environment that has answered is idle from the moment it asks for more."""
        with self.lock:
            return not any(pool.finishing for pool in self.roster.pools.values())

    def begin_sweeping(self) -> None:
        """Begins to look regularly for environments idle too long, and for invocations that nobody can take."""
        self._reap_in(self._keepalive_seconds)
        self._clock.call_later(SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Takes no more invocations, refuses those that wait, and stops every environment."""
        with self.lock:
            self.is_closing = True
            orphans = [invocation for pool in self.roster.pools.values() for invocation in pool.waiting]
            for pool in self.roster.pools.values():
                pool.waiting.clear()
            stops = list(self.roster.environments.values())
            orphans += [owed for environment in stops for _, owed in environment.take_invocations()]
            for environment in stops:
                self.roster.bury(environment)
        for invocation in orphans:
            invocation.refuse(stopping())
        self.carry_out(Plan(stops=stops))

    def _sweep(self) -> None:
        """Throttles whoever has waited too long for room, and makes up for what provisioned concurrency lacks."""
        refused: list[Invocation] = []
        plan = Plan()
        with self.lock:
            now = self._clock.monotonic()
            for pool in list(self.roster.pools.values()):
                while pool.waiting and not pool.starting and pool.waiting[0].waiting_since + PLACEMENT_SECONDS <= now:
                    refused.append(pool.waiting.popleft())
                if pool.allotment is not None and not self.is_closing:
                    plan.extend(self.roster.refill(pool))
                self.roster.drop_spent(pool)
            closing = self.is_closing
        self.carry_out(plan)
        for invocation in refused:
            invocation.refuse(throttled())
        if not closing:
            self._clock.call_later(SWEEP_SECONDS, self._sweep)

    def _reap_in(self, seconds: float) -> None:
        self.keepalive_clock.call_later(max(seconds, SHORTEST_REAP_SECONDS), self._reap)

    def _reap(self) -> None:
        """Stops what has been idle too long, and comes back when the next one may be."""
        with self.lock:
            idle_limit = self.keepalive_clock.monotonic() - self._keepalive_seconds + HAIR_SECONDS
            ready = [
                one
                for one in self.roster.environments.values()
                if one.state is RuntimeState.READY and not one.provisioned
            ]
            stops = [one for one in ready if one.idle_since <= idle_limit]
            for environment in stops:
                self.roster.bury(environment)
            plan = self.roster.plan_after(stops)
            # Whoever becomes idle after this is due later than the oldest of these.
            oldest = min((one.idle_since for one in ready if one.idle_since > idle_limit), default=None)
            closing = self.is_closing
        self.carry_out(plan)
        if not closing:
            self._reap_in(self._keepalive_seconds if oldest is None else oldest - idle_limit)

    def _arm_patience(self, pool: Pool) -> None:
        if not pool.patience_armed and pool.waiting and pool.about_to_be_free and pool.missing(patient=False):
            pool.patience_armed = True
            self._clock.call_later(FINISHING_PATIENCE_SECONDS, partial(self._lose_patience, pool))

    def _lose_patience(self, pool: Pool) -> None:
        plan = NOTHING
        with self.lock:
            pool.patience_armed = False
            if not self.is_closing:
                plan = self.roster.plan(pool, patient=False)
                self._arm_patience(pool)
        self.carry_out(plan)

    def carry_out(self, plan: Plan) -> None:
        """Without the lock: stops and starts what was decided under it."""
        for environment in plan.stops:
            self.stop(environment)
        for environment in plan.starts:
            self.start(environment)
        if self.freezer is not None:
            for environment in plan.rests:
                self.freezer.advance(environment)


def stopping() -> LambdaError:
    return ServiceException("The server is stopping.")


def throttled() -> LambdaError:
    return TooManyRequestsException("ConcurrentInvocationLimitExceeded")
