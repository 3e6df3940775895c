"""The books of the stage: which environments there are, who waits, and what follows from it.

Decides and records; starts and stops nothing. Guarded by the fleet's lock, like everything that it holds.
"""

from dataclasses import dataclass, field
from uuid import uuid4

from rie_server.invoke.environments import Environment, Invocation
from rie_server.invoke.pool import Pool
from rie_server.invoke.sharing import SharedPool
from rie_server.model.environment import INITIALIZING, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock, LogFactory

# A busy function gives up an environment to one that has none and has waited this long.
STARVATION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to carry out after the lock is released. ``NOTHING`` is shared: only a plan of one's own is extended.

    Attributes:
        rests: idle environments that are to be frozen.
    """

    starts: list[Environment] = field(default_factory=list)
    stops: list[Environment] = field(default_factory=list)
    rests: list[Environment] = field(default_factory=list)

    def extend(self, other: "Plan") -> None:
        self.starts.extend(other.starts)
        self.stops.extend(other.stops)
        self.rests.extend(other.rests)


NOTHING = Plan()


class Roster:
    """All environments of all functions.

    Two tenants of a function that keeps them apart have pools of their own, so no environment ever serves both.

    Attributes:
        starved: somebody waits for whom there is no room.
        max_environments: the most there may be.
    """

    def __init__(self, *, clock: Clock, logs: LogFactory, max_environments: int) -> None:
        self.environments: dict[str, Environment] = {}
        self.pools: dict[str, Pool] = {}
        self.starved = False
        self._clock = clock
        self._logs = logs
        self.max_environments = max_environments

    def pool_of(self, function: FunctionVersion, tenant_id: str | None = None) -> Pool:
        """The pool of a function's deployment, or of one tenant there, made when it is asked for."""
        key = function.deployment_id if tenant_id is None else f"{function.deployment_id} {tenant_id}"
        pool = self.pools.get(key)
        if pool is None:
            make = Pool if function.max_concurrency is None else SharedPool
            pool = self.pools[key] = make(key, function)
        return pool

    def create(self, pool: Pool, bound_to: Invocation | None = None, *, provisioned: bool = False) -> Environment:
        """A new environment on the books: for the waiting line, for one invocation alone, or ahead of any."""
        environment_id = uuid4().hex
        log = self._logs.open(pool.function, environment_id)
        environment = pool.new_environment(environment_id, log, provisioned=provisioned)
        self.environments[environment_id] = environment
        if bound_to is not None:
            environment.bound = True
            environment.invocation = bound_to
            bound_to.started_at = self._clock.monotonic()
        pool.expect(environment)
        return environment

    def bury(self, environment: Environment) -> None:
        """Takes an environment off the books. The caller stops it and then calls ``settle``."""
        pool = environment.pool
        if environment.provisioned and pool.allotment is not None:
            initialized = environment.state not in INITIALIZING
            has_served = environment.last_request_id is not None
            pool.allotment.lost(self._clock.monotonic(), initialized=initialized, has_served=has_served)
        pool.forget(environment)
        environment.state = RuntimeState.STOPPED
        environment.poll = None
        environment.deadline = None
        if environment.timer is not None:
            environment.timer.cancel()
        del self.environments[environment.id]
        self.drop_spent(pool)

    def drop_spent(self, pool: Pool) -> None:
        """Forgets a pool that has nothing left."""
        if pool.is_spent:
            self.pools.pop(pool.key, None)

    def plan(self, pool: Pool, *, patient: bool = True) -> Plan:
        """What a pool's waiting line needs: starts, at the cap in place of the longest idle.

        While somebody starves nobody is idle: whoever becomes so feeds the starved. So there is nothing to look for.
        """
        missing = pool.missing(patient=patient)
        if not missing or (self.starved and len(self.environments) >= self.max_environments):
            return NOTHING
        plan = Plan()
        for _ in range(missing):
            if not self._make_room(plan):
                self.starved = True
                break
            plan.starts.append(self.create(pool))
        return plan

    def refill(self, pool: Pool) -> Plan:
        """What a pool's allotment lacks: starts, at the cap in place of the longest idle of all."""
        allotment = pool.allotment
        if allotment is None or pool.retired or self._clock.monotonic() < allotment.not_before:
            return NOTHING
        plan = Plan()
        for _ in range(allotment.wanted - sum(one.provisioned for one in pool.environments)):
            if not self._make_room(plan):
                break  # a later sweep finds some
            plan.starts.append(self.create(pool, provisioned=True))
        return plan

    def plan_after(self, stops: list[Environment]) -> Plan:
        """What follows from environments that were just buried: somebody may have waited for their room."""
        plan = Plan(stops=stops)
        if stops and self.starved:
            plan.extend(self.feed_starved())
        return plan

    def feed_starved(self) -> Plan:
        """Tries again for everybody who waits: first those who have no environment, the longest waiting first."""
        self.starved = False
        fed = Plan()
        waiting = [pool for pool in self.pools.values() if pool.waiting]
        for pool in sorted(waiting, key=lambda pool: (bool(pool.environments), pool.waiting[0].waiting_since)):
            fed.extend(self.plan(pool))
        return fed

    def somebody_starves(self, pool: Pool) -> bool:
        """Whether an invocation of another deployment, which has no environment at all, has waited long enough."""
        if len(self.pools) == 1:
            return False
        patient_until = self._clock.monotonic() - STARVATION_SECONDS
        return any(
            other.waiting and not other.environments and other.waiting[0].waiting_since <= patient_until
            for other in self.pools.values()
            if other is not pool
        )

    def _make_room(self, plan: Plan) -> bool:
        """Lets one more environment be, if need be in place of the longest idle; False where there is none."""
        if len(self.environments) < self.max_environments:
            return True
        victim = self._longest_idle()
        if victim is None:
            return False
        self.bury(victim)
        plan.stops.append(victim)
        return True

    def _longest_idle(self) -> Environment | None:
        idle = [pool.idle[0] for pool in self.pools.values() if pool.idle]
        return min(idle, key=lambda environment: environment.idle_since, default=None)
