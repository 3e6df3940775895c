"""AWS's SDK for durable executions runs its examples here, unchanged, in process functions."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.integration.durable.conftest import DurableServer, workflow
from tests.integration.invoke.deploying import create
from tests.written import lines_in

STEPS_AND_WAIT = workflow(
    """
    first = context.step(lambda _: note(event, "first") and event["n"] + 1, name="first")
    context.wait(Duration.from_seconds(1), name="rest")
    second = context.step(lambda _: note(event, "second") and first * 10, name="second")
    return {"result": second}
    """
)
RETRIES = workflow(
    """
    def flaky(step):
        with open(event["journal"], "a+") as journal:
            journal.seek(0)
            tries = len(journal.readlines())
            journal.write("try\\n")
        if tries < event["failures"]:
            raise ValueError(f"try {tries} failed")
        return tries

    strategy = create_retry_strategy(RetryStrategyConfig(
        max_attempts=3, initial_delay=Duration.from_seconds(1), backoff_rate=1
    ))
    return context.step(flaky, name="flaky", config=StepConfig(retry_strategy=strategy))
    """
)
CALLBACK = workflow(
    """
    def submit(callback_id, callback_context):
        note(event, callback_id)
    config = WaitForCallbackConfig(timeout=Duration.from_seconds(event.get("timeout", 60)))
    answer = context.wait_for_callback(submit, name="approval", config=config)
    return {"answer": answer}
    """
)
FAN_OUT = workflow(
    """
    both = context.parallel([
        lambda child: child.step(lambda _: "left", name="left"),
        lambda child: (child.wait(Duration.from_seconds(1)), child.step(lambda _: "right", name="right"))[1],
    ], name="both")
    def square(child, item, index, items):
        return child.step(lambda _: item * item, name=f"square-{index}")
    squares = context.map(event["items"], square, name="squares", config=MapConfig(max_concurrency=3))
    return {"both": both.get_results(), "squares": squares.get_results()}
    """
)
CHILD_CONTEXTS = workflow(
    """
    def inner(child):
        one = child.step(lambda _: note(event, "one") and 1, name="one")
        child.wait(Duration.from_seconds(1))
        return one + child.step(lambda _: note(event, "two") and 2, name="two")
    total = context.run_in_child_context(inner, name="inner")
    context.wait(Duration.from_seconds(1))
    return total + context.run_in_child_context(lambda child: child.step(lambda _: 10, name="ten"), name="again")
    """
)
LARGE_CHILD = workflow(
    """
    def large(child):
        return [child.step(lambda _: "x" * 100_000, name=f"part-{n}") for n in range(4)]
    parts = context.run_in_child_context(large, name="large")
    context.wait(Duration.from_seconds(1))
    return sum(len(part) for part in parts)
    """
)
LARGE_RESULT = workflow(
    """
    return "x" * (6 * 1024 * 1024 - 40)
    """
)
CONDITION = workflow(
    """
    from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
    def check(state, check_context):
        return state + 1
    def strategy(state, attempt):
        if state >= 3:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(1))
    config = WaitForConditionConfig(wait_strategy=strategy, initial_state=0)
    return context.wait_for_condition(check, config, name="poll")
    """
)
CHAIN = workflow(
    """
    doubled = context.invoke(event["durable"], {"n": event["n"]}, name="durable")
    plain = context.invoke(event["plain"], {"n": doubled}, name="plain")
    failures = []
    for target in event["failing"]:
        try:
            context.invoke(target, {"n": 1})
        except Exception as error:
            failures.append(str(error))
    return {"doubled": doubled, "plain": plain, "failures": failures}
    """
)
DOUBLE = workflow(
    """
    context.wait(Duration.from_seconds(1))
    return context.step(lambda _: event["n"] * 2, name="double")
    """
)
BROKEN = workflow(
    """
    raise RuntimeError("broken on purpose")
    """
)
SAGA = workflow(
    """
    undo = []
    def booked(name):
        context.step(lambda _: note(event, f"book {name}"), name=f"book-{name}")
        undo.append(name)
    def declined(step):
        note(event, "charge")
        raise ValueError("card declined")
    no_retry = StepConfig(retry_strategy=create_retry_strategy(RetryStrategyConfig(max_attempts=1)))
    try:
        booked("flight")
        context.wait(Duration.from_seconds(1))
        booked("hotel")
        context.step(declined, name="charge", config=no_retry)
    except Exception as error:
        for name in reversed(undo):
            context.step(lambda _, name=name: note(event, f"cancel {name}"), name=f"cancel-{name}")
        raise RuntimeError(f"trip cancelled: {error}")
    """
)
CRASH = workflow(
    """
    context.step(lambda _: note(event, "before"), name="before")
    def crash(step):
        note(event, "crash")
        with open(event["journal"]) as journal:
            if len(journal.readlines()) < 3:
                os._exit(1)
        return "survived"
    return context.step(crash, name="crash")
    """
)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_steps_run_once_and_a_wait_takes_no_environment(shared: DurableServer, journal: Path) -> None:
    shared.create("steps", STEPS_AND_WAIT)
    begun = time.monotonic()

    result, reply = shared.execute("steps", {"n": 1, "journal": str(journal)})

    assert result == {"result": 20}
    assert time.monotonic() - begun >= 1
    assert lines_in(journal) == ["first", "second"]
    assert shared.event_types(reply["DurableExecutionArn"]) == [
        "ExecutionStarted",
        "StepStarted",
        "StepSucceeded",
        "WaitStarted",
        "WaitSucceeded",
        "StepStarted",
        "StepSucceeded",
        "ExecutionSucceeded",
    ]


def test_a_step_is_retried_after_its_delay(shared: DurableServer, journal: Path) -> None:
    shared.create("retries", RETRIES)

    result, reply = shared.execute("retries", {"failures": 2, "journal": str(journal)})

    assert result == 2
    events = shared.events(reply["DurableExecutionArn"])
    failed = [event for event in events if event["EventType"] == "StepFailed"]
    assert [event["StepFailedDetails"]["RetryDetails"] for event in failed] == [
        {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 1},
        {"CurrentAttempt": 2, "NextAttemptDelaySeconds": 1},
    ]


def test_a_step_that_keeps_failing_fails_the_execution(shared: DurableServer, journal: Path) -> None:
    shared.create("hopeless", RETRIES)

    result, reply = shared.execute("hopeless", {"failures": 9, "journal": str(journal)})

    assert reply["FunctionError"] == "Unhandled"
    assert "try 2 failed" in result["errorMessage"]
    assert len(lines_in(journal)) == 3


def test_a_callback_is_answered_from_outside(shared: DurableServer, journal: Path) -> None:
    shared.create("approval", CALLBACK)
    arn = shared.start("approval", {"journal": str(journal)})
    (callback_id,) = wait_until(lambda: lines_in(journal), seconds=20, what="the callback's id")
    time.sleep(0.2)

    shared.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b'"approved"')

    assert json.loads(shared.wait(arn)["Result"]) == {"answer": '"approved"'}


def test_a_callback_that_fails_or_never_comes_is_an_error_in_the_workflow(shared: DurableServer, journal: Path) -> None:
    shared.create("denied", CALLBACK)
    arn = shared.start("denied", {"journal": str(journal)})
    (callback_id,) = wait_until(lambda: lines_in(journal), seconds=20, what="the callback's id")
    shared.client.send_durable_execution_callback_failure(
        CallbackId=callback_id, Error={"ErrorMessage": "denied", "ErrorType": "Denied"}
    )
    assert shared.wait(arn, "FAILED")["Error"]["ErrorMessage"] == "denied"

    late = shared.start("denied", {"journal": str(journal), "timeout": 1})
    assert "timed out" in shared.wait(late, "FAILED")["Error"]["ErrorMessage"]


def test_branches_run_in_parallel_and_items_are_mapped(shared: DurableServer) -> None:
    shared.create("fan-out", FAN_OUT)

    result, _ = shared.execute("fan-out", {"items": list(range(8))})

    assert result == {"both": ["left", "right"], "squares": [n * n for n in range(8)]}


def test_child_contexts_are_replayed_by_their_results(shared: DurableServer, journal: Path) -> None:
    shared.create("children", CHILD_CONTEXTS)

    result, _ = shared.execute("children", {"journal": str(journal)})

    assert result == 13
    assert lines_in(journal) == ["one", "two"]


def test_a_child_context_whose_result_is_too_large_is_replayed_by_its_steps(shared: DurableServer) -> None:
    shared.create("large-child", LARGE_CHILD)

    assert shared.execute("large-child", {})[0] == 400_000


def test_a_result_larger_than_an_answer_comes_by_a_checkpoint(shared: DurableServer) -> None:
    shared.create("large-result", LARGE_RESULT, MemorySize=512)

    result, _ = shared.execute("large-result", {})

    assert len(result) == 6 * 1024 * 1024 - 40


def test_a_condition_is_polled_until_it_holds(shared: DurableServer) -> None:
    shared.create("condition", CONDITION)

    assert shared.execute("condition", {})[0] == 3


def test_functions_are_chained_durable_or_not(shared: DurableServer) -> None:
    shared.create("chain", CHAIN)
    shared.create("double", DOUBLE)
    shared.create("broken", BROKEN)
    create(shared.client, "add-one", "def handler(event, context):\n    return event['n'] + 1")
    create(shared.client, "raises", "def handler(event, context):\n    raise ValueError('plain trouble')")

    event = {
        "n": 4,
        "durable": "double:$LATEST",
        "plain": "add-one",
        "failing": ["broken:$LATEST", "raises", "nobody", "double"],
    }
    result, reply = shared.execute("chain", event)

    assert (result["doubled"], result["plain"]) == (8, 9)
    assert ["broken on purpose" in result["failures"][0], "plain trouble" in result["failures"][1]] == [True, True]
    assert "Function not found" in result["failures"][2]
    assert "unqualified ARN" in result["failures"][3]
    started = [
        event["ChainedInvokeStartedDetails"]
        for event in shared.events(reply["DurableExecutionArn"])
        if event["EventType"] == "ChainedInvokeStarted"
    ]
    assert started[0]["ExecutedVersion"] == "$LATEST"
    assert shared.get(started[0]["DurableExecutionArn"])["Result"] == "8"
    assert shared.client.list_durable_executions_by_function(FunctionName="add-one")["DurableExecutions"] == []


def test_a_saga_takes_back_what_it_has_done(shared: DurableServer, journal: Path) -> None:
    shared.create("saga", SAGA)

    result, reply = shared.execute("saga", {"journal": str(journal)})

    assert reply["FunctionError"] == "Unhandled"
    assert result["errorMessage"].startswith("trip cancelled: ")
    assert lines_in(journal) == ["book flight", "book hotel", "charge", "cancel hotel", "cancel flight"]
    assert shared.get(reply["DurableExecutionArn"])["Status"] == "FAILED"


def test_a_function_that_crashes_goes_on_from_its_last_checkpoint(shared: DurableServer, journal: Path) -> None:
    shared.create("crash", CRASH)

    result, _ = shared.execute("crash", {"journal": str(journal)})

    assert result == "survived"
    assert lines_in(journal) == ["before", "crash", "crash"]


def test_an_execution_that_takes_too_long_is_timed_out(shared: DurableServer) -> None:
    shared.create("slow", workflow("context.wait(Duration.from_minutes(5))"), execution_timeout=2)

    result, reply = shared.execute("slow", {})

    assert reply["FunctionError"] == "Unhandled"
    assert result == {"errorMessage": "Execution timed out after 2 seconds."}
    assert shared.get(reply["DurableExecutionArn"])["Status"] == "TIMED_OUT"


def test_a_pause_in_the_middle_of_a_workflow_loses_nothing(
    shared: DurableServer, journal: Path, in_background: Callable[..., Any]
) -> None:
    shared.create(
        "pausing",
        workflow(
            """
            for number in range(4):
                context.step(lambda _: (note(event, str(number)), time.sleep(0.4)), name=f"step-{number}")
            return "done"
            """
        ),
    )
    arn = shared.start("pausing", {"journal": str(journal)})
    wait_until(lambda: len(lines_in(journal)) >= 2, seconds=20, what="the second step")

    shared.client.pause_durable_execution(DurableExecutionArn=arn)
    shared.wait(arn, "PAUSED")
    shared.client.resume_durable_execution(DurableExecutionArn=arn)

    assert json.loads(shared.wait(arn)["Result"]) == "done"
    assert sorted(set(lines_in(journal))) == ["0", "1", "2", "3"]


def test_a_durable_function_makes_its_checkpoints_where_the_server_goes_by_iam(
    start_durable: Callable[..., DurableServer], journal: Path
) -> None:
    durable = start_durable(auth="iam", access_keys="local=local")
    durable.create("steps", STEPS_AND_WAIT)

    result, _ = durable.execute("steps", {"n": 1, "journal": str(journal)})

    assert result == {"result": 20}


def test_a_function_of_a_template_may_be_durable(
    start_durable: Callable[..., DurableServer], journal: Path, tmp_path: Path
) -> None:
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "app.py").write_text(STEPS_AND_WAIT)
    template = tmp_path / "template.yaml"
    template.write_text(
        """
Resources:
  Flow:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: flow
      Handler: app.handler
      Runtime: python3.11
      CodeUri: flow/
      AutoPublishAlias: live
      DurableConfig: {ExecutionTimeout: 60, RetentionPeriodInDays: 3}
"""
    )
    durable = start_durable(template=template)

    result, reply = durable.execute("flow", {"n": 1, "journal": str(journal)}, Qualifier="live")

    assert result == {"result": 20}
    assert durable.get(reply["DurableExecutionArn"])["DurableConfig"] == {
        "ExecutionTimeout": 60,
        "RetentionPeriodInDays": 3,
    }
