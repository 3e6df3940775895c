"""What the presence of extensions changes: when phases end, who is told what, and how environments go."""

from dataclasses import replace

import pytest

from rie_server.errors import RuntimeApiError
from tests.unit.invoke.conftest import Runtime, Stage, function_version
from tests.unit.invoke.players import ExtensionPlayer


def with_internal(stage: Stage, *events: str, want_log_tail: bool = False) -> tuple[Runtime, ExtensionPlayer]:
    """An environment that has just begun its first invocation, with one internal extension."""
    stage.invoke("a", want_log_tail=want_log_tail)
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register(*events).next()
    runtime.next()
    return runtime, extension


def with_external(stage: Stage, *events: str) -> tuple[Runtime, ExtensionPlayer]:
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register(*events).next()
    runtime.next()
    return runtime, extension


def refused(error_type: str) -> pytest.RaisesExc[RuntimeApiError]:
    return pytest.RaisesExc(RuntimeApiError, check=lambda error: (error.status, error.error_type) == (403, error_type))


# --- initialization ---------------------------------------------------------------------------------------------------


def test_initialization_ends_when_the_runtime_and_every_extension_have_asked_for_an_event(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    first = ExtensionPlayer(stage, runtime, "first").register("INVOKE")
    second = ExtensionPlayer(stage, runtime, "second").register("INVOKE")
    first.next()
    runtime.next()
    assert runtime.got == []
    second.next()
    assert [invocation.request.request_id for invocation in runtime.got] == ["a"]
    assert first.events == second.events == ["INVOKE"]


def test_an_extension_that_never_asks_makes_initialization_time_out(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    ExtensionPlayer(stage, runtime).register("INVOKE")
    runtime.next()
    stage.clock.advance(10.1)
    assert "Phase: init\tStatus: timeout" in stage.log_text()
    assert len(stage.executor.started) == 2


def test_the_invoke_event_says_what_the_runtime_is_told(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    invocation = runtime.got[0]
    assert extension.got == [
        {
            "eventType": "INVOKE",
            "deadlineMs": invocation.deadline_epoch_ms,
            "requestId": "a",
            "invokedFunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:orders",
            "tracing": {"type": "X-Amzn-Trace-Id", "value": invocation.trace_header},
        }
    ]


def test_every_extension_has_a_line_in_the_log_when_initialization_ends(stage: Stage) -> None:
    with_external(stage, "INVOKE", "SHUTDOWN")
    text = stage.log_text()
    line = "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n"
    assert text.index(line) < text.index("START RequestId: a")


def test_the_runtime_is_started_when_all_external_extensions_have_registered(stage: Stage) -> None:
    stage.executor.extensions = ("first", "second")
    stage.invoke("a")
    runtime = stage.runtime()
    ExtensionPlayer(stage, runtime, "first").register("INVOKE")
    assert not runtime.running.runtime_started
    ExtensionPlayer(stage, runtime, "second").register()
    assert runtime.running.runtime_started


# --- who may register -------------------------------------------------------------------------------------------------


def test_nobody_registers_without_a_name(stage: Stage) -> None:
    stage.invoke("a")
    with refused("Extension.InvalidExtensionName"):
        ExtensionPlayer(stage, stage.runtime(), "").register("INVOKE")


def test_an_internal_extension_cannot_ask_for_shutdown_events(stage: Stage) -> None:
    stage.invoke("a")
    with refused("Extension.InvalidEventType"):
        ExtensionPlayer(stage, stage.runtime()).register("INVOKE", "SHUTDOWN")


def test_where_several_invocations_run_at_a_time_extensions_are_told_of_the_end_alone(stage: Stage) -> None:
    stage.catalog.functions["orders"] = replace(function_version(), max_concurrency=3)
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime)
    with refused("Extension.InvalidEventType"):
        extension.register("INVOKE", "SHUTDOWN")
    extension.register("SHUTDOWN").next()
    runtime.next()
    assert runtime.request_id == "a"
    assert "EXTENSION\tName: watcher\tState: Ready\tEvents: [SHUTDOWN]" in stage.log_text()
    stage.fleet.close()
    stage.supervisor.close()
    assert extension.events == ["SHUTDOWN"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"null", b'{"events":"INVOKE"}', b'{"events":[1]}', b'{"configurationKeys":["x"]}']
)
def test_a_register_request_in_another_format_is_refused(stage: Stage, body: bytes) -> None:
    stage.invoke("a")
    with refused("InvalidRequestFormat"):
        stage.extensions.register(stage.runtime().id, "watcher", body)


def test_a_name_is_registered_once(stage: Stage) -> None:
    stage.invoke("a")
    extension = ExtensionPlayer(stage, stage.runtime()).register("INVOKE")
    with refused("Extension.InvalidExtensionState"):
        extension.register("INVOKE")


def test_ten_extensions_are_the_most(stage: Stage) -> None:
    stage.invoke("a")
    for number in range(10):
        ExtensionPlayer(stage, stage.runtime(), f"extension-{number}").register("INVOKE")
    with refused("Extension.TooManyExtensions"):
        ExtensionPlayer(stage, stage.runtime(), "eleventh").register("INVOKE")


@pytest.mark.parametrize("known", [True, False])
def test_nobody_registers_after_the_runtime_has_asked_for_an_event(stage: Stage, known: bool) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    if known:
        ExtensionPlayer(stage, runtime, "early").register("INVOKE")
    runtime.next()
    with refused("Extension.RegistrationClosed"):
        ExtensionPlayer(stage, runtime, "late").register("INVOKE")


@pytest.mark.parametrize(
    ("identifier", "error_type"),
    [
        (None, "Extension.MissingExtensionIdentifier"),
        ("nonsense", "Extension.InvalidExtensionIdentifier"),
        ("00000000-0000-0000-0000-000000000000", "Extension.UnknownExtensionIdentifier"),
    ],
)
def test_a_call_with_a_wrong_identifier_is_refused(stage: Stage, identifier: str | None, error_type: str) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    extension = ExtensionPlayer(stage, runtime).register("INVOKE")
    with refused(error_type):
        stage.extensions.next(runtime.id, identifier, extension)
    with refused(error_type):
        stage.extensions.exit_error(runtime.id, identifier, "Extension.Broken")


def test_an_extension_sees_no_other_environments_events(stage: Stage) -> None:
    _, extension = with_internal(stage, "INVOKE")
    stage.invoke("b")
    other = stage.runtime()
    with refused("Extension.UnknownExtensionIdentifier"):
        stage.extensions.next(other.id, extension.identifier, extension)


# --- invocations ------------------------------------------------------------------------------------------------------


def test_the_caller_has_its_answer_while_an_extension_still_works(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    runtime.respond()
    assert stage.results["a"].payload == b'"done"'
    runtime.next()
    assert "END RequestId: a" not in stage.log_text()
    stage.clock.advance(1)
    extension.next()
    assert "REPORT RequestId: a\tDuration: 1000.00 ms" in stage.log_text()


def test_an_environment_takes_no_invocation_before_its_extensions_have_finished(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    runtime.respond()
    runtime.next()
    stage.invoke("b")
    assert len(runtime.got) == 1
    extension.next()
    assert runtime.request_id == "b"
    assert extension.events == ["INVOKE", "INVOKE"]


def test_an_extension_may_finish_before_the_runtime(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    extension.next()
    runtime.respond()
    assert "END RequestId: a" not in stage.log_text()
    runtime.next()
    assert "END RequestId: a" in stage.log_text()
    stage.invoke("b")
    assert runtime.request_id == "b"


def test_an_invocation_occupies_its_concurrency_until_its_extensions_have_finished(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    runtime.respond()
    runtime.next()
    assert stage.front_controller.running == 1
    extension.next()
    assert stage.front_controller.running == 0


def test_a_caller_who_wants_the_log_waits_for_its_end(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE", want_log_tail=True)
    runtime.respond()
    runtime.next()
    assert "a" not in stage.results
    extension.next()
    tail = stage.results["a"].log_tail
    assert tail is not None
    assert b"REPORT RequestId: a" in tail
    assert stage.front_controller.running == 0


def test_an_idle_environment_keeps_nothing_of_its_last_invocation(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    environment = stage.fleet.roster.environments[runtime.id]
    assert environment.extensions is not None
    runtime.respond()
    assert environment.extensions.ending is not None
    runtime.next()
    extension.next()
    assert environment.extensions.ending is None


def test_an_extension_without_invoke_events_is_not_waited_for(stage: Stage) -> None:
    runtime, extension = with_internal(stage)
    runtime.respond()
    runtime.next()
    assert extension.got == []
    assert stage.front_controller.running == 0


def test_the_timeout_counts_the_extensions_time_and_leaves_the_answer_as_it_was(stage: Stage) -> None:
    runtime, _ = with_internal(stage, "INVOKE")
    stage.clock.advance(1)
    runtime.respond()
    runtime.next()
    stage.clock.advance(2.1)
    assert stage.results["a"].payload == b'"done"'
    text = stage.log_text()
    assert "a Task timed out after 3.00 seconds" in text
    assert "Status: timeout" in text
    assert stage.front_controller.running == 0
    stage.clock.advance(0.5)
    assert runtime.running.stopped


def test_a_caller_who_wants_the_log_gets_its_answer_after_a_timeout_of_the_extension(stage: Stage) -> None:
    runtime, _ = with_internal(stage, "INVOKE", want_log_tail=True)
    runtime.respond()
    stage.clock.advance(3.1)
    result = stage.results["a"]
    assert (result.payload, result.function_error) == (b'"done"', None)
    assert b"Task timed out" in (result.log_tail or b"")


def test_an_event_for_an_extension_whose_connection_broke_is_given_to_it_when_it_comes_back(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    extension.next()
    runtime.respond()
    runtime.next()
    extension.connected = False
    stage.invoke("b")
    assert len(extension.got) == 1
    extension.connected = True
    extension.next()
    assert extension.got[-1]["requestId"] == "b"
    runtime.respond()
    runtime.next()
    assert stage.front_controller.running == 1
    extension.next()
    assert stage.front_controller.running == 0


def test_a_runtime_whose_held_connection_broke_goes_on_when_it_comes_back(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    runtime.respond()
    runtime.next()
    runtime.connected = False
    extension.next()
    stage.invoke("b")
    assert len(runtime.got) == 1
    runtime.connected = True
    runtime.next()
    assert runtime.request_id == "b"


def test_a_runtime_that_waits_may_not_report_that_its_initialization_failed(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    ExtensionPlayer(stage, runtime).register("INVOKE")
    runtime.next()
    with refused("InvalidStateTransition"):
        stage.mailbox.init_error(runtime.id, b"{}", "Runtime.Unknown")


# --- failures ---------------------------------------------------------------------------------------------------------


def test_an_extension_that_crashes_fails_the_invocation_that_runs(stage: Stage) -> None:
    runtime, _ = with_external(stage, "INVOKE")
    runtime.running.extension_exit("watcher", status=1)
    assert stage.error_of("a") == {
        "errorType": "Extension.Crash",
        "errorMessage": "RequestId: a Error: exit status 1",
    }
    text = stage.log_text()
    assert "RequestId: a Error: exit status 1\nExtension.Crash\nEND" in text.replace("[orders] ", "")
    assert "Status: error\tError Type: Extension.Crash" in text


def test_an_extension_that_crashes_after_the_answer_leaves_the_answer_as_it_was(stage: Stage) -> None:
    runtime, _ = with_external(stage, "INVOKE")
    runtime.respond()
    runtime.next()
    runtime.running.extension_exit("watcher", status=0)
    assert stage.results["a"].function_error is None
    assert "Error: exit code 0\nExtension.Crash" in stage.log_text().replace("[orders] ", "")
    assert stage.front_controller.running == 0
    stage.invoke("b")
    assert len(stage.executor.started) == 2


def test_an_extension_that_crashes_during_initialization_is_tried_once_more(stage: Stage) -> None:
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    stage.runtime().running.extension_exit("watcher", status=2)
    assert "INIT_REPORT Init Duration: 0.00 ms\tPhase: init\tStatus: error\tError Type: Extension.Crash" in (
        stage.log_text()
    )
    stage.runtime().running.extension_exit("watcher", status=2)
    assert stage.error_of("a")["errorType"] == "Extension.Crash"


def test_an_extension_that_cannot_be_launched_fails_initialization_with_awss_words(stage: Stage) -> None:
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    words = "fork/exec /opt/extensions/watcher: permission denied"
    for _ in range(2):
        stage.runtime().running.extension_exit("watcher", launch_error=words)
    assert stage.error_of("a") == {
        "errorType": "Extension.LaunchError",
        "errorMessage": f"RequestId: a Error: {words}",
    }
    assert "EXTENSION\tName: watcher\tState: LaunchError\tEvents: []\tError Type: PermissionDenied" in stage.log_text()


def test_an_extension_that_reports_a_failed_initialization_fails_it_when_it_exits(stage: Stage) -> None:
    stage.executor.extensions = ("watcher",)
    stage.invoke("a")
    for _ in range(2):
        extension = ExtensionPlayer(stage, stage.runtime()).register("INVOKE")
        stage.extensions.init_error(extension.environment_id, extension.identifier, "Extension.NoLicense")
        stage.runtime().running.extension_exit("watcher", status=0)
    assert stage.error_of("a") == {
        "errorType": "Extension.InitError",
        "errorMessage": "RequestId: a Error: exit code 0",
    }
    assert "State: InitError\tEvents: [INVOKE]\tError Type: Extension.NoLicense" in stage.log_text()


def test_an_extension_that_reports_an_error_and_stays_is_not_waited_for(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    stage.extensions.exit_error(runtime.id, extension.identifier, "Extension.Broken")
    stage.clock.advance(1.1)
    assert stage.error_of("a")["errorType"] == "Extension.ExitError"
    assert stage.front_controller.running == 0


def test_an_idle_environment_whose_extension_reports_an_error_gets_no_more_work(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    runtime.respond()
    runtime.next()
    extension.next()
    stage.extensions.exit_error(runtime.id, extension.identifier, "Extension.Broken")
    stage.invoke("b")
    assert len(stage.executor.started) == 2


def test_an_initialization_error_after_next_is_out_of_order(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    with refused("Extension.InvalidExtensionState"):
        stage.extensions.init_error(runtime.id, extension.identifier, "Extension.Broken")


def test_an_error_report_without_its_type_is_refused(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    with refused("Extension.MissingHeader"):
        stage.extensions.exit_error(runtime.id, extension.identifier, None)


# --- shutdown ---------------------------------------------------------------------------------------------------------


def idle(stage: Stage, runtime: Runtime, extension: ExtensionPlayer) -> None:
    runtime.respond()
    runtime.next()
    extension.next()


def test_an_external_extension_is_told_why_its_environment_ends_once_the_runtime_has_ended(stage: Stage) -> None:
    runtime, extension = with_external(stage, "INVOKE", "SHUTDOWN")
    idle(stage, runtime, extension)
    stage.fleet.retire(runtime.running.spec.function.arn, "another deployment")
    assert runtime.running.runtime_grace_seconds == 0.3
    assert extension.events == ["INVOKE"]
    runtime.running.exit(status=0)
    deadline_ms = int((stage.clock.now() + 2.0) * 1000)
    assert extension.got[-1] == {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": deadline_ms}
    assert not runtime.running.stopped
    runtime.running.extension_exit("watcher", status=0)
    assert runtime.running.stopped


def test_an_extension_that_does_not_end_is_killed_after_two_seconds(stage: Stage) -> None:
    runtime, extension = with_external(stage, "SHUTDOWN")
    stage.clock.advance(3.0)
    stage.clock.advance(0.31)
    assert extension.got[-1]["shutdownReason"] == "timeout"
    stage.clock.advance(1.6)
    assert not runtime.running.stopped
    stage.clock.advance(0.1)
    assert runtime.running.stopped


def test_an_extension_at_work_is_told_of_the_end_when_it_asks_for_its_next_event(stage: Stage) -> None:
    runtime, extension = with_external(stage, "INVOKE", "SHUTDOWN")
    runtime.running.exit(status=1)
    assert extension.events == ["INVOKE"]
    extension.next()
    assert extension.got[-1]["shutdownReason"] == "failure"


def test_with_internal_extensions_only_the_runtime_has_half_a_second(stage: Stage) -> None:
    runtime, extension = with_internal(stage, "INVOKE")
    idle(stage, runtime, extension)
    stage.fleet.retire(runtime.running.spec.function.arn, "another deployment")
    assert runtime.running.runtime_grace_seconds == 0.5
    stage.clock.advance(0.4)
    assert not runtime.running.stopped
    stage.clock.advance(0.2)
    assert runtime.running.stopped


def test_without_extensions_an_environment_ends_at_once(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond()
    runtime.next()
    stage.fleet.retire(runtime.running.spec.function.arn, "another deployment")
    assert runtime.running.stopped
    assert runtime.running.runtime_grace_seconds is None


def test_a_server_that_stops_waits_for_extensions_to_end(stage: Stage) -> None:
    runtime, extension = with_external(stage, "INVOKE", "SHUTDOWN")
    idle(stage, runtime, extension)
    before = stage.clock.monotonic()
    stage.fleet.close()
    stage.supervisor.close()
    assert extension.events[-1] == "SHUTDOWN"
    assert runtime.running.stopped
    assert stage.clock.monotonic() - before <= 2.1


def test_a_server_that_stops_still_delivers_an_answer_that_waited_for_extensions(stage: Stage) -> None:
    runtime, _ = with_internal(stage, "INVOKE", want_log_tail=True)
    runtime.respond()
    runtime.next()
    stage.fleet.close()
    stage.supervisor.close()
    assert stage.results["a"].payload == b'"done"'
