"""How invocations end when their runtime does not answer."""

import signal

from rie_server.errors import EnvironmentStartError
from tests.unit.invoke.conftest import Stage


def test_a_runtime_that_exits_between_next_and_response_is_answered_for_at_once(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.running.exit(status=1)
    assert stage.error_of("a") == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: a Error: Runtime exited with error: exit status 1",
    }
    assert runtime.running.stopped
    assert "Status: error\tError Type: Runtime.ExitError" in stage.log_text()


def test_a_killed_runtime_names_its_signal(stage: Stage) -> None:
    stage.invoke("a")
    stage.runtime().next().running.exit(signal=signal.SIGKILL)
    assert stage.error_of("a")["errorMessage"] == "RequestId: a Error: Runtime exited with error: signal: killed"


def test_a_clean_exit_gives_no_reason(stage: Stage) -> None:
    stage.invoke("a")
    stage.runtime().next().running.exit(status=0)
    assert stage.error_of("a")["errorMessage"] == "RequestId: a Error: Runtime exited without providing a reason"


def test_a_function_that_exceeds_its_timeout_is_cut_and_its_environment_destroyed(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.clock.advance(2.9)
    assert "a" not in stage.results
    stage.clock.advance(0.2)
    assert stage.error_of("a") == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: a Error: Task timed out after 3.00 seconds",
    }
    assert runtime.running.stopped
    text = stage.log_text()
    assert "2026-01-01T00:00:03.000Z a Task timed out after 3.00 seconds" in text
    assert "Duration: 3000.00 ms\tBilled Duration: 3000 ms" in text
    assert "Status: timeout" in text


def test_a_warm_environment_has_its_whole_timeout_for_every_invocation(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.clock.advance(2)
    runtime.respond()
    runtime.next()
    stage.invoke("b")
    stage.clock.advance(2.5)
    assert "b" not in stage.results
    stage.clock.advance(0.6)
    assert stage.error_of("b")["errorType"] == "Sandbox.Timedout"


def test_a_runtime_that_answers_and_never_asks_for_more_ends_with_its_timeout(stage: Stage) -> None:
    stage.invoke("a")
    lingering = stage.runtime().next()
    lingering.respond()
    stage.invoke("b")
    stage.clock.advance(0.1)
    other = stage.runtime().next()
    other.respond()
    other.next()
    stage.clock.advance(2.8)
    assert not lingering.running.stopped
    stage.clock.advance(0.3)
    assert lingering.running.stopped
    assert not other.running.stopped
    assert stage.results["a"].function_error is None
    assert "Status: timeout" not in stage.log_text()


def test_a_failed_initialization_is_tried_once_more_inside_the_first_invocation(stage: Stage) -> None:
    stage.invoke("a")
    first = stage.runtime()
    stage.mailbox.init_error(first.id, b'{"errorType":"Runtime.ImportModuleError"}', "Runtime.ImportModuleError")
    first.running.exit(status=1)
    assert "a" not in stage.results
    second = stage.runtime(1).next()
    assert second.request_id == "a"
    second.respond()
    assert stage.results["a"].payload == b'"done"'
    assert stage.log_text().count("INIT_REPORT") == 1


def test_the_second_init_error_is_the_answer_as_the_runtime_gave_it(stage: Stage) -> None:
    stage.invoke("a")
    for number in range(2):
        runtime = stage.runtime(number)
        stage.mailbox.init_error(runtime.id, b'{"errorMessage":"no module"}', "Runtime.ImportModuleError")
        runtime.running.exit(status=1)
    assert stage.error_of("a") == {"errorMessage": "no module"}
    text = stage.log_text()
    assert "Phase: init\tStatus: error\tError Type: Runtime.ImportModuleError" in text
    assert "Phase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError" in text
    assert text.count("START RequestId: a") == text.count("END RequestId: a") == 1
    assert stage.fleet.roster.environments == {}


def test_a_runtime_that_reports_an_init_error_and_stays_is_ended(stage: Stage) -> None:
    stage.invoke("a")
    stage.mailbox.init_error(stage.runtime().id, b"{}", "Runtime.Unknown")
    stage.clock.advance(1.5)
    assert stage.executor.started[0].stopped
    assert len(stage.executor.started) == 2


def test_the_report_of_an_initialization_that_timed_out_has_the_memory_it_used(stage: Stage) -> None:
    stage.invoke("a")
    stage.clock.advance(10.1)
    stage.clock.advance(3.1)
    assert stage.error_of("a")["errorType"] == "Sandbox.Timedout"
    assert "Max Memory Used: 21 MB" in stage.log_text()
    assert all(running.stopped for running in stage.executor.started)


def test_initialization_has_ten_seconds_and_then_the_functions_own_timeout(stage: Stage) -> None:
    stage.invoke("a")
    stage.clock.advance(9.9)
    assert len(stage.executor.started) == 1
    stage.clock.advance(0.2)
    assert stage.executor.started[0].stopped
    assert len(stage.executor.started) == 2
    stage.clock.advance(3.1)
    assert stage.error_of("a")["errorType"] == "Sandbox.Timedout"
    assert "Phase: init\tStatus: timeout" in stage.log_text()
    assert stage.fleet.roster.environments == {}


def test_an_environment_that_cannot_be_started_answers_at_once_and_is_not_tried_again(stage: Stage) -> None:
    stage.executor.failure = EnvironmentStartError("Runtime.InvalidEntrypoint", "no such file")
    stage.invoke("a")
    assert stage.error_of("a") == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": "RequestId: a Error: no such file",
    }
    assert stage.fleet.roster.environments == {}


def test_an_exit_while_idle_harms_nobody(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    runtime.running.exit(signal=signal.SIGKILL)
    stage.invoke("b")
    assert stage.runtime(1).next().request_id == "b"


def test_an_exit_after_the_answer_starts_a_new_environment_for_who_waits(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    stage.invoke("b")
    runtime.running.exit(status=1)
    assert stage.runtime(1).next().request_id == "b"


def test_the_log_tail_of_a_cold_start_goes_from_start_to_report(stage: Stage) -> None:
    stage.invoke("a", want_log_tail=True)
    runtime = stage.runtime().next()
    runtime.running.observer.on_output(b"working")
    stage.clock.advance(0.25)
    runtime.respond()
    tail = stage.results["a"].log_tail
    assert tail is not None
    lines = tail.decode().splitlines()
    assert lines[0] == "START RequestId: a Version: $LATEST"
    assert lines[1] == "working"
    assert lines[2] == "END RequestId: a"
    assert lines[3].startswith(
        "REPORT RequestId: a\tDuration: 250.00 ms\tBilled Duration: 250 ms\tMemory Size: 128 MB\t"
    )
    assert "Max Memory Used: 21 MB\tInit Duration: 0.00 ms\t" in lines[3]


def test_what_initialization_printed_comes_before_the_first_start(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    runtime.running.unread.append(b"loading")
    runtime.next()
    runtime.running.unread.append(b"handling")
    runtime.respond()
    lines = [line.removeprefix("[orders] ").split()[0] for line in stage.log_text().splitlines()]
    assert lines == ["INIT_START", "loading", "START", "handling", "END", "REPORT"]


def test_the_runtime_finds_awss_variables(stage: Stage) -> None:
    stage.invoke("a")
    variables = stage.executor.started[0].spec.variables
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "orders"
    assert variables["_HANDLER"] == "app.handler"
    assert variables["STAGE"] == "test"
    assert variables["AWS_LAMBDA_LOG_STREAM_NAME"].startswith("2026/01/01/[$LATEST]")
