"""Where an invocation goes, and which environments live."""

import gc
from dataclasses import replace

import pytest

from rie_server.errors import ResourceNotFoundException, ServiceException, TooManyRequestsException
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.mailbox import Mailbox
from rie_server.invoke.supervisor import Supervisor
from rie_server.invoke.variables import Variables
from tests.fakes.clock import FakeClock
from tests.unit.invoke.conftest import ARN, Stage, function_version


def test_a_sequential_caller_needs_one_environment_even_before_the_runtime_asks_again(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    stage.invoke("b")  # the runtime has answered and not yet called next
    assert len(stage.executor.started) == 1
    runtime.next()
    assert runtime.request_id == "b"


def test_a_runtime_that_dawdles_after_its_answer_is_not_waited_for_longer_than_its_patience(stage: Stage) -> None:
    stage.invoke("a")
    stage.runtime().next().respond()
    stage.invoke("b")
    stage.clock.advance(0.2)
    assert len(stage.executor.started) == 2
    assert stage.runtime(1).next().request_id == "b"


def test_concurrent_invocations_get_an_environment_each_and_their_own_answers(stage: Stage) -> None:
    for request_id in "abc":
        stage.invoke(request_id)
    runtimes = [stage.runtime(number).next() for number in range(3)]
    assert [runtime.request_id for runtime in runtimes] == ["a", "b", "c"]
    for runtime in reversed(runtimes):
        runtime.respond(runtime.request_id.encode())
    assert {key: result.payload for key, result in stage.results.items()} == {"a": b"a", "b": b"b", "c": b"c"}


def test_the_most_recently_used_environment_is_taken_first(stage: Stage) -> None:
    stage.invoke("a")
    stage.invoke("b")
    first, second = stage.runtime(0).next(), stage.runtime(1).next()
    for runtime in (second, first):
        runtime.respond()
        runtime.next()
        stage.clock.advance(1)
    stage.invoke("c")
    assert first.request_id == "c"


def test_a_cold_start_serves_whichever_invocation_waits_when_it_is_ready(stage: Stage) -> None:
    stage.invoke("a")
    busy = stage.runtime(0).next()
    stage.invoke("b")
    busy.respond()
    busy.next()
    assert busy.request_id == "b"
    spare = stage.runtime(1).next()
    assert spare.got == []
    stage.invoke("c")
    assert spare.request_id == "c"


def test_a_runtime_whose_connection_has_died_swallows_no_invocation(stage: Stage) -> None:
    stage.invoke("a")
    stage.invoke("b")
    alive, dead = stage.runtime(0).next(), stage.runtime(1).next()
    for runtime in (alive, dead):
        runtime.respond()
        runtime.next()
    dead.connected = False
    stage.invoke("c")
    assert alive.request_id == "c"
    assert dead.request_id == "b"


def test_a_runtime_that_reconnects_takes_its_place_again(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    again = stage.runtime().next()
    stage.invoke("b")
    assert (again.request_id, len(runtime.got)) == ("b", 1)
    assert len(stage.executor.started) == 1


def test_idle_environments_are_reaped_after_the_keepalive(stage: Stage) -> None:
    stage.fleet.begin_sweeping()
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    stage.clock.advance(59)
    assert not runtime.running.stopped
    stage.clock.advance(3)
    assert runtime.running.stopped
    assert stage.fleet.roster.environments == {}


def test_an_environment_ages_from_when_it_became_idle_and_not_from_when_somebody_last_looked(stage: Stage) -> None:
    stage.fleet.begin_sweeping()
    stage.clock.advance(40)
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    stage.clock.advance(59.9)
    assert not runtime.running.stopped
    stage.clock.advance(0.1)
    assert runtime.running.stopped


def test_keep_alive_can_have_a_clock_of_its_own_and_deadlines_do_not_go_by_it(stage: Stage) -> None:
    moved = FakeClock(epoch=5_000_000_000.0)
    stage.fleet = Fleet(
        clock=stage.clock, logs=stage.logs, max_environments=10, keepalive_seconds=60.0, keepalive_clock=moved
    )
    supervisor = Supervisor(
        fleet=stage.fleet,
        executor=stage.executor,
        clock=stage.clock,
        variables=Variables({}),
        threads=stage.threads,
        answers=stage.answers,
    )
    stage.mailbox = Mailbox(fleet=stage.fleet, supervisor=supervisor, answers=stage.answers, clock=stage.clock)
    stage.front_controller._fleet = stage.fleet
    stage.fleet.begin_sweeping()
    stage.invoke("a")
    stage.invoke("b")
    idle, busy = stage.runtime(0).next(), stage.runtime(1).next()
    idle.respond()
    idle.next()

    moved.advance(59)
    assert not idle.running.stopped
    moved.advance(1)
    assert idle.running.stopped
    assert not busy.running.stopped, "time that was moved ran into a function's deadline"
    assert busy.got[0].deadline_epoch_ms == int((stage.clock.now() + 3) * 1000)
    stage.clock.advance(3)
    assert busy.running.stopped


def test_at_the_cap_the_longest_idle_environment_makes_room(tmp_path) -> None:
    stage = Stage(tmp_path, max_environments=2)
    for name in ("old", "new", "third"):
        stage.catalog.functions[name] = function_version(f"of {name}", name=name)
    for name in ("old", "new"):
        stage.invoke(name, name=name)
        runtime = stage.runtime().next()
        runtime.respond()
        runtime.next()
        stage.clock.advance(1)
    stage.invoke("c", name="third")
    assert [running.stopped for running in stage.executor.started] == [True, False, False]
    assert stage.runtime().next().request_id == "c"


def test_at_the_cap_with_none_idle_an_invocation_waits_for_any_function_to_finish(tmp_path) -> None:
    stage = Stage(tmp_path, max_environments=1)
    stage.catalog.functions["other"] = function_version("of other", name="other")
    stage.invoke("a")
    busy = stage.runtime().next()
    stage.invoke("b", name="other")
    assert len(stage.executor.started) == 1
    busy.respond()
    busy.next()
    assert busy.running.stopped
    assert stage.runtime(1).next().request_id == "b"


def test_at_the_cap_a_busy_function_does_not_starve_another(tmp_path) -> None:
    stage = Stage(tmp_path, max_environments=1)
    stage.catalog.functions["other"] = function_version("of other", name="other")
    stage.invoke("a")
    busy = stage.runtime().next()
    stage.invoke("b")
    stage.invoke("c", name="other")
    stage.clock.advance(0.5)
    busy.respond()
    busy.next()
    assert busy.request_id == "b"
    stage.invoke("d")
    stage.clock.advance(0.6)
    busy.respond()
    busy.next()
    assert busy.running.stopped
    other = stage.runtime(1).next()
    assert other.request_id == "c"
    other.respond()
    other.next()
    assert stage.runtime(2).next().request_id == "d"


def test_an_invocation_that_nobody_can_take_is_throttled_in_the_end(tmp_path) -> None:
    stage = Stage(tmp_path, max_environments=1)
    stage.catalog.functions["orders"] = function_version(timeout_seconds=900)
    stage.fleet.begin_sweeping()
    stage.invoke("a")
    stage.runtime().next()
    stage.invoke("b")
    stage.clock.advance(62)
    refusal = stage.results["b"].refusal
    assert isinstance(refusal, TooManyRequestsException)
    assert refusal.members == {"Reason": "ConcurrentInvocationLimitExceeded"}


def test_more_than_the_accounts_concurrency_is_throttled_with_its_reason(tmp_path) -> None:
    stage = Stage(tmp_path, concurrency_limit=2)
    stage.invoke("a")
    stage.invoke("b")
    with pytest.raises(TooManyRequestsException) as refused:
        stage.invoke("c")
    assert refused.value.members == {"Reason": "ConcurrentInvocationLimitExceeded"}
    stage.runtime(0).next().respond()
    stage.invoke("d")
    assert stage.front_controller.running == 2


def test_an_unknown_function_takes_no_concurrency(stage: Stage) -> None:
    with pytest.raises(ResourceNotFoundException):
        stage.invoke("a", name="nobody")
    assert stage.front_controller.running == 0


def test_an_update_never_reaches_an_environment_of_the_old_deployment(stage: Stage) -> None:
    stage.invoke("a")
    idle = stage.runtime().next()
    idle.respond()
    idle.next()
    stage.invoke("b")
    stage.invoke("c")
    running = stage.runtime(1).next()
    stage.catalog.functions["orders"] = function_version("d2")
    stage.fleet.retire(ARN, "d2")
    stage.invoke("d")
    assert idle.request_id == "b"
    assert running.request_id == "c"
    running.respond()
    running.next()
    assert running.running.stopped
    assert stage.executor.started[2].spec.function.deployment_id == "d2"
    assert stage.runtime(2).next().request_id == "d"


def test_an_update_of_latest_leaves_the_environments_of_versions_alone_and_a_deleted_version_those_of_latest(
    stage: Stage,
) -> None:
    stage.catalog.functions["versioned"] = replace(function_version("of-version"), version="1")
    for number, name in enumerate(("orders", "versioned")):
        stage.invoke(name, name=name)
        stage.runtime(number).next().respond()
        stage.runtime(number).next()
    latest, version = stage.executor.started
    stage.fleet.retire(ARN, "newer")
    assert (latest.stopped, version.stopped) == (True, False)
    stage.invoke("again")
    stage.runtime(2).next().respond()
    stage.runtime(2).next()
    stage.fleet.retire(ARN.qualified("1"), None)
    assert [running.stopped for running in stage.executor.started] == [True, True, False]


def test_closing_refuses_what_waits_and_stops_what_runs(stage: Stage) -> None:
    stage.invoke("a")
    stage.runtime().next()
    stage.invoke("b")
    stage.fleet.close()
    assert all(running.stopped for running in stage.executor.started)
    assert all(isinstance(stage.results[key].refusal, ServiceException) for key in "ab")
    stage.invoke("c")
    assert isinstance(stage.results["c"].refusal, ServiceException)
    assert stage.front_controller.running == 0


def test_the_stage_is_settled_when_whoever_has_answered_is_idle_again(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    assert stage.fleet.is_settled(), "a running handler is real time's business"
    runtime.respond()
    assert not stage.fleet.is_settled()
    runtime.next()
    assert stage.fleet.is_settled()


def test_a_warm_invocation_leaves_nothing_for_the_garbage_collector(stage: Stage) -> None:
    stage.invoke("first")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    gc.collect()
    gc.disable()
    try:
        for number in range(10):
            stage.invoke(f"warm-{number}")
            runtime.respond()
            runtime.next()
        runtime.got.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()
