"""Random lives of ordinary, isolated, shared, provisioned and frozen environments: the books always add up.

Runtimes behave as real ones may: they answer, dawdle, crash, lose connections, come late, fail to initialize. Meanwhile
time passes, functions are updated, and provisioned concurrency is changed.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from rie_server.errors import LambdaError, RuntimeApiError
from rie_server.invoke.environments import Environment, Invocation
from rie_server.invoke.freezing import Freezer
from rie_server.invoke.pool import Pool
from rie_server.invoke.provisioning import Provisioning
from rie_server.invoke.sharing import SharedEnvironment, SharedPool
from rie_server.model.arn import FunctionArn
from rie_server.model.environment import INITIALIZING, RuntimeState
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest, InvokeResult
from tests.unit.invoke.conftest import Stage, function_version
from tests.unit.invoke.test_freezing import Later

STEPS = 400
NAMES = ("plain", "tenants", "shared", "ahead", "ahead")


class Poller:
    """One connection of a runtime that waits in ``next``."""

    def __init__(self) -> None:
        self.connected = True
        self.got: Invocation | None = None

    def is_connected(self) -> bool:
        return self.connected

    def deliver(self, invocation: Invocation) -> None:
        assert self.got is None, "one poll got two invocations"
        self.got = invocation


class Worker:
    """What asks for invocations in an environment; a shared one has several."""

    def __init__(self, environment_id: str) -> None:
        self.environment_id = environment_id
        self.poll: Poller | None = None


class World(Stage):
    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, max_environments=6, concurrency_limit=30)
        self.random = random.Random(seed)
        self.versions = dict.fromkeys(NAMES, 1)
        self.front_controller._catalog = self
        self.provisioning = Provisioning(
            fleet=self.fleet, catalog=self, concurrency=self.front_controller.concurrency, clock=self.clock
        )
        self.later = Later()
        if seed % 2:
            self.fleet.freezer = Freezer(lock=self.fleet.lock, threads=self.later)
        self.fleet.begin_sweeping()
        self.workers: dict[str, list[Worker]] = {}
        self.tenants: dict[str, str | None] = {}
        self.asked = 0
        self.answered: dict[str, InvokeResult] = {}
        self.refused = 0

    # --- the catalog ---

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        name = function.name
        version = replace(function_version(f"{name}-{self.versions[name]}", name=name), version="1")
        return replace(version, tenant_isolated=name == "tenants", max_concurrency=3 if name == "shared" else None)

    def allows_recursion(self, function: FunctionArn) -> bool:
        return False

    # --- what happens ---

    def call(self) -> None:
        name = self.random.choice(NAMES)
        tenant_id = self.random.choice("abc") if name == "tenants" else None
        self.asked += 1
        request = InvokeRequest(
            function=FunctionArn(region="us-east-1", account="000000000000", name=name),
            payload=b"{}",
            request_id=str(self.asked),
            tenant_id=tenant_id,
        )

        def keep(result: InvokeResult) -> None:
            assert request.request_id not in self.answered, "an invocation was answered twice"
            self.answered[request.request_id] = result

        try:
            self.front_controller.invoke(request, keep)
        except LambdaError:
            self.refused += 1

    def environments(self) -> list[Environment]:
        return list(self.fleet.roster.environments.values())

    def ask(self) -> None:
        """Some worker of some environment asks for an invocation, for the first time, after an answer, or once more."""
        if not self.environments():
            return
        environment = self.random.choice(self.environments())
        crew = self.workers.setdefault(environment.id, [])
        most = 3 if environment.is_shared else 1
        if len(crew) < most:
            crew.append(Worker(environment.id))
        worker = self.random.choice(crew)
        if worker.poll is not None and (worker.poll.got is not None or environment.is_shared):
            return
        worker.poll = Poller()
        try:
            self.mailbox.next(environment.id, worker.poll)
        except RuntimeApiError as denied:
            assert denied.status == 403  # noqa: PT017 - that is all that may come of it
            worker.poll = None

    def answer(self) -> None:
        busy = [one for crew in self.workers.values() for one in crew if one.poll is not None and one.poll.got]
        if not busy:
            return
        worker = self.random.choice(busy)
        assert worker.poll is not None
        invocation, worker.poll = worker.poll.got, None
        assert invocation is not None
        tenant_id = invocation.request.tenant_id
        assert self.tenants.setdefault(worker.environment_id, tenant_id) == tenant_id, (
            "an environment served two tenants"
        )
        answer = self.mailbox.response if self.random.random() < 0.8 else self.mailbox.error
        runtime_id = invocation.runtime_id if self.random.random() < 0.5 else None
        try:
            answer(worker.environment_id, invocation.request.request_id, b"1", runtime_id=runtime_id)
        except RuntimeApiError as late:
            assert late.status in (400, 410)  # noqa: PT017 - the invocation has ended without it

    def crash(self) -> None:
        alive = [one for one in self.executor.started if not one.stopped]
        if alive:
            self.random.choice(alive).exit(status=1)

    def lose_connection(self) -> None:
        waiting = [one for crew in self.workers.values() for one in crew if one.poll is not None and not one.poll.got]
        if waiting:
            worker = self.random.choice(waiting)
            assert worker.poll is not None
            worker.poll.connected = False
            worker.poll = None

    def provision(self) -> None:
        wanted: Mapping[str, Mapping[str, int]] = self.random.choice(({}, {"1": {"1": 1}}, {"1": {"1": 2}}))
        self.provisioning.provision(FunctionArn(region="us-east-1", account="000000000000", name="ahead"), wanted)

    def update(self) -> None:
        name = self.random.choice(NAMES)
        self.versions[name] += 1
        arn = FunctionArn(region="us-east-1", account="000000000000", name=name, qualifier="1")
        self.fleet.retire(arn, self.resolve(arn).deployment_id)
        if name == "ahead":
            self.provisioning.provision(arn.unqualified, {})

    def wait(self) -> None:
        self.clock.advance(self.random.choice((0.01, 0.1, 1.0, 2.0, 11.0, 61.0)))

    def step(self) -> None:
        what = self.random.choices(
            (self.call, self.ask, self.answer, self.wait, self.crash, self.lose_connection, self.provision,
             self.update, self.later.work),
            weights=(10, 20, 14, 4, 1, 1, 1, 0.5, 8),
        )  # fmt: skip
        what[0]()
        self.check()

    # --- what always holds ---

    def check(self) -> None:
        roster = self.fleet.roster
        assert len(roster.environments) <= 6
        assert {one for pool in roster.pools.values() for one in pool.environments} == set(self.environments())
        for key, pool in roster.pools.items():
            assert pool.key == key
            assert not pool.is_spent
            self.check_pool(pool)
        concurrency = self.front_controller.concurrency
        assert concurrency.running == self.asked - self.refused - len(self.answered)
        assert 0 <= concurrency.unreserved_running <= concurrency.running

    def check_pool(self, pool: Pool) -> None:
        initializing = [one for one in pool.environments if one.state in INITIALIZING]
        assert pool.starting == sum(not one.bound and not one.provisioned for one in initializing)
        assert pool.provisioning == sum(one.provisioned for one in initializing)
        if isinstance(pool, SharedPool):
            hosts = [one for one in pool.environments if isinstance(one, SharedEnvironment)]
            assert pool.finishing == sum(one.finishing for one in hosts)
            assert {seat for one in hosts for seat in one.parked} == set(pool.seats)
            assert set(pool.idle) == {one for one in hosts if one.is_idle}
            assert all(one.state is RuntimeState.READY for one in pool.idle)
            for one in hosts:
                assert len(one.parked) + len(one.working) <= 3
                assert all(seat.invocation is not None and seat.deadline is not None for seat in one.working)
            return
        assert pool.finishing == sum(one.state is RuntimeState.RESPONSE_SENT for one in pool.environments)
        resting = [one for one in pool.environments if one.state is RuntimeState.READY and one.poll is not None]
        assert set(pool.idle) == {one for one in resting if not one.provisioned}
        assert set(pool.standing) == {one for one in resting if one.provisioned}
        if pool.allotment is not None:
            assert sum(one.provisioned for one in pool.environments) <= pool.allotment.wanted
        else:
            assert not any(one.provisioned for one in pool.environments)

    def end(self) -> None:
        self.fleet.close()
        self.later.work()
        assert len(self.answered) == self.asked - self.refused, "every invocation has its answer"
        assert self.front_controller.concurrency.running == 0
        assert self.front_controller.concurrency.unreserved_running == 0
        assert all(one.stopped for one in self.executor.started)
        assert self.fleet.roster.environments == {}


@pytest.mark.parametrize("seed", range(12))
def test_the_books_add_up_whatever_happens(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed)
    for _ in range(STEPS):
        world.step()
    world.end()
