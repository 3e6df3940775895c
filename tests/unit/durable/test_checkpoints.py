"""What a checkpoint may say, and what follows from it."""

from typing import Any

import pytest

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import DURABLE_OPERATIONS, DURABLE_PAYLOAD_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.durable_checkpoint import answered_again, chained_ended, chained_outcome, check_token
from rie_server.model.durable_checks import LEGAL_MOVES
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_execution import ExecutionStatus, OperationStatus, OperationType
from rie_server.model.durable_life import end, fire_timers, lose_invocation
from rie_server.model.durable_updates import ChainedTarget
from tests.unit.durable.durable_story import (
    EXECUTION,
    NOW,
    event_types,
    only,
    run,
    running,
    save,
    settled,
    update,
)

ACTIONS = ("START", "SUCCEED", "FAIL", "RETRY", "CANCEL")
# How an operation gets into each of its statuses.
WAYS: dict[tuple[str, str | None], tuple[Any, ...]] = {
    ("STEP", None): (),
    ("STEP", "STARTED"): (update("STEP", "START"),),
    ("STEP", "PENDING"): (update("STEP", "RETRY"),),
    ("STEP", "READY"): (update("STEP", "RETRY", seconds=1), "later"),
    ("STEP", "SUCCEEDED"): (update("STEP", "SUCCEED"),),
    ("STEP", "FAILED"): (update("STEP", "FAIL"),),
    ("CONTEXT", None): (),
    ("CONTEXT", "STARTED"): (update("CONTEXT", "START"),),
    ("CONTEXT", "SUCCEEDED"): (update("CONTEXT", "SUCCEED"),),
    ("CONTEXT", "FAILED"): (update("CONTEXT", "FAIL"),),
    ("WAIT", None): (),
    ("WAIT", "STARTED"): (update("WAIT", "START"),),
    ("WAIT", "SUCCEEDED"): (update("WAIT", "START", seconds=1), "later"),
    ("WAIT", "CANCELLED"): (update("WAIT", "START"), update("WAIT", "CANCEL")),
    ("CALLBACK", None): (),
    ("CALLBACK", "STARTED"): (update("CALLBACK", "START"),),
    ("CALLBACK", "TIMED_OUT"): (update("CALLBACK", "START", CallbackOptions={"TimeoutSeconds": 1}), "later"),
    ("CHAINED_INVOKE", None): (),
    ("CHAINED_INVOKE", "FAILED"): (update("CHAINED_INVOKE", "START"),),
}
PRICE = ChainedTarget(
    function=FunctionArn(region="us-east-1", account="123456789012", name="price", qualifier="live"),
    version="7",
    config=DurableConfig(execution_timeout_seconds=30),
    name="child",
    execution_id="00000000-0000-4000-8000-000000000002",
)


def refusal(*updates: dict[str, Any], **members: Any) -> str:
    with pytest.raises(InvalidParameterValueException) as refused:
        save(running(**members), *updates)
    return refused.value.message


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("kind", "status"), list(WAYS))
def test_an_operation_makes_the_moves_of_the_table_and_no_others(kind: str, status: str | None, action: str) -> None:
    draft = running()
    for step in WAYS[kind, status]:
        if step == "later":
            fire_timers(draft, now=NOW + 1)
        else:
            save(draft, step)
        draft = settled(draft)
    before = draft.operations.get("one")
    assert (None if before is None else before.status) == status
    asked = update(kind, action)
    statuses, words = LEGAL_MOVES.get((OperationType(kind), action), (frozenset(), "Invalid action for the given"))

    if (None if before is None else before.status) in statuses:
        save(draft, asked)
        assert only(draft).touched > (0 if before is None else before.touched)
    else:
        with pytest.raises(InvalidParameterValueException, match=words):
            save(draft, asked)


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        (
            (update("EXECUTION", "SUCCEED", "a"), update("EXECUTION", "FAIL", "b")),
            "Cannot checkpoint multiple EXECUTION",
        ),
        (
            (update("EXECUTION", "SUCCEED", "a"), update("STEP", "START")),
            "EXECUTION checkpoint must be the last update.",
        ),
        ((update("STEP", "START"), update("STEP", "START")), "Cannot checkpoint multiple operations with the same ID."),
        (
            (update("STEP", "FAIL"), update("STEP", "SUCCEED")),
            "Cannot checkpoint multiple operations with the same ID.",
        ),
        (
            (update("WAIT", "START"), update("WAIT", "CANCEL")),
            "Cannot checkpoint multiple operations with the same ID.",
        ),
        ((update("STEP", "START", ParentId="nobody"),), "Invalid parent operation id."),
        ((update("STEP", "START"), update("STEP", "START", "two", ParentId="one")), "Invalid parent operation id."),
        ((update("STEP", "FAIL", Payload="1"),), "Cannot provide a Payload for FAIL action."),
        ((update("STEP", "SUCCEED", Error={}),), "Cannot provide an Error for SUCCEED action."),
        ((update("CONTEXT", "FAIL", Payload="1"),), "Cannot provide a Payload for FAIL action."),
        ((update("EXECUTION", "SUCCEED", Error={}),), "Cannot provide an Error for SUCCEED action."),
        ((update("EXECUTION", "START"),), "Invalid action for the given operation type."),
        ((update("STEP", "RETRY", StepOptions={}),), "Invalid StepOptions for the given action."),
        ((update("STEP", "RETRY", Error={}, Payload="1"),), "Cannot provide both error and payload to RETRY a STEP."),
        ((update("WAIT", "START", WaitOptions={}),), "Invalid WaitOptions for the given action."),
        (
            ({"Id": "one", "Type": "CHAINED_INVOKE", "Action": "START"},),
            "Update for CHAINED_INVOKE operation requires ChainedInvokeOptions.",
        ),
        (
            (update("STEP", "SUCCEED", Payload="x" * (DURABLE_PAYLOAD_BYTES + 1)),),
            "STEP output payload size must be less than or equal to 1048576 bytes.",
        ),
        (
            (update("CHAINED_INVOKE", "START", Payload="x" * (DURABLE_PAYLOAD_BYTES + 1)),),
            "CHAINED_INVOKE input payload size must be less than or equal to 1048576 bytes.",
        ),
        (
            (update("EXECUTION", "SUCCEED", Payload="ü" * (DURABLE_PAYLOAD_BYTES // 2 + 1)),),
            "Execution output payload size must be less than or equal to 1048576 bytes.",
        ),
        (
            (update("STEP", "FAIL", Error={"ErrorData": "x" * DURABLE_PAYLOAD_BYTES}),),
            "Error object size must be less than 1048576 bytes.",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_in_awss_words(updates: tuple[dict[str, Any], ...], words: str) -> None:
    assert words in refusal(*updates)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("Name", "other", "Inconsistent operation name."),
        ("SubType", "Other", "Inconsistent operation subtype."),
        ("Type", "CONTEXT", "Inconsistent operation type."),
        ("ParentId", "box", "Inconsistent parent operation id."),
    ],
)
def test_an_operation_stays_what_it_is(member: str, value: str, words: str) -> None:
    draft = running()
    save(draft, update("CONTEXT", "START", "box"), update("STEP", "START", Name="charge", SubType="Step"))

    with pytest.raises(InvalidParameterValueException, match=words):
        save(settled(draft), {**update("STEP", "SUCCEED"), member: value})


def test_an_execution_has_only_so_many_operations() -> None:
    draft = running()
    draft.update(operations=DURABLE_OPERATIONS - 1)

    save(draft, update("STEP", "START"))
    with pytest.raises(InvalidParameterValueException, match="operation count"):
        save(draft, update("STEP", "START", "two"))


def test_a_synchronous_execution_may_have_a_larger_result() -> None:
    draft = running(result_limit_bytes=6 * 1024 * 1024)

    save(draft, update("EXECUTION", "SUCCEED", Payload="x" * (2 * DURABLE_PAYLOAD_BYTES)))

    assert draft.execution.status is ExecutionStatus.SUCCEEDED


def test_a_step_begins_and_ends_in_one_checkpoint() -> None:
    draft = running()

    answer = save(draft, update("STEP", "START"), update("STEP", "SUCCEED", Payload="5"))

    assert only(draft).status is OperationStatus.SUCCEEDED
    assert only(draft).details == {"Attempt": 1, "Result": "5"}
    assert [one.id for one in answer.operations] == ["one"]
    assert event_types(draft) == ["StepStarted", "StepSucceeded"]


def test_a_step_that_is_retried_waits_and_counts_its_attempts() -> None:
    draft = running()
    save(draft, update("STEP", "START"), update("STEP", "RETRY", seconds=7, Error={"ErrorMessage": "no"}))

    waiting = only(draft)
    assert (waiting.status, waiting.due_at) == (OperationStatus.PENDING, NOW + 7)
    assert waiting.details == {"Attempt": 1, "Error": {"ErrorMessage": "no"}, "NextAttemptTimestamp": NOW + 7}
    assert draft.events[-1]["StepFailedDetails"]["RetryDetails"] == {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 7}

    fire_timers(draft, now=NOW + 7)
    assert only(draft).status is OperationStatus.READY
    save(settled(draft), update("STEP", "START"), at=NOW + 7)


def test_a_condition_that_is_polled_keeps_its_state_from_one_attempt_to_the_next() -> None:
    draft = running()
    save(draft, update("STEP", "START"), update("STEP", "RETRY", Payload='"half"'))
    assert event_types(draft) == ["StepStarted", "StepSucceeded"]

    fire_timers(draft, now=NOW + 5)
    save(draft, update("STEP", "START"))

    assert only(draft).details == {"Attempt": 1, "Result": '"half"'}


def test_a_wait_ends_by_itself_within_the_invocation_that_goes_on_meanwhile() -> None:
    draft = running()
    save(draft, update("WAIT", "START", seconds=3))

    answer = save(settled(draft), update("STEP", "START", "two"), at=NOW + 3)

    assert [(one.id, one.status) for one in answer.operations] == [("one", "SUCCEEDED"), ("two", "STARTED")]
    assert draft.execution.run_at is None


def test_an_answer_tells_what_is_new_and_nothing_twice() -> None:
    draft = running()

    assert [one.id for one in save(draft, update("STEP", "START")).operations] == ["one"]
    assert save(settled(draft)).operations == []


def test_each_checkpoint_uses_up_its_token() -> None:
    draft = running()
    first = draft.execution.checkpoint_token
    answer = save(draft, update("STEP", "START"))

    assert answer.token not in {None, first}
    check_token(draft, answer.token or "", EXECUTION)
    for wrong in (first, "x", "00", EXECUTION):
        with pytest.raises(InvalidParameterValueException, match="Invalid checkpoint token"):
            check_token(draft, wrong, EXECUTION)
    with pytest.raises(InvalidParameterValueException, match="not valid for the durable execution ARN"):
        check_token(draft, answer.token or "", "00000000-0000-4000-8000-000000000009")


def test_no_token_is_good_once_the_invocation_or_the_execution_is_over() -> None:
    draft = running()
    token = draft.execution.checkpoint_token
    ended = settled(draft)
    end(ended, ExecutionStatus.STOPPED, now=NOW)
    idle = settled(draft)
    idle.update(invocation=None)

    for one in (ended, idle, None):
        with pytest.raises(InvalidParameterValueException, match="Invalid checkpoint token"):
            check_token(one, token, EXECUTION)


def test_a_checkpoint_that_is_sent_again_is_answered_again() -> None:
    draft = running()
    token = draft.execution.checkpoint_token
    answer = save(draft, update("STEP", "START"), client_token="abc")

    again = answered_again(draft, token, "abc")

    assert again is not None
    assert (again.token, again.operations) == (answer.token, list(answer.operations))
    assert answered_again(draft, token, "other") is None
    assert answered_again(draft, token, None) is None
    assert answered_again(draft, answer.token or "", "abc") is None


def test_an_invocation_that_was_given_up_gets_no_answer_again() -> None:
    draft = running()
    token = draft.execution.checkpoint_token
    save(draft, update("STEP", "START"), client_token="abc")
    lose_invocation(draft, "server/1", now=NOW)
    assert answered_again(draft, token, "abc") is None

    assert run(draft, invocation="00000000-0000-4000-8000-00000000000b") is not None

    assert answered_again(draft, token, "abc") is None


def test_a_checkpoint_can_end_the_execution() -> None:
    draft = running()

    answer = save(draft, update("EXECUTION", "FAIL", "result", Error={"ErrorMessage": "no"}))

    assert answer.token is None
    assert draft.execution.status is ExecutionStatus.FAILED
    assert draft.execution.error == {"ErrorMessage": "no"}
    assert "result" not in draft.operations
    assert event_types(draft) == ["ExecutionFailed"]


def test_a_callback_has_an_id_and_gives_up_at_the_earlier_of_its_times() -> None:
    draft = running()
    save(draft, update("CALLBACK", "START", CallbackOptions={"TimeoutSeconds": 60, "HeartbeatTimeoutSeconds": 10}))

    assert only(draft).due_at == NOW + 10
    assert draft.events[-1]["CallbackStartedDetails"] == {
        "CallbackId": only(draft).details["CallbackId"],
        "Timeout": 60,
        "HeartbeatTimeout": 10,
    }
    fire_timers(draft, now=NOW + 10)
    assert only(draft).details["Error"] == {
        "ErrorMessage": "Callback timed out on heartbeat",
        "ErrorType": "Callback.Heartbeat",
    }


def test_a_callback_without_options_waits_for_ever() -> None:
    draft = running()
    save(draft, update("CALLBACK", "START", CallbackOptions={"TimeoutSeconds": 0}))

    assert only(draft).due_at is None


def test_a_chained_invoke_begins_an_execution_of_its_own() -> None:
    draft = running()
    save(draft, update("CHAINED_INVOKE", "START", function="price:live", Payload="[1]"), targets={"one": PRICE})

    ((child, given),) = draft.children
    assert given == "[1]"
    assert str(child.execution.arn.function) == "arn:aws:lambda:us-east-1:123456789012:function:price:7"
    assert "Lineage=" in child.execution.trace_header
    assert draft.events[-1]["ChainedInvokeStartedDetails"] == {
        "FunctionName": "price:live",
        "Input": {"Payload": "[1]", "Truncated": False},
        "ExecutedVersion": "7",
        "DurableExecutionArn": str(child.execution.arn),
    }


def test_a_chained_invoke_without_a_payload_gives_an_empty_object() -> None:
    draft = running()
    save(draft, update("CHAINED_INVOKE", "START"), targets={"one": PRICE})

    assert draft.children[0][1] == "{}"


def test_a_target_that_cannot_be_invoked_fails_its_operation_at_once() -> None:
    draft = running()
    error = {"ErrorMessage": "Function not found: x", "ErrorType": "ResourceNotFoundException"}

    answer = save(
        draft, update("CHAINED_INVOKE", "START"), targets={"one": ChainedTarget(function=PRICE.function, error=error)}
    )

    assert [(one.status, one.details["Error"]) for one in answer.operations] == [("FAILED", error)]
    assert draft.children == []
    assert event_types(draft) == ["ChainedInvokeStarted", "ChainedInvokeFailed"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ExecutionStatus.SUCCEEDED, (OperationStatus.SUCCEEDED, '"r"', None)),
        (ExecutionStatus.FAILED, (OperationStatus.FAILED, None, {"ErrorMessage": "e"})),
        (ExecutionStatus.STOPPED, (OperationStatus.STOPPED, None, {"ErrorMessage": "e"})),
        (
            ExecutionStatus.TIMED_OUT,
            (
                OperationStatus.TIMED_OUT,
                None,
                {"ErrorMessage": "CHAINED_INVOKE timed out after 600 seconds.", "ErrorType": "ChainedInvoke.Timeout"},
            ),
        ),
    ],
)
def test_how_a_child_ends_is_how_its_operation_ends(status: ExecutionStatus, expected: tuple[Any, ...]) -> None:
    child = running()
    end(
        child,
        status,
        result='"r"' if status is ExecutionStatus.SUCCEEDED else None,
        error=None if status is ExecutionStatus.SUCCEEDED else {"ErrorMessage": "e"},
        now=NOW,
    )
    assert chained_outcome(child.execution) == expected


def test_the_end_of_a_child_wakes_its_parent_once() -> None:
    draft = running()
    save(draft, update("CHAINED_INVOKE", "START"), targets={"one": PRICE})
    draft = settled(draft)
    draft.update(invocation=None)

    for _ in range(2):
        chained_ended(draft, "one", OperationStatus.SUCCEEDED, result="5", error=None, now=NOW + 1)

    assert only(draft).details["Result"] == "5"
    assert draft.execution.run_at == NOW + 1
    assert event_types(draft) == ["ChainedInvokeSucceeded"]
    assert run(draft, at=NOW + 1) is not None
