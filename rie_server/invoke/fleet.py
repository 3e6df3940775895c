"""Places invocations: a warm environment first, otherwise a cold start, bound to whichever comes free first.

Promises: at most one invocation per environment; every accepted invocation is handed over, refused or ended by the
supervisor, exactly once; the number of environments stays within the host's cap, the longest idle going first.

Thread-safe. ``lock`` guards the records of the whole stage (fleet, supervisor and mailbox share it); it is held for
lines only, and nothing that blocks, logs or writes to a runtime happens under it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from rie_server.errors import LambdaError, ServiceException, TooManyRequestsException
from rie_server.invoke.environments import Environment, Invocation, Poll
from rie_server.invoke.pool import Pool
from rie_server.model.arn import FunctionArn
from rie_server.model.environment import RuntimeMove, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock, LogFactory

# An environment that has answered asks for more within a millisecond; one that takes longer is not waited for.
FINISHING_PATIENCE_SECONDS = 0.05
# With every environment busy and none to evict an invocation waits this long before it is throttled.
PLACEMENT_SECONDS = 60.0
SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to carry out after the lock is released."""

    starts: list[Environment] = field(default_factory=list)
    stops: list[Environment] = field(default_factory=list)

    def extend(self, other: "Plan") -> None:
        self.starts.extend(other.starts)
        self.stops.extend(other.stops)


NOTHING = Plan()
Carry = Callable[[Environment], None]


class Fleet:
    """All environments of all functions.

    Args:
        max_environments: the host's cap.
        keepalive_seconds: how long an idle environment is kept.
    """

    def __init__(self, *, clock: Clock, logs: LogFactory, max_environments: int, keepalive_seconds: float) -> None:
        self.lock = threading.Lock()
        self.environments: dict[str, Environment] = {}
        self.start: Carry  # the supervisor's, set when it is made
        self.stop: Carry
        self.on_deadline: Carry
        self._pools: dict[str, Pool] = {}
        self._clock = clock
        self._logs = logs
        self._max_environments = max_environments
        self._keepalive_seconds = keepalive_seconds
        self._starved = False
        self._closing = False

    # --- invocations ---------------------------------------------------------------------------------------------

    def submit(self, invocation: Invocation) -> None:
        """Hands the invocation to the warmest environment, or puts it into the waiting line of its deployment."""
        with self.lock:
            if not self._closing:
                pool = self._pool_of(invocation.function)
                environment, poll = self._warmest(pool)
                if environment is not None:
                    self.assign(environment, invocation)
                else:
                    pool.waiting.append(invocation)
                    plan = self._plan(pool)
        if self._closing:
            invocation.refuse(stopping())
        elif environment is not None and poll is not None:
            self.hand_over(environment, invocation, poll)
        else:
            self.carry_out(plan)

    @staticmethod
    def hand_over(environment: Environment, invocation: Invocation, poll: Poll) -> None:
        """Without the lock: gives an assigned invocation to its runtime; START comes before the handler's output."""
        environment.log.started(invocation.request.request_id, want_tail=invocation.request.want_log_tail)
        poll.deliver(invocation)

    def assign(self, environment: Environment, invocation: Invocation) -> None:
        """Under the lock: makes ``environment`` answer for ``invocation``. The caller hands over, without the lock."""
        environment.move(RuntimeMove.HAND_OVER)
        environment.invocation = invocation
        environment.last_request_id = invocation.request.request_id
        now = self._clock.monotonic()
        if not environment.bound:
            invocation.started_at = now
        environment.bound = False
        environment.deadline = invocation.started_at + environment.function.timeout_seconds
        invocation.deadline_epoch_ms = int((self._clock.now() + environment.deadline - now) * 1000)
        self.arm(environment)

    def ready(self, environment: Environment, poll: Poll) -> tuple[Invocation | None, Plan]:
        """Under the lock: the runtime waits in ``next`` and owes nothing: the oldest waiting invocation, or rest.

        Returns what the caller does without the lock: hand over the invocation, and carry out the plan.
        """
        pool = self._pool_of(environment.function)
        if pool.waiting:
            invocation = pool.waiting.popleft()
            self.assign(environment, invocation)
            return invocation, NOTHING
        if pool.retired or self._closing:
            self.bury(environment)
            return None, Plan(stops=[environment])
        environment.poll = poll
        environment.idle_since = self._clock.monotonic()
        pool.idle.append(environment)
        return None, self._feed_starved() if self._starved else NOTHING

    # --- environments --------------------------------------------------------------------------------------------

    def create(self, function: FunctionVersion, bound_to: Invocation | None = None) -> Environment:
        """Under the lock: a new environment on the books, for the waiting line or for one invocation alone."""
        environment_id = uuid4().hex
        environment = Environment(environment_id, function, self._logs.open(function, environment_id))
        pool = self._pool_of(function)
        pool.environments.add(environment)
        self.environments[environment_id] = environment
        if bound_to is None:
            pool.starting += 1
        else:
            environment.bound = True
            environment.invocation = bound_to
            bound_to.started_at = self._clock.monotonic()
        return environment

    def bury(self, environment: Environment) -> None:
        """Under the lock: takes an environment off the books. The caller stops it and then calls ``settle``."""
        pool = self._pool_of(environment.function)
        pool.forget(environment)
        environment.state = RuntimeState.STOPPED
        environment.poll = None
        environment.deadline = None
        if environment.timer is not None:
            environment.timer.cancel()
        del self.environments[environment.id]
        if pool.is_spent:
            del self._pools[environment.function.deployment_id]

    def waiting_for(self, function: FunctionVersion) -> Invocation | None:
        """Under the lock: takes the oldest invocation out of a deployment's waiting line."""
        pool = self._pool_of(function)
        return pool.waiting.popleft() if pool.waiting else None

    def pool_of(self, environment: Environment) -> Pool:
        """Under the lock: the pool of an environment that is on the books."""
        return self._pools[environment.function.deployment_id]

    def settle(self, function: FunctionVersion) -> None:
        """Starts what the waiting lines need after an environment has gone."""
        with self.lock:
            pool = self._pools.get(function.deployment_id)
            plan = self._plan(pool) if pool is not None else Plan()
            if self._starved:
                plan.extend(self._feed_starved())
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
        """Lets every environment of ``function`` go that was started for another deployment than the current one."""
        plan = Plan()
        with self.lock:
            for deployment_id, pool in list(self._pools.items()):
                if pool.function.arn == function and deployment_id != current_deployment_id:
                    pool.retired = True
                    for environment in list(pool.idle):
                        self.bury(environment)
                        plan.stops.append(environment)
        self.carry_out(plan)

    # --- upkeep --------------------------------------------------------------------------------------------------

    def begin_sweeping(self) -> None:
        """Starts the regular sweep for idle environments and for invocations that nobody can take."""
        self._clock.call_later(min(SWEEP_SECONDS, self._keepalive_seconds / 4), self._sweep)

    def close(self) -> None:
        """Takes no more invocations, refuses those that wait, and stops every environment."""
        with self.lock:
            self._closing = True
            orphans = [invocation for pool in self._pools.values() for invocation in pool.waiting]
            for pool in self._pools.values():
                pool.waiting.clear()
            stops = list(self.environments.values())
            orphans += [owed for environment in stops if (owed := environment.take_invocation())]
            for environment in stops:
                self.bury(environment)
        for invocation in orphans:
            invocation.refuse(stopping())
        self.carry_out(Plan(stops=stops))

    def _sweep(self) -> None:
        plan = Plan()
        refused: list[Invocation] = []
        with self.lock:
            now = self._clock.monotonic()
            for pool in list(self._pools.values()):
                for environment in [e for e in pool.environments if e.state is RuntimeState.READY]:
                    if environment.idle_since + self._keepalive_seconds <= now:
                        self.bury(environment)
                        plan.stops.append(environment)
                while pool.waiting and not pool.starting and pool.waiting[0].waiting_since + PLACEMENT_SECONDS <= now:
                    refused.append(pool.waiting.popleft())
            closing = self._closing
        for invocation in refused:
            invocation.refuse(throttled())
        self.carry_out(plan)
        if not closing:
            self.begin_sweeping()

    def _pool_of(self, function: FunctionVersion) -> Pool:
        pool = self._pools.get(function.deployment_id)
        if pool is None:
            pool = self._pools[function.deployment_id] = Pool(function)
        return pool

    def _warmest(self, pool: Pool) -> tuple[Environment | None, Poll | None]:
        while pool.idle:
            environment = pool.idle.pop()
            poll, environment.poll = environment.poll, None
            if poll is not None and poll.is_connected():
                return environment, poll
            # It may come back with a new connection; if it has died, news of its exit is on the way.
        return None, None

    def _plan(self, pool: Pool, *, patient: bool = True) -> Plan:
        plan = Plan()
        for _ in range(pool.missing(patient=patient)):
            if len(self.environments) >= self._max_environments:
                victim = self._longest_idle()
                if victim is None:
                    self._starved = True
                    break
                self.bury(victim)
                plan.stops.append(victim)
            plan.starts.append(self.create(pool.function))
        if pool.finishing and not pool.patience_armed and pool.missing(patient=False):
            pool.patience_armed = True
            self._clock.call_later(FINISHING_PATIENCE_SECONDS, partial(self._lose_patience, pool))
        return plan

    def _lose_patience(self, pool: Pool) -> None:
        with self.lock:
            pool.patience_armed = False
            plan = Plan() if self._closing else self._plan(pool, patient=False)
        self.carry_out(plan)

    def _feed_starved(self) -> Plan:
        self._starved = False
        fed = Plan()
        for pool in [pool for pool in self._pools.values() if pool.waiting]:
            fed.extend(self._plan(pool))
        return fed

    def _longest_idle(self) -> Environment | None:
        idle = [pool.idle[0] for pool in self._pools.values() if pool.idle]
        return min(idle, key=lambda environment: environment.idle_since, default=None)

    def carry_out(self, plan: Plan) -> None:
        """Without the lock: stops and starts what was decided under it."""
        for environment in plan.stops:
            self.stop(environment)
        for environment in plan.starts:
            self.start(environment)


def stopping() -> LambdaError:
    return ServiceException("The server is stopping.")


def throttled() -> LambdaError:
    return TooManyRequestsException("ConcurrentInvocationLimitExceeded")
