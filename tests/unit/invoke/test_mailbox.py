"""The Runtime API's state machine, as an environment meets it."""

import pytest

from rie_server.errors import RuntimeApiError
from tests.unit.invoke.conftest import Stage


def refusal(error: pytest.ExceptionInfo[RuntimeApiError]) -> tuple[int, str]:
    return error.value.status, error.value.error_type


def test_an_answer_with_an_unknown_request_id_is_refused_before_the_state_is_looked_at(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    with pytest.raises(RuntimeApiError) as refused:
        stage.mailbox.response(runtime.id, "other", b"1")
    assert refusal(refused) == (400, "InvalidRequestID")
    assert refused.value.message == "Invalid request ID"


def test_an_environment_cannot_answer_anothers_invocation(stage: Stage) -> None:
    stage.invoke("a")
    stage.invoke("b")
    first, second = stage.runtime(0).next(), stage.runtime(1).next()
    with pytest.raises(RuntimeApiError) as refused:
        stage.mailbox.response(second.id, first.request_id, b"1")
    assert refusal(refused) == (400, "InvalidRequestID")
    assert stage.results == {}


def test_a_second_answer_is_an_illegal_move_and_changes_nothing(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    runtime.respond(b"1")
    with pytest.raises(RuntimeApiError) as refused:
        runtime.respond(b"2")
    assert refusal(refused) == (403, "InvalidStateTransition")
    assert refused.value.message == (
        "State transition from RuntimeResponseSentState to InvocationResponse failed for runtime. "
        "Error: State transition is not allowed"
    )
    assert stage.results["a"].payload == b"1"


def test_next_called_again_while_an_invocation_runs_gets_the_same_event(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next().next()
    assert [invocation.request.request_id for invocation in runtime.got] == ["a", "a"]
    runtime.respond()
    assert stage.results["a"].function_error is None


def test_an_init_error_after_initialization_is_an_illegal_move(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    with pytest.raises(RuntimeApiError) as refused:
        stage.mailbox.init_error(runtime.id, b"{}", "Runtime.Unknown")
    assert refusal(refused) == (403, "InvalidStateTransition")


def test_next_after_an_init_error_is_an_illegal_move(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime()
    stage.mailbox.init_error(runtime.id, b"{}", "Runtime.Unknown")
    with pytest.raises(RuntimeApiError) as refused:
        runtime.next()
    assert refusal(refused) == (403, "InvalidStateTransition")


def test_an_error_goes_to_the_caller_as_it_is(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.mailbox.error(runtime.id, "a", b'{"errorMessage":"boom","errorType":"ValueError"}')
    assert stage.error_of("a") == {"errorMessage": "boom", "errorType": "ValueError"}
    runtime.next()
    stage.invoke("b")
    assert runtime.request_id == "b"


@pytest.mark.parametrize("answer", ["response", "error"])
def test_an_answer_above_six_megabytes_is_413_to_the_runtime_and_a_function_error_to_the_caller(
    stage: Stage, answer: str
) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    with pytest.raises(RuntimeApiError) as refused:
        getattr(stage.mailbox, answer)(runtime.id, "a", b"x" * 6_291_557)
    assert refusal(refused) == (413, "RequestEntityTooLarge")
    assert stage.error_of("a") == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }


def test_a_late_answer_after_the_timeout_is_an_invalid_request_id(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.clock.advance(3.5)
    with pytest.raises(RuntimeApiError) as refused:
        runtime.respond()
    assert refusal(refused) == (400, "InvalidRequestID")
    assert stage.error_of("a")["errorType"] == "Sandbox.Timedout"


def test_an_answer_in_a_mode_that_does_not_exist_fails_the_invocation(stage: Stage) -> None:
    stage.invoke("a")
    runtime = stage.runtime().next()
    with pytest.raises(RuntimeApiError) as refused:
        stage.mailbox.unreadable_response(runtime.id, "a")
    assert refusal(refused) == (400, "InvalidFunctionResponseMode")
    assert stage.error_of("a")["errorType"] == "Runtime.InvalidResponseModeHeader"
