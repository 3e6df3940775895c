"""What an observer is told of invocations: each once, with how it ended and how long it took."""

from pathlib import Path

import pytest

from rie_server.errors import TooManyRequestsException
from rie_server.invoke.fleet import PLACEMENT_SECONDS
from rie_server.model.arn import FunctionArn
from tests.unit.invoke.conftest import ARN, Stage, function_version


class Observer:
    """Fills ``observing.InvocationObserver``."""

    def __init__(self, stage: Stage) -> None:
        self.ended: list[tuple[FunctionArn, float, bool]] = []
        self.throttled: list[FunctionArn] = []
        stage.answers._observer = stage.front_controller._observer = self

    def invocation_ended(
        self, function: FunctionArn, *, duration_ms: float, failed: bool, provisioned: bool | None = None
    ) -> None:
        assert provisioned is None
        self.ended.append((function, round(duration_ms), failed))

    def invocation_throttled(self, function: FunctionArn) -> None:
        self.throttled.append(function)


@pytest.fixture
def observer(stage: Stage) -> Observer:
    return Observer(stage)


@pytest.mark.parametrize("want_log_tail", [False, True])
def test_a_run_is_told_with_its_duration_without_the_cold_start(
    stage: Stage, observer: Observer, want_log_tail: bool
) -> None:
    stage.invoke("a", want_log_tail=want_log_tail)
    stage.clock.advance(0.5)
    runtime = stage.runtime().next()
    stage.clock.advance(0.25)
    runtime.respond()
    assert observer.ended == [(ARN, 250, False)]
    assert observer.throttled == []


@pytest.mark.parametrize("want_log_tail", [False, True])
def test_an_error_of_the_handler_is_a_run_that_failed(stage: Stage, observer: Observer, want_log_tail: bool) -> None:
    stage.invoke("a", want_log_tail=want_log_tail)
    runtime = stage.runtime().next()
    stage.mailbox.error(runtime.id, "a", b"{}")
    assert observer.ended == [(ARN, 0, True)]


def test_a_timeout_and_an_exit_are_runs_that_failed(stage: Stage, observer: Observer) -> None:
    stage.invoke("a")
    stage.runtime().next()
    stage.clock.advance(4)
    assert observer.ended == [(ARN, 3000, True)]
    stage.invoke("b")
    runtime = stage.runtime(1).next()
    runtime.running.exit(status=1)
    assert observer.ended[1:] == [(ARN, 0, True)]


def test_a_throttle_is_told_and_is_no_run(stage: Stage, observer: Observer) -> None:
    for number in range(10):
        stage.invoke(str(number))
    with pytest.raises(TooManyRequestsException):
        stage.invoke("one too many")
    assert (observer.throttled, observer.ended) == ([ARN], [])


def test_an_invocation_for_which_no_room_was_found_is_a_throttle(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_environments=1)
    stage.catalog.functions["orders"] = function_version(timeout_seconds=900)
    observer = Observer(stage)
    stage.fleet.begin_sweeping()
    stage.invoke("a")
    stage.runtime().next()
    stage.invoke("b")
    stage.clock.advance(PLACEMENT_SECONDS + 2)
    assert stage.results["b"].refusal is not None
    assert (observer.throttled, observer.ended) == ([ARN], [])
