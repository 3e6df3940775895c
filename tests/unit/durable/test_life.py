"""From the beginning of an execution to its end: time, invocations and their answers, pauses, callbacks."""

import json
from typing import Any

import pytest

from rie_server.errors import (
    CallbackTimeoutException,
    InvalidParameterValueException,
    LambdaError,
    ResourceConflictException,
    ResourceNotFoundException,
    TooManyRequestsException,
)
from rie_server.model import durable_callbacks as callbacks
from rie_server.model.durable_answers import ATTEMPTS, after_invocation
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import ExecutionStatus, OperationStatus, ParentOperation
from rie_server.model.durable_life import begun, check_startable, lose_invocation, news_told, stop
from rie_server.model.durable_pauses import check_deletable, pause, resume
from rie_server.model.invocation import InvokeResult
from tests.unit.durable.durable_story import (
    EXECUTION,
    INVOCATION,
    NOW,
    beginning,
    event_types,
    only,
    run,
    running,
    save,
    settled,
    update,
)


def answered(draft: DurableDraft, document: Any, *, at: float = NOW, invocation: str = INVOCATION) -> DurableDraft:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    after_invocation(
        draft, invocation, InvokeResult(payload=payload, function_error=None, executed_version="1"), now=at
    )
    return draft


def failed(draft: DurableDraft, message: str = "no", *, at: float = NOW) -> None:
    payload = json.dumps({"errorMessage": message, "errorType": "Crash", "stackTrace": ["a"]}).encode()
    after_invocation(
        draft, INVOCATION, InvokeResult(payload=payload, function_error="Unhandled", executed_version="1"), now=at
    )


def refused(draft: DurableDraft, refusal: LambdaError, *, at: float = NOW) -> None:
    result = InvokeResult(payload=b"", function_error=None, executed_version="", refusal=refusal)
    after_invocation(draft, INVOCATION, result, now=at)


# --- beginning and time -----------------------------------------------------------------------------------------------


def test_a_new_execution_is_due_at_once_and_is_its_own_first_operation() -> None:
    draft = begun(beginning(), now=NOW)

    assert draft.wake_at == NOW
    assert [one.id for one in draft.operations.values()] == [EXECUTION]
    next_run = run(draft)
    assert next_run is not None
    assert next_run.updated == ()
    assert draft.unseen == []
    assert run(draft) is None, "one invocation at a time"


@pytest.mark.parametrize(
    ("qualifier", "waits", "seconds", "words"),
    [
        (None, False, 60, "You cannot invoke a durable function using an unqualified ARN."),
        ("1", True, 901, "with an executionTimeout greater than 15 minutes."),
        ("1", True, 900, ""),
        ("live", False, 31_622_400, ""),
    ],
)
def test_who_may_begin_an_execution(qualifier: str | None, waits: bool, seconds: int, words: str) -> None:
    config = DurableConfig(execution_timeout_seconds=seconds)
    if not words:
        check_startable(config, qualifier=qualifier, waits=waits)
        return
    with pytest.raises(InvalidParameterValueException, match=words):
        check_startable(config, qualifier=qualifier, waits=waits)


def test_an_execution_that_takes_too_long_is_over_whatever_runs() -> None:
    draft = running()

    assert draft.wake_at == NOW + 600
    assert run(draft, at=NOW + 600) is None

    assert draft.execution.status is ExecutionStatus.TIMED_OUT
    assert draft.execution.error == {"ErrorMessage": "Execution timed out after 600 seconds."}
    answered(draft, {"Status": "SUCCEEDED", "Result": "1"}, at=NOW + 601)
    assert draft.execution.status is ExecutionStatus.TIMED_OUT
    assert event_types(draft) == ["ExecutionTimedOut", "InvocationCompleted"]


def test_the_end_of_a_wait_invokes_the_function_and_says_what_has_changed() -> None:
    draft = running()
    save(draft, update("WAIT", "START", seconds=30))
    answered(draft, {"Status": "PENDING"})
    assert draft.wake_at == NOW + 30

    assert run(draft, at=NOW + 29.9) is None
    next_run = run(draft, at=NOW + 30)

    assert next_run is not None
    assert next_run.updated == ("one",)
    assert only(draft).status is OperationStatus.SUCCEEDED


def test_what_ends_while_the_function_runs_and_is_not_told_invokes_it_once_more() -> None:
    draft = running()
    save(draft, update("WAIT", "START", seconds=30))
    run(draft, at=NOW + 30)

    answered(draft, {"Status": "PENDING"}, at=NOW + 31)

    assert draft.wake_at == NOW + 31


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_result_ends_the_execution() -> None:
    draft = answered(running(), {"Status": "SUCCEEDED", "Result": '{"sum": 3}'}, at=NOW + 2)

    assert (draft.execution.status, draft.execution.result) == (ExecutionStatus.SUCCEEDED, '{"sum": 3}')
    assert draft.execution.ended_at == NOW + 2
    assert draft.operations[EXECUTION].status is OperationStatus.SUCCEEDED
    assert event_types(draft) == ["InvocationCompleted", "ExecutionSucceeded"]
    assert draft.wake_at is None
    assert draft.execution.expires_at == NOW + 2 + 14 * 86_400


def test_an_error_ends_it_too() -> None:
    error = {"ErrorMessage": "no", "ErrorType": "Sold out"}
    draft = answered(running(), {"Status": "FAILED", "Error": error})

    assert (draft.execution.status, draft.execution.error) == (ExecutionStatus.FAILED, error)
    assert draft.events[0]["InvocationCompletedDetails"]["Error"]["Payload"] == error


def test_an_error_keeps_what_an_error_may_have() -> None:
    error = {"ErrorMessage": "no", "ErrorType": 5, "StackTrace": ["a", 1], "More": "x"}

    draft = answered(running(), {"Status": "FAILED", "Error": error})

    assert draft.execution.error == {"ErrorMessage": "no", "StackTrace": ["a", "1"]}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "Invalid Status in invocation output."),
        (b"no json", "Invalid Status in invocation output."),
        (["list"], "Invalid Status in invocation output."),
        ({"Status": "DONE"}, "Invalid Status in invocation output."),
        ({"Status": ["SUCCEEDED"]}, "Invalid Status in invocation output."),
        ({"Status": "SUCCEEDED", "Error": {}}, "Cannot provide an Error for SUCCEEDED status."),
        ({"Status": "FAILED", "Result": "1"}, "Cannot provide a Result for FAILED status."),
        ({"Status": "SUCCEEDED", "Result": {"a": 1}}, "Invalid Result or Error in invocation output."),
        ({"Status": "SUCCEEDED", "Result": "x" * 1_048_577}, "Execution output payload size must be less than"),
    ],
)
def test_an_answer_against_the_protocol_fails_the_execution(answer: Any, words: str) -> None:
    draft = answered(running(), answer)

    assert draft.execution.status is ExecutionStatus.FAILED
    assert draft.execution.error is not None
    assert words in draft.execution.error["ErrorMessage"]
    assert draft.execution.error["ErrorType"] == "InvalidParameterValueException"


def test_waiting_for_nothing_is_forgiven_twice() -> None:
    draft = running()
    for _ in range(2):
        answered(draft, {"Status": "PENDING"})
        assert run(draft) is not None

    answered(draft, {"Status": "PENDING"})

    assert draft.execution.error == {
        "ErrorMessage": "Cannot return PENDING status with no pending operations.",
        "ErrorType": "InvalidParameterValueException",
    }


def test_a_function_error_is_tried_again_later_and_later_and_then_ends_the_execution() -> None:
    draft, at, waits = running(), NOW, []
    for _ in range(ATTEMPTS - 1):
        failed(draft, at=at)
        assert draft.wake_at is not None
        waits.append(draft.wake_at - at)
        at = draft.wake_at
        assert run(draft, at=at) is not None
    failed(draft, "the last", at=at)

    assert waits == [1, 2, 4, 8]
    assert draft.execution.status is ExecutionStatus.FAILED
    assert draft.execution.error == {"ErrorMessage": "the last", "ErrorType": "Crash", "StackTrace": ["a"]}


def test_an_answer_forgives_the_failures_before_it() -> None:
    draft = running()
    failed(draft)
    run(draft, at=NOW + 1)
    save(draft, update("WAIT", "START"))
    answered(draft, {"Status": "PENDING"})

    assert draft.execution.failures == 0


def test_a_throttle_uses_up_no_attempt_and_waits_longer_each_time() -> None:
    draft, at, waits = running(), NOW, []
    for _ in range(12):
        refused(draft, TooManyRequestsException("ConcurrentInvocationLimitExceeded"), at=at)
        draft.update(timeout_at=at + 10_000)
        assert draft.wake_at is not None
        waits.append(draft.wake_at - at)
        at = draft.wake_at
        assert run(draft, at=at) is not None

    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == 300
    assert draft.execution.failures == 0


def test_a_function_that_is_gone_fails_its_executions() -> None:
    draft = running()
    refused(draft, ResourceNotFoundException("Function not found: x"))

    assert draft.execution.error == {
        "ErrorMessage": "Function not found: x",
        "ErrorType": "ResourceNotFoundException",
    }


def test_a_late_answer_of_an_invocation_that_was_given_up_counts_for_nothing() -> None:
    draft = running()
    lose_invocation(draft, "server/1", now=NOW + 5)
    other = "00000000-0000-4000-8000-00000000000b"
    assert run(draft, at=NOW + 5, invocation=other) is not None

    answered(draft, {"Status": "SUCCEEDED", "Result": "1"})
    assert draft.execution.status is ExecutionStatus.RUNNING

    answered(draft, {"Status": "SUCCEEDED", "Result": "2"}, invocation=other)
    assert draft.execution.result == "2"


def test_an_invocation_is_lost_only_with_its_own_server() -> None:
    draft = running()

    lose_invocation(draft, "server/2", now=NOW)

    assert draft.execution.invocation is not None


def test_an_ordinary_function_that_was_chained_runs_once_and_goes_when_its_parent_knows() -> None:
    parent = ParentOperation(execution_id="p", operation_id="o")
    draft = answered(running(is_plain=True, parent=parent), {"any": "thing"}, at=NOW + 1)

    assert draft.execution.result == '{"any": "thing"}'
    assert draft.events == []
    assert (draft.wake_at, draft.execution.expires_at) == (NOW + 1, None)
    news_told(draft)
    assert (draft.wake_at, draft.execution.expires_at) == (None, NOW + 1)


def test_an_ordinary_function_that_fails_is_not_tried_again() -> None:
    draft = running(is_plain=True, parent=ParentOperation(execution_id="p", operation_id="o"))
    failed(draft)

    assert draft.execution.error == {"ErrorMessage": "no", "ErrorType": "Crash", "StackTrace": ["a"]}


# --- stop, pause, resume, delete --------------------------------------------------------------------------------------


def test_an_execution_is_stopped_once() -> None:
    draft = running()
    stop(draft, {"ErrorMessage": "enough"}, now=NOW + 1)
    stop(draft, {"ErrorMessage": "again"}, now=NOW + 2)

    assert (draft.execution.status, draft.execution.ended_at) == (ExecutionStatus.STOPPED, NOW + 1)
    assert draft.execution.error == {"ErrorMessage": "enough"}


def halted(
    draft: DurableDraft, *, stops_timeout: bool = True, client_token: str | None = None, at: float = NOW
) -> None:
    pause(draft, reason="lunch", stops_timeout=stops_timeout, client_token=client_token, now=at)


def test_a_pause_waits_for_the_next_checkpoint_whose_updates_count() -> None:
    draft = running()
    halted(draft)
    assert draft.execution.status is ExecutionStatus.PAUSING

    answer = save(draft, update("STEP", "SUCCEED"))

    assert (answer.token, list(answer.operations)) == (None, [])
    assert draft.execution.status is ExecutionStatus.PAUSED
    assert only(draft).status is OperationStatus.SUCCEEDED
    answered(draft, {"Status": "PENDING"})
    assert run(draft, at=NOW + 1) is None
    resume(draft, reason=None, client_token=None, now=NOW + 2)
    assert run(draft, at=NOW + 2) is not None


def test_an_invocation_that_ends_without_a_checkpoint_is_where_the_pause_begins() -> None:
    draft = running()
    save(draft, update("CALLBACK", "START"))
    halted(draft)

    answered(draft, {"Status": "PENDING"})

    assert draft.execution.status is ExecutionStatus.PAUSED
    resume(draft, reason=None, client_token=None, now=NOW + 1)
    assert draft.execution.run_at is None, "nothing has ended meanwhile"


def test_a_pause_can_be_taken_back_before_it_begins() -> None:
    draft = running()
    halted(draft)
    resume(draft, reason="no lunch", client_token=None, now=NOW + 1)

    assert draft.execution.status is ExecutionStatus.RUNNING
    assert save(draft, update("STEP", "START")).token is not None
    assert event_types(draft)[:2] == ["ExecutionPaused", "ExecutionResumed"]


def test_timers_go_on_during_a_pause_and_what_they_bring_waits() -> None:
    draft = running()
    save(draft, update("WAIT", "START", seconds=5))
    answered(draft, {"Status": "PENDING"})
    halted(draft)

    assert run(draft, at=NOW + 5) is None
    assert only(draft).status is OperationStatus.SUCCEEDED
    resume(draft, reason=None, client_token=None, now=NOW + 9)
    assert run(draft, at=NOW + 9) is not None


@pytest.mark.parametrize(("stops_timeout", "timeout_at"), [(True, NOW + 700), (False, NOW + 600)])
def test_the_execution_timeout_stands_still_if_it_is_told_to(stops_timeout: bool, timeout_at: float) -> None:
    draft = running()
    halted(draft, stops_timeout=stops_timeout, at=NOW + 100)
    if stops_timeout:
        assert draft.execution.timeout_at == NOW + 366 * 86_400
    resume(draft, reason=None, client_token=None, now=NOW + 200)

    assert draft.execution.timeout_at == timeout_at


def test_a_pause_that_is_asked_for_twice_with_one_token_is_one() -> None:
    draft = running()
    halted(draft, client_token="abc")
    halted(draft, client_token="abc", at=NOW + 900)
    assert event_types(draft) == ["ExecutionPaused"]

    for late in ({"client_token": "abc", "at": NOW + 901}, {"client_token": "def"}, {"client_token": None}):
        with pytest.raises(ResourceConflictException, match="PAUSING"):
            halted(draft, **late)  # type: ignore[arg-type]


def test_only_what_runs_is_paused_only_what_is_paused_is_resumed_only_what_is_over_is_deleted() -> None:
    draft = running()
    with pytest.raises(ResourceConflictException, match="RUNNING"):
        resume(draft, reason=None, client_token=None, now=NOW)
    with pytest.raises(ResourceConflictException, match="RUNNING"):
        check_deletable(draft)
    stop(draft, None, now=NOW)
    with pytest.raises(ResourceConflictException, match="STOPPED"):
        halted(draft)
    with pytest.raises(ResourceConflictException, match="STOPPED"):
        check_deletable(draft)
    answered(draft, {"Status": "PENDING"})
    check_deletable(draft)


def test_an_execution_whose_parent_has_yet_to_hear_of_its_end_is_not_deleted() -> None:
    draft = answered(
        running(parent=ParentOperation(execution_id="p", operation_id="o")), {"Status": "SUCCEEDED", "Result": "1"}
    )
    with pytest.raises(ResourceConflictException, match="SUCCEEDED"):
        check_deletable(draft)
    news_told(draft)
    check_deletable(draft)


# --- callbacks --------------------------------------------------------------------------------------------------------


def waiting(**options: int) -> DurableDraft:
    draft = running()
    save(draft, update("CALLBACK", "START", CallbackOptions=options))
    answered(draft, {"Status": "PENDING"})
    return settled(draft)


def test_a_callback_that_succeeds_invokes_the_function() -> None:
    draft = waiting()
    callbacks.succeed(draft, "one", '"yes"', now=NOW + 1)

    assert (only(draft).status, only(draft).details["Result"]) == (OperationStatus.SUCCEEDED, '"yes"')
    assert draft.wake_at == NOW + 1
    assert event_types(draft) == ["CallbackSucceeded"]


def test_a_callback_that_fails_does_so_too_with_or_without_an_error() -> None:
    for given, kept in (({"ErrorMessage": "no"}, {"ErrorMessage": "no"}), (None, {})):
        draft = waiting()
        callbacks.fail(draft, "one", given, now=NOW + 1)

        assert (only(draft).status, only(draft).details["Error"]) == (OperationStatus.FAILED, kept)
        assert draft.wake_at == NOW + 1


def test_a_heartbeat_puts_the_next_one_off_but_not_the_timeout() -> None:
    draft = waiting(TimeoutSeconds=100, HeartbeatTimeoutSeconds=60)
    before = draft.execution.changes
    callbacks.beat(draft, "one", now=NOW + 30)
    assert only(draft).due_at == NOW + 90

    callbacks.beat(draft, "one", now=NOW + 89)
    assert only(draft).due_at == NOW + 100
    assert draft.execution.changes == before, "the handler has nothing to be told"
    assert run(draft, at=NOW + 100) is not None
    assert only(draft).details["Error"]["ErrorType"] == "Callback.Timeout"


@pytest.mark.parametrize("case", ["answered", "late", "stopped", "unknown", "no execution", "another kind"])
def test_a_callback_nobody_waits_for_is_refused(case: str) -> None:
    draft: DurableDraft | None = waiting(TimeoutSeconds=10)
    name, now = "one", NOW + 1
    assert draft is not None
    if case == "answered":
        callbacks.succeed(draft, "one", None, now=NOW)
    elif case == "late":
        now = NOW + 10
    elif case == "stopped":
        stop(draft, None, now=NOW)
    elif case == "unknown":
        name = "two"
    elif case == "another kind":
        name = EXECUTION
    else:
        draft = None

    for call in (
        lambda: callbacks.succeed(draft, name, None, now=now),
        lambda: callbacks.fail(draft, name, None, now=now),
        lambda: callbacks.beat(draft, name, now=now),
    ):
        with pytest.raises(CallbackTimeoutException, match="either timed out or already completed"):
            call()
