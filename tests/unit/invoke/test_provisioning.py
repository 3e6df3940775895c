"""Environments that stand ready before anybody calls."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ResourceConflictException, TooManyRequestsException
from rie_server.invoke.provisioning import TOO_MANY, Provisioning
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest, InvokeResult
from tests.unit.invoke.conftest import ARN, Runtime, Stage, function_version


class Versions:
    """A catalog in which ``orders`` has the versions 1 and 2, and ``live`` is what a test says."""

    def __init__(self) -> None:
        self.alias = "1"
        self.loading = False

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        if self.loading:
            raise ResourceConflictException("Pending")
        version = self.alias if function.qualifier == "live" else function.qualifier or LATEST
        return replace(function_version(f"d{version}", name=function.name), version=version)

    def allows_recursion(self, function: FunctionArn) -> bool:
        return False


class Provisioned(Stage):
    """The stage with a provisioner, and runtimes that ask for work as soon as they are started."""

    def __init__(self, tmp_path: Path, **limits: int) -> None:
        super().__init__(tmp_path, **limits)
        self.versions = Versions()
        self.front_controller._catalog = self.versions
        self.provisioning = Provisioning(
            fleet=self.fleet,
            catalog=self.versions,
            concurrency=self.front_controller.concurrency,
            clock=self.clock,
        )
        self.fleet.begin_sweeping()

    def provision(self, **wanted: Mapping[str, int]) -> None:
        self.provisioning.provision(ARN, wanted)

    def call(self, request_id: str, qualifier: str | None = "live") -> None:
        request = InvokeRequest(function=replace(ARN, qualifier=qualifier), payload=b"{}", request_id=request_id)

        def keep(result: InvokeResult) -> None:
            self.results[request_id] = result

        self.front_controller.invoke(request, keep)

    def ready(self) -> list[Runtime]:
        """Every environment that has been started so far and has not asked for work does so."""
        fresh = [self.runtime(number) for number in range(len(self.executor.started))]
        fresh = [one for one in fresh if not one.running.stopped and one.id in self.fleet.roster.environments]
        fresh = [one for one in fresh if self.fleet.roster.environments[one.id].state == "Started"]
        return [one.next() for one in fresh]

    def figures(self, qualifier: str = "live") -> tuple[int, int, str, str | None]:
        standing = self.provisioning.standing(ARN.qualified(qualifier))
        return standing.allocated, standing.available, standing.status, standing.reason

    def types(self) -> list[str]:
        return [one.spec.variables["AWS_LAMBDA_INITIALIZATION_TYPE"] for one in self.executor.started]


@pytest.fixture
def stage(tmp_path: Path) -> Provisioned:
    return Provisioned(tmp_path)


def test_environments_are_started_ahead_and_the_first_invocation_is_a_warm_one(stage: Provisioned) -> None:
    stage.provision(live={"1": 2})
    assert stage.figures() == (0, 0, "IN_PROGRESS", None)
    assert stage.types() == ["provisioned-concurrency"] * 2
    first, second = stage.ready()
    assert stage.figures() == (2, 2, "READY", None)
    stage.call("a")
    assert len(stage.executor.started) == 2
    assert stage.figures() == (2, 1, "READY", None)
    assert (second.request_id, first.got) == ("a", [])


def test_when_all_of_them_work_an_ordinary_environment_is_started_and_is_swept_later(stage: Provisioned) -> None:
    stage.provision(live={"1": 1})
    (ahead,) = stage.ready()
    stage.call("a")
    stage.call("b")
    assert stage.types() == ["provisioned-concurrency", "on-demand"]
    (spill,) = stage.ready()
    assert spill.request_id == "b"
    for runtime in (ahead, spill):
        runtime.respond()
        runtime.next()
    stage.call("c")
    assert ahead.request_id == "c", "what was started ahead is taken before what was used last"
    ahead.respond()
    ahead.next()
    stage.clock.advance(130)
    assert (ahead.running.stopped, spill.running.stopped) == (False, True)
    assert stage.figures() == (1, 1, "READY", None)


def test_one_that_crashes_at_work_is_replaced_at_once(stage: Provisioned) -> None:
    stage.provision(live={"1": 1})
    (ahead,) = stage.ready()
    stage.call("a")
    ahead.running.exit(status=1)
    assert stage.error_of("a")["errorType"] == "Runtime.ExitError"
    assert stage.types() == ["provisioned-concurrency"] * 2
    stage.ready()
    assert stage.figures() == (1, 1, "READY", None)


def test_one_that_cannot_be_initialized_is_told_and_tried_again_after_a_pause_that_grows(stage: Provisioned) -> None:
    stage.provision(live={"1": 1})
    stage.runtime().running.exit(status=1)
    assert stage.figures() == (0, 0, "FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    assert len(stage.executor.started) == 1
    stage.clock.advance(2)
    assert len(stage.executor.started) == 2
    stage.runtime().running.exit(status=1)
    stage.clock.advance(1.5)
    assert len(stage.executor.started) == 2
    stage.clock.advance(2)
    assert len(stage.executor.started) == 3
    stage.ready()
    assert stage.figures() == (1, 1, "READY", None)


def test_a_failed_initialization_takes_no_invocation_from_the_waiting_line(stage: Provisioned) -> None:
    stage.provision(live={"1": 1})
    stage.call("a")
    assert stage.types() == ["provisioned-concurrency", "on-demand"], "nobody waits for what is started ahead"
    stage.runtime(0).running.exit(status=1)
    assert stage.results == {}
    assert stage.runtime(1).next().request_id == "a"


def test_it_has_longer_than_ten_seconds_to_initialize(stage: Provisioned) -> None:
    stage.provision(live={"1": 1})
    stage.clock.advance(129)
    assert not stage.runtime().running.stopped
    stage.clock.advance(2)
    assert stage.runtime(0).running.stopped
    assert stage.figures()[2:] == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")


def test_an_alias_that_moves_takes_its_environments_along(stage: Provisioned) -> None:
    stage.provision(live={"1": 2})
    old, busy = stage.ready()
    stage.call("a")
    assert busy.request_id == "a"
    stage.versions.alias = "2"
    stage.provision(live={"2": 2})
    assert (old.running.stopped, busy.running.stopped) == (True, False), "who works finishes first"
    assert stage.figures() == (0, 0, "IN_PROGRESS", None)
    stage.ready()
    assert stage.figures() == (2, 2, "READY", None)
    busy.respond()
    busy.next()
    stage.clock.advance(130)
    assert busy.running.stopped, "it is an ordinary one now, and idle too long"
    assert "a" in stage.results


def test_an_alias_with_weights_has_environments_of_both_versions(stage: Provisioned) -> None:
    stage.provision(live={"1": 2, "2": 1})
    stage.ready()
    assert stage.figures() == (3, 3, "READY", None)
    assert sorted(one.spec.function.version for one in stage.executor.started) == ["1", "1", "2"]


def test_less_is_provisioned_by_letting_idle_ones_go_and_nothing_by_letting_all_go(stage: Provisioned) -> None:
    stage.provision(live={"1": 3})
    stage.ready()
    stage.provision(live={"1": 1})
    assert sum(one.stopped for one in stage.executor.started) == 2
    assert stage.figures() == (1, 1, "READY", None)
    stage.provision()
    assert all(one.stopped for one in stage.executor.started)
    assert stage.fleet.roster.pools == {}
    assert stage.provisioning.provisioned_by_function() == {}


def test_what_is_asked_for_while_the_server_loads_its_functions_follows_when_they_are_there(stage: Provisioned) -> None:
    stage.versions.loading = True
    stage.provision(live={"1": 1})
    assert stage.executor.started == []
    stage.versions.loading = False
    stage.clock.advance(0.5)
    assert len(stage.executor.started) == 1


def test_a_house_that_is_full_gives_up_its_idle_environments_and_waits_for_the_busy(tmp_path: Path) -> None:
    stage = Provisioned(tmp_path, max_environments=2)
    stage.call("a", qualifier=None)
    stage.call("b", qualifier=None)
    one, other = stage.ready()
    one.respond()
    one.next()
    stage.provision(live={"1": 2})
    assert one.running.stopped
    assert len(stage.executor.started) == 3
    other.respond()
    other.next()
    stage.clock.advance(1.1)
    assert other.running.stopped
    assert len(stage.executor.started) == 4


def test_more_than_the_house_can_ever_hold_is_told_as_a_failure(tmp_path: Path) -> None:
    stage = Provisioned(tmp_path, max_environments=2)
    stage.provision(live={"1": 3})
    stage.ready()
    assert stage.figures() == (2, 2, "FAILED", TOO_MANY.format(most=2))
    stage.provision(live={"1": 2})
    assert stage.figures() == (2, 2, "READY", None)


def test_nobody_elses_need_takes_them_away(tmp_path: Path) -> None:
    stage = Provisioned(tmp_path, max_environments=1)
    stage.provision(live={"1": 1})
    (ahead,) = stage.ready()
    stage.call("a", qualifier=None)
    stage.clock.advance(30)
    assert not ahead.running.stopped
    stage.clock.advance(60)
    assert isinstance(stage.results["a"].refusal, TooManyRequestsException)


def test_provisioned_executions_are_the_functions_own_and_are_taken_from_the_others(tmp_path: Path) -> None:
    stage = Provisioned(tmp_path, concurrency_limit=4)
    stage.provision(live={"1": 2})
    concurrency = stage.front_controller.concurrency
    other = replace(ARN, name="other")
    held = [concurrency.enter(other) for _ in range(2)]
    with pytest.raises(TooManyRequestsException):
        concurrency.enter(other)
    for request_id in "ab":
        stage.call(request_id)
    with pytest.raises(TooManyRequestsException):
        stage.call("c")
    concurrency.leave(held.pop())
    stage.call("c")
    assert (concurrency.running, concurrency.unreserved_running) == (4, 2)
    stage.provision()
    assert concurrency.unreserved_running == 4


def test_the_observer_is_told_who_was_served_by_them_and_who_spilled_over(stage: Provisioned) -> None:
    told: list[bool | None] = []

    class Observer:
        def invocation_ended(self, function: FunctionArn, *, provisioned: bool | None = None, **_: Any) -> None:
            told.append(provisioned)

        def invocation_throttled(self, function: FunctionArn) -> None: ...

    stage.answers._observer = Observer()
    stage.provision(live={"1": 1})
    (ahead,) = stage.ready()
    stage.call("a")
    stage.call("b")
    stage.call("c", qualifier=None)
    spill, latest = stage.ready()
    for runtime in (ahead, spill, latest):
        runtime.respond()
    assert told == [True, False, None]


def test_one_that_goes_after_it_has_reported_a_failure_leaves_no_report_behind(stage: Provisioned) -> None:
    stage.provision(live={"1": 1})
    stage.mailbox.init_error(stage.runtime().id, b"{}", "Runtime.Unknown")
    stage.provision()
    assert stage.runtime().running.stopped
    assert stage.supervisor._init_failures == {}
