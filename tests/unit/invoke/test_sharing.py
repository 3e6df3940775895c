"""Environments in which several invocations run at a time."""

from dataclasses import replace
from pathlib import Path

import pytest

from rie_server.errors import RuntimeApiError
from rie_server.invoke.sharing import SharedEnvironment
from tests.unit.invoke.conftest import Runtime, Stage, function_version
from tests.unit.invoke.players import ExtensionPlayer


@pytest.fixture
def shared(tmp_path: Path) -> Stage:
    """A function whose environments run three invocations at a time."""
    return with_seats(Stage(tmp_path), 3)


def with_seats(stage: Stage, seats: int) -> Stage:
    stage.catalog.functions["orders"] = replace(function_version(), max_concurrency=seats)
    return stage


def workers(stage: Stage, number: int = 3, environment: int = -1) -> list[Runtime]:
    """Workers of the environment that was started last, each of which has asked for an invocation."""
    return [stage.runtime(environment).next() for _ in range(number)]


def host(stage: Stage, environment: int = -1) -> SharedEnvironment:
    found = stage.fleet.roster.environments[stage.runtime(environment).id]
    assert isinstance(found, SharedEnvironment)
    return found


def test_the_runtime_is_told_how_many_may_run(shared: Stage) -> None:
    shared.invoke("a")
    variables = shared.executor.started[0].spec.variables
    assert variables["AWS_LAMBDA_MAX_CONCURRENCY"] == "3"
    assert variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "lambda-managed-instances"


def test_several_invocations_run_in_one_environment_and_are_answered_by_their_ids(shared: Stage) -> None:
    for request_id in "abc":
        shared.invoke(request_id)
    assert len(shared.executor.started) == 1
    crew = workers(shared)
    assert [one.request_id for one in crew] == ["a", "b", "c"]
    for one in reversed(crew):
        one.respond(one.request_id.encode())
    assert {key: result.payload for key, result in shared.results.items()} == {"a": b"a", "b": b"b", "c": b"c"}


def test_one_invocation_more_needs_another_environment(shared: Stage) -> None:
    for request_id in "abcd":
        shared.invoke(request_id)
    assert len(shared.executor.started) == 2
    workers(shared, environment=0)
    assert shared.runtime(1).next().request_id == "d"
    for request_id in "ef":
        shared.invoke(request_id)
    assert [one.request_id for one in workers(shared, 2)] == ["e", "f"]
    assert len(shared.executor.started) == 2


def test_workers_that_wait_get_invocations_at_once(shared: Stage) -> None:
    shared.invoke("a")
    first, second, third = workers(shared)
    shared.invoke("b")
    shared.invoke("c")
    assert {first.request_id, second.request_id, third.request_id} == {"a", "b", "c"}
    first.respond()
    shared.invoke("d")
    assert len(shared.executor.started) == 1, "who has answered is about to ask again"
    assert first.next().request_id == "d"


def test_a_crash_fails_everything_that_runs_there(shared: Stage) -> None:
    for request_id in "ab":
        shared.invoke(request_id)
    workers(shared)
    shared.runtime().running.exit(signal=9)
    for request_id in "ab":
        assert shared.error_of(request_id) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: signal: killed",
        }
    assert shared.fleet.roster.pools == {}
    assert shared.front_controller.running == 0


def test_one_that_is_late_fails_alone_and_its_answer_is_told_so(shared: Stage) -> None:
    shared.invoke("a")
    crew = workers(shared)
    shared.clock.advance(2)
    shared.invoke("b")
    busy = next(one for one in crew if one.got and one.request_id == "b")
    shared.clock.advance(1)
    assert shared.error_of("a")["errorType"] == "Sandbox.Timedout"
    assert not shared.runtime().running.stopped
    busy.respond()
    assert shared.results["b"].function_error is None
    with pytest.raises(RuntimeApiError) as late:
        crew[0].respond()
    assert (late.value.status, late.value.error_type, late.value.message) == (410, "InvokeTimeout", "Invoke timeout")
    with pytest.raises(RuntimeApiError) as again:
        crew[0].respond()
    assert (again.value.status, again.value.error_type) == (400, "InvalidRequestID")
    assert shared.log_text().count("REPORT RequestId: a") == 1
    crew[0].next()
    busy.next()
    for request_id in "cde":
        shared.invoke(request_id)
    assert sorted(one.request_id for one in crew) == ["c", "d", "e"]


def test_an_environment_without_a_worker_that_is_free_for_good_is_replaced(shared: Stage) -> None:
    for request_id in "abc":
        shared.invoke(request_id)
    workers(shared)
    shared.clock.advance(3)
    assert all(shared.error_of(request_id)["errorType"] == "Sandbox.Timedout" for request_id in "abc")
    assert shared.runtime().running.stopped
    shared.invoke("d")
    assert shared.runtime(1).next().request_id == "d"


def test_an_answer_counts_for_the_attempt_that_it_names(shared: Stage) -> None:
    shared.invoke("a")
    slow, quick, _ = workers(shared)
    first = slow.got[-1]
    shared.clock.advance(3)
    assert shared.error_of("a")["errorType"] == "Sandbox.Timedout"
    del shared.results["a"]
    shared.invoke("a")  # the event's next attempt
    second = next(one for one in (quick, _) if one.got).got[-1]
    assert first.runtime_id != second.runtime_id
    with pytest.raises(RuntimeApiError) as late:
        shared.mailbox.response(slow.id, "a", b'"first"', runtime_id=first.runtime_id)
    assert late.value.status == 410
    assert shared.results == {}
    shared.mailbox.response(slow.id, "a", b'"second"', runtime_id=second.runtime_id)
    assert shared.results["a"].payload == b'"second"'


def test_a_second_answer_is_none(shared: Stage) -> None:
    shared.invoke("a")
    (worker,) = workers(shared, 1)
    worker.respond()
    with pytest.raises(RuntimeApiError) as twice:
        worker.respond()
    assert (twice.value.status, twice.value.error_type) == (400, "InvalidRequestID")


def test_it_is_idle_when_nothing_runs_there_and_ends_when_it_has_been_so_for_long(shared: Stage) -> None:
    shared.fleet.begin_sweeping()
    shared.catalog.functions["orders"] = replace(shared.catalog.functions["orders"], timeout_seconds=900)
    shared.invoke("a")
    worker, *_ = workers(shared)
    shared.clock.advance(200)
    assert not shared.runtime().running.stopped
    worker.respond()
    worker.next()
    shared.clock.advance(59)
    assert not shared.runtime().running.stopped
    shared.clock.advance(70)
    assert shared.runtime(0).running.stopped
    assert shared.fleet.roster.pools == {}


def test_a_worker_whose_connection_has_died_swallows_no_invocation(shared: Stage) -> None:
    shared.invoke("a")
    _, alive, dead = workers(shared)
    dead.connected = False
    shared.invoke("b")
    assert (alive.request_id, dead.got) == ("b", [])


def test_more_workers_than_may_are_refused_unless_they_replace_dead_ones(shared: Stage) -> None:
    shared.invoke("a")
    _, _, third = workers(shared)
    with pytest.raises(RuntimeApiError) as refused:
        shared.runtime().next()
    assert refused.value.status == 403
    third.connected = False
    back = shared.runtime().next()
    shared.invoke("b")
    assert back.request_id == "b"


def test_a_failed_initialization_fails_one_invocation_and_another_environment_is_started(shared: Stage) -> None:
    shared.invoke("a")
    shared.invoke("b")
    shared.runtime().running.exit(status=1)
    assert shared.error_of("a")["errorType"] == "Runtime.ExitError"
    assert shared.runtime(1).next().request_id == "b"


def test_an_update_lets_what_runs_finish(shared: Stage) -> None:
    for request_id in "ab":
        shared.invoke(request_id)
    first, second, _ = workers(shared)
    shared.fleet.retire(function_version().arn, "d2")
    assert not shared.runtime().running.stopped
    first.respond()
    first.next()
    assert not shared.runtime().running.stopped
    second.respond()
    second.next()
    assert shared.runtime().running.stopped
    assert shared.fleet.roster.pools == {}


def test_a_house_that_is_full_gives_up_an_environment_in_which_nothing_runs(tmp_path: Path) -> None:
    stage = with_seats(Stage(tmp_path, max_environments=1), 2)
    stage.catalog.functions["other"] = function_version("d9", name="other")
    stage.invoke("a")
    worker, _ = workers(stage, 2)
    stage.invoke("b", name="other")
    assert len(stage.executor.started) == 1
    worker.respond()
    worker.next()
    assert stage.runtime(0).running.stopped
    assert stage.runtime(1).next().request_id == "b"


def test_the_log_names_every_invocation_and_nobody_gets_the_others_lines(shared: Stage) -> None:
    for request_id in "ab":
        shared.invoke(request_id, want_log_tail=True)
    first, second, _ = workers(shared)
    second.respond()
    first.respond()
    log = shared.log_text()
    for request_id in "ab":
        for word in ("START RequestId", "END RequestId", "REPORT RequestId"):
            assert f"{word}: {request_id}" in log
        assert shared.results[request_id].log_tail is None


def test_closing_refuses_what_runs_and_stops_everything(shared: Stage) -> None:
    for request_id in "abcd":
        shared.invoke(request_id)
    workers(shared, environment=0)
    shared.fleet.close()
    assert all(shared.results[request_id].refusal is not None for request_id in "abcd")
    assert all(one.stopped for one in shared.executor.started)
    assert host


def test_a_worker_may_stream_while_others_answer(shared: Stage) -> None:
    for request_id in "ab":
        shared.invoke(request_id)
    first, second, _ = workers(shared)
    stream = shared.mailbox.begin_response(
        first.id, "a", "text/plain", lambda _: None, runtime_id=first.got[-1].runtime_id
    )
    stream.write(b"one, ")
    second.respond()
    stream.write(b"two")
    stream.finish(None)
    assert shared.results["a"].payload == b"one, two"
    assert host(shared).working == set()
    first.next()
    second.next()
    for request_id in "cde":
        shared.invoke(request_id)
    assert len(shared.executor.started) == 1


def test_a_stream_that_is_late_fails_alone(shared: Stage) -> None:
    shared.invoke("a")
    first, second, _ = workers(shared)
    stream = shared.mailbox.begin_response(first.id, "a", "text/plain", lambda _: None)
    stream.write(b"one")
    shared.clock.advance(3)
    assert shared.error_of("a")["errorType"] == "Sandbox.Timedout"
    shared.invoke("b")
    assert "b" in {one.request_id for one in (second, _) if one.got}
    assert not shared.runtime().running.stopped


def test_a_worker_whose_stream_was_late_is_free_when_the_stream_has_ended(shared: Stage) -> None:
    shared.invoke("a")
    first, *_ = workers(shared)
    stream = shared.mailbox.begin_response(first.id, "a", "text/plain", lambda _: None)
    shared.clock.advance(3)
    assert len(host(shared).late) == 1
    with pytest.raises(RuntimeApiError) as late:
        stream.finish(None)
    assert (late.value.status, late.value.error_type, late.value.message) == (410, "InvokeTimeout", "Invoke timeout")
    assert host(shared).late == {}
    assert host(shared).absent == 1


def test_a_worker_whose_late_stream_breaks_off_is_free_too(shared: Stage) -> None:
    shared.invoke("a")
    first, *_ = workers(shared)
    stream = shared.mailbox.begin_response(first.id, "a", "text/plain", lambda _: None)
    shared.clock.advance(3)
    stream.break_off()
    assert host(shared).late == {}


def test_an_environment_whose_workers_do_not_come_back_is_ended_after_a_while(shared: Stage) -> None:
    shared.fleet.begin_sweeping()
    shared.invoke("a")
    (worker,) = workers(shared, 1)
    worker.respond()
    shared.clock.advance(59)
    assert not shared.runtime().running.stopped
    shared.clock.advance(70)
    assert shared.runtime().running.stopped
    assert shared.fleet.roster.pools == {}


def test_workers_wait_until_the_extensions_are_initialized_and_then_run_without_them(shared: Stage) -> None:
    shared.executor.extensions = ("watcher",)
    for request_id in "ab":
        shared.invoke(request_id)
    crew = workers(shared, 2)
    crew[0].connected = False
    assert all(one.got == [] for one in crew)
    extension = ExtensionPlayer(shared, shared.runtime()).register("SHUTDOWN").next()
    assert [[got.request.request_id for got in one.got] for one in crew] == [[], ["a"]]
    assert shared.runtime().next().request_id == "b"
    assert extension.events == []
