"""Provisioned concurrency carried out: environments that stand ready before anybody calls.

Fills the registry's ``Provisioner``. What a version has to keep is its pool's allotment; the roster fills it, after
every loss and at every sweep, and this module says how much it is. Whoever invokes the version, by its number or by an
alias, is given such an environment first; when all of them work, an ordinary one is started, as without.

Thread-safe and never blocking; shares the fleet's lock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from rie_server.errors import LambdaError
from rie_server.invoke.allotment import Allotment
from rie_server.invoke.concurrency import Concurrency
from rie_server.invoke.environments import Environment
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.pool import Pool
from rie_server.invoke.roster import Plan
from rie_server.model.arn import FunctionArn
from rie_server.model.environment import RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.model.provisioned_concurrency import ProvisioningStatus, Shares, Standing
from rie_server.ports import Clock, FunctionCatalog

# A version that cannot be run yet, because the server has just begun to load functions, is asked for again after this.
UNKNOWN_VERSION_SECONDS = 0.25
# AWS has no such host, and no words for it.
TOO_MANY = "This host has {most} execution environments at most, and more than that are provisioned."


@dataclass(slots=True)
class _Configured:
    """One configuration: how many of which versions, and whether all of them have stood ready since it was made."""

    shares: Shares
    was_ready: bool = False

    @property
    def requested(self) -> int:
        return sum(self.shares.values())


class Provisioning:
    def __init__(self, *, fleet: Fleet, catalog: FunctionCatalog, concurrency: Concurrency, clock: Clock) -> None:
        self._fleet = fleet
        self._catalog = catalog
        self._concurrency = concurrency
        self._clock = clock
        # By unqualified function and qualifier.
        self._configured: dict[FunctionArn, dict[str, _Configured]] = {}

    def provision(self, function: FunctionArn, wanted: Mapping[str, Shares]) -> None:
        """See ``Provisioner``. Environments that are not wanted any more go; those that work finish first."""
        with self._fleet.lock:
            before = self._configured.get(function, {})
            configured = {
                qualifier: before[qualifier]
                if qualifier in before and before[qualifier].shares == shares
                else _Configured(shares)
                for qualifier, shares in wanted.items()
            }
            if configured:
                self._configured[function] = configured
            else:
                self._configured.pop(function, None)
        self._concurrency.provide(function, sum(one.requested for one in configured.values()))
        self._apply(function)

    def standing(self, function: FunctionArn) -> Standing:
        """See ``Provisioner``."""
        with self._fleet.lock:
            configured = self._configured.get(function.unqualified, {}).get(function.qualifier or "")
            if configured is None:
                return Standing()
            return self._standing(configured, self._pools(function.unqualified, configured.shares))

    def provisioned_by_function(self) -> Mapping[FunctionArn, tuple[int, int]]:
        """See ``observing.ProvisionedCounts``."""
        with self._fleet.lock:
            found: dict[FunctionArn, tuple[int, int]] = {}
            for function, configured in self._configured.items():
                for qualifier, one in configured.items():
                    standing = self._standing(one, self._pools(function, one.shares))
                    busy = standing.allocated - standing.available
                    found[function.qualified(qualifier)] = (busy, standing.allocated)
            return found

    # --- carrying out -------------------------------------------------------------------------------------------------

    def _apply(self, function: FunctionArn) -> None:
        """Brings the pools of a function to what is configured for it."""
        with self._fleet.lock:
            totals = _totals(self._configured.get(function, {}).values())
        versions, unknown = self._resolved(function, totals)
        with self._fleet.lock:
            if _totals(self._configured.get(function, {}).values()) != totals:
                return  # somebody has configured something else meanwhile, and applies that
            plan = Plan()
            for version, runnable in versions.items():
                plan.extend(self._allot(self._fleet.roster.pool_of(runnable), totals[version]))
            for pool in self._allotted(function):
                if pool.function.version not in totals:
                    plan.extend(self._allot(pool, 0))
        self._fleet.carry_out(plan)
        if unknown:
            self._clock.call_later(UNKNOWN_VERSION_SECONDS, partial(self._apply, function))

    def _resolved(self, function: FunctionArn, versions: Iterable[str]) -> tuple[dict[str, FunctionVersion], bool]:
        """What runs for each version, and whether some cannot be run now."""
        found: dict[str, FunctionVersion] = {}
        unknown = False
        for version in versions:
            try:
                found[version] = self._catalog.resolve(function.qualified(version))
            except LambdaError:
                unknown = True
        return found, unknown

    def _allot(self, pool: Pool, wanted: int) -> Plan:
        """Under the lock: a pool keeps so many from now on."""
        roster = self._fleet.roster
        if wanted:
            if pool.allotment is None or pool.allotment.wanted != wanted:
                pool.allotment = Allotment(wanted)
        else:
            pool.allotment = None
        plan = Plan()
        for environment in _surplus(pool, wanted):
            pool.release(environment)
            if environment.invocation is None and environment.state is not RuntimeState.RESPONSE_SENT:
                roster.bury(environment)
                plan.stops.append(environment)
        plan.extend(roster.refill(pool))
        roster.drop_spent(pool)
        if plan.stops and roster.starved:
            plan.extend(roster.feed_starved())
        return plan

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def _total(self) -> int:
        """Environments of all configurations together."""
        return sum(one.requested for configured in self._configured.values() for one in configured.values())

    def _allotted(self, function: FunctionArn) -> list[Pool]:
        pools = self._fleet.roster.pools.values()
        return [pool for pool in pools if pool.allotment is not None and pool.function.arn == function]

    def _pools(self, function: FunctionArn, shares: Shares) -> list[Pool]:
        return [pool for pool in self._allotted(function) if pool.function.version in shares]

    def _standing(self, configured: _Configured, pools: list[Pool]) -> Standing:
        allocated = sum(pool.provisioned_environments() for pool in pools)
        available = sum(len(pool.standing) for pool in pools)
        configured.was_ready = configured.was_ready or allocated >= configured.requested
        failures = [pool.allotment.failure for pool in pools if pool.allotment and pool.allotment.failure]
        reason = failures[0] if failures else None
        if reason is None and not configured.was_ready and self._total > self._fleet.roster.max_environments:
            reason = TOO_MANY.format(most=self._fleet.roster.max_environments)
        if reason is not None:
            return Standing(allocated=allocated, available=available, status=ProvisioningStatus.FAILED, reason=reason)
        status = ProvisioningStatus.READY if configured.was_ready else ProvisioningStatus.IN_PROGRESS
        return Standing(allocated=allocated, available=available, status=status)


def _totals(configured: Iterable[_Configured]) -> dict[str, int]:
    """How many environments of each version; two qualifiers never share one."""
    return {version: number for one in configured for version, number in one.shares.items()}


def _surplus(pool: Pool, wanted: int) -> list[Environment]:
    """Which provisioned environments are too many: idle ones first, then those that initialize, then the busy."""
    order = {RuntimeState.READY: 0, RuntimeState.STARTED: 1, RuntimeState.INIT_ERROR: 1}
    provisioned = sorted((one for one in pool.environments if one.provisioned), key=lambda one: order.get(one.state, 2))
    return provisioned[: max(0, len(provisioned) - wanted)]
