"""Environments stand still between invocations."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rie_server.invoke.environments import Environment
from rie_server.invoke.freezing import Freezer
from tests.unit.invoke.conftest import Runtime, Stage
from tests.unit.invoke.players import ExtensionPlayer


class Later:
    """In place of the freezer's threads: work is done when a test says so."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Callable[[Environment], None], Environment]] = []

    def submit(self, task: Callable[[Environment], None], environment: Environment) -> None:
        self.tasks.append((task, environment))

    def work(self) -> None:
        while self.tasks:
            task, environment = self.tasks.pop(0)
            task(environment)

    def shutdown(self, *, wait: bool) -> None: ...


class Frozen(Stage):
    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.later = Later()
        self.fleet.freezer = Freezer(lock=self.fleet.lock, threads=self.later)


@pytest.fixture
def stage(tmp_path: Path) -> Frozen:
    return Frozen(tmp_path)


def idle(stage: Frozen, request_id: str = "first") -> Runtime:
    """An environment that has served one invocation."""
    stage.invoke(request_id)
    runtime = stage.runtime().next()
    runtime.respond()
    return runtime.next()


def test_an_idle_environment_is_frozen_and_thawed_before_it_gets_an_invocation(stage: Frozen) -> None:
    runtime = idle(stage)
    assert not runtime.running.frozen
    stage.later.work()
    assert runtime.running.frozen
    stage.invoke("second")
    assert runtime.request_id == "first"
    stage.later.work()
    assert not runtime.running.frozen
    assert runtime.request_id == "second"
    assert stage.log_text().index("END RequestId: first") < stage.log_text().index("START RequestId: second")


def test_one_that_is_at_work_is_not_frozen_also_after_its_answer(stage: Frozen) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.later.work()
    assert not runtime.running.frozen
    runtime.respond()
    stage.later.work()
    assert not runtime.running.frozen, "it goes on until it asks for the next invocation"


def test_an_invocation_that_comes_while_it_is_being_frozen_waits_for_the_thaw(stage: Frozen) -> None:
    runtime = idle(stage)
    stage.invoke("second")  # the freezer's thread has not begun yet
    assert runtime.request_id == "first"
    stage.later.work()
    assert not runtime.running.frozen
    assert runtime.request_id == "second"


def test_a_waiting_invocation_leaves_no_time_for_frost(stage: Frozen) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.invoke("b")
    runtime.respond()
    assert runtime.next().request_id == "b"
    assert stage.later.tasks == []


def test_an_invocation_that_waits_for_a_thaw_has_its_timeout(stage: Frozen) -> None:
    runtime = idle(stage)
    stage.later.work()
    stage.invoke("second")
    stage.clock.advance(3)
    assert stage.error_of("second")["errorType"] == "Sandbox.Timedout"
    stage.later.work()
    assert runtime.running.stopped


def test_frozen_environments_are_swept_retired_and_closed_like_others(stage: Frozen) -> None:
    stage.fleet.begin_sweeping()
    runtime = idle(stage)
    stage.later.work()
    stage.clock.advance(130)
    assert runtime.running.stopped
    again = idle(stage, "again")
    stage.later.work()
    stage.fleet.close()
    stage.later.work()
    assert again.running.stopped


def test_one_that_is_being_stopped_is_not_frozen_any_more(stage: Frozen) -> None:
    runtime = idle(stage)
    stage.fleet.retire(stage.catalog.functions["orders"].arn, "d2")
    stage.later.work()
    assert runtime.running.stopped
    assert not runtime.running.frozen


def test_one_that_dies_in_its_frost_is_buried(stage: Frozen) -> None:
    runtime = idle(stage)
    stage.later.work()
    runtime.running.exit(signal=9)
    stage.invoke("second")
    assert stage.runtime(1).next().request_id == "second"


def test_trouble_with_freezing_stops_nobody(stage: Frozen, caplog: pytest.LogCaptureFixture) -> None:
    runtime = idle(stage)

    def refuse() -> None:
        raise OSError("no such group")

    runtime.running.freeze = refuse  # type: ignore[method-assign]
    stage.later.work()
    stage.invoke("second")
    stage.later.work()
    assert runtime.request_id == "second"
    assert "could not be frozen" in caplog.text


def test_without_it_nothing_is_frozen(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    assert stage.fleet.roster.environments[runtime.id].frost is None


def test_one_with_extensions_is_frozen_when_they_have_finished_and_thawed_for_its_shutdown(stage: Frozen) -> None:
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register("INVOKE", "SHUTDOWN").next()
    runtime.next()
    runtime.respond()
    runtime.next()
    stage.later.work()
    assert not runtime.running.frozen, "the extension still works"
    extension.next()
    stage.later.work()
    assert runtime.running.frozen
    stage.invoke("b")
    assert extension.events == ["INVOKE"], "nobody is told while everybody stands still"
    stage.later.work()
    assert extension.events == ["INVOKE", "INVOKE"]
    runtime.respond()
    runtime.next()
    extension.next()
    stage.later.work()
    stage.fleet.retire(stage.catalog.functions["orders"].arn, "d2")
    assert runtime.running.runtime_grace_seconds is None
    stage.later.work()
    assert not runtime.running.frozen
    assert runtime.running.runtime_grace_seconds is not None
    runtime.running.exit(signal=15)
    assert extension.events[-1] == "SHUTDOWN"


def test_an_end_and_an_invocation_that_wait_for_the_same_thaw_are_both_heard(stage: Frozen) -> None:
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register("INVOKE", "SHUTDOWN").next()
    runtime.next()
    runtime.respond()
    runtime.next()
    extension.next()
    stage.later.work()
    environment = stage.fleet.roster.environments[runtime.id]
    stage.invoke("b")
    invocation = environment.invocation
    assert invocation is not None
    stage.fleet.close()
    # The thread that was about to hand the invocation over comes last.
    stage.fleet.hand_over(environment, invocation, runtime)
    stage.later.work()
    assert stage.results["b"].refusal is not None
    assert [one.request.request_id for one in runtime.got] == ["a"]
    assert runtime.running.runtime_grace_seconds is not None, "its shutdown has begun"
    assert "START RequestId: b" not in stage.log_text()
    runtime.running.exit(signal=15)
    stage.clock.advance(3)
    assert runtime.running.stopped
