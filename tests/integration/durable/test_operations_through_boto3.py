"""Each operation on durable executions through boto3: what it gives, what it refuses, what it asks for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.integration.durable.conftest import DurableServer, refusal, update
from tests.integration.invoke.deploying import ECHO, create, wait_updated

NOBODY = "arn:aws:lambda:us-east-1:000000000000:function:by-hand:$LATEST/durable-execution/nobody/0123"
NOT_FOUND = (404, "ResourceNotFoundException", "Durable Execution does not exist")
CALLBACK_GONE = (400, "CallbackTimeoutException", "The callback is either timed out or already completed")
NOT_DURABLE = (
    "You cannot add a durable configuration to a function that was originally created with no durable configuration"
)
CALLBACK = {"updates": [update("ask", "CALLBACK", "START")]}


def running(shared: DurableServer, folder: Path) -> dict[str, Any]:
    """The event of an invocation that runs until ``event["file"]`` is deleted."""
    file = folder / "event.json"
    shared.start("by-hand", {"file": str(file)})
    wait_until(lambda: file.exists() and file.read_text(), seconds=20, what="the invocation")
    event: dict[str, Any] = wait_until(lambda: read(file), what="the event")
    return {**event, "file": file}


def read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError:
        return None


def checkpoint(shared: DurableServer, event: dict[str, Any], *updates: dict[str, Any], **members: Any) -> Any:
    return shared.client.checkpoint_durable_execution(
        DurableExecutionArn=event["DurableExecutionArn"],
        Updates=list(updates),
        **{"CheckpointToken": event["CheckpointToken"], **members},
    )


# --- DurableConfig ----------------------------------------------------------------------------------------------------


def test_a_durable_function_says_so_everywhere(shared: DurableServer) -> None:
    shared.create("configured", ECHO, DurableConfig={"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7})
    config = {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7}

    assert shared.client.get_function(FunctionName="configured")["Configuration"]["DurableConfig"] == config
    assert shared.client.publish_version(FunctionName="configured")["DurableConfig"] == config
    updated = shared.client.update_function_configuration(
        FunctionName="configured", DurableConfig={"ExecutionTimeout": 60}
    )
    assert updated["DurableConfig"] == {"ExecutionTimeout": 60, "RetentionPeriodInDays": 7}
    wait_updated(shared.client, "configured")
    published = shared.client.get_function_configuration(FunctionName="configured", Qualifier="1")
    assert published["DurableConfig"] == config


def test_a_durable_function_has_defaults_of_its_own(shared: DurableServer) -> None:
    create(shared.client, "defaults", ECHO, DurableConfig={"ExecutionTimeout": 60})
    create(shared.client, "defaults-long", ECHO, DurableConfig={"ExecutionTimeout": 3600})

    found = shared.client.get_function_configuration(FunctionName="defaults")
    assert (found["Timeout"], found["DurableConfig"]["RetentionPeriodInDays"]) == (60, 14)
    assert found["LoggingConfig"]["LogFormat"] == "JSON"
    assert shared.client.get_function_configuration(FunctionName="defaults-long")["Timeout"] == 900


def test_what_a_durable_config_may_not_be(shared: DurableServer) -> None:
    def refused(**config: int) -> tuple[int, str, str]:
        return refusal(lambda: create(shared.client, "refused", ECHO, DurableConfig=config))

    assert refused(RetentionPeriodInDays=7) == (
        400,
        "InvalidParameterValueException",
        "You cannot create a function with a durable configuration without an executionTimeout",
    )
    create(shared.client, "ordinary", ECHO)
    assert refusal(
        shared.client.update_function_configuration, FunctionName="ordinary", DurableConfig={"ExecutionTimeout": 5}
    ) == (
        400,
        "InvalidParameterValueException",
        NOT_DURABLE,
    )
    wire = shared.server.client(parameter_validation=False)
    for config in ({"ExecutionTimeout": 0}, {"ExecutionTimeout": 60, "RetentionPeriodInDays": 91}):
        status, code, message = refusal(
            wire.update_function_configuration, FunctionName="by-hand", DurableConfig=config
        )
        assert (status, code) == (400, "ValidationException")
        assert "Member must have value" in message


# --- Invoke -----------------------------------------------------------------------------------------------------------


def test_a_synchronous_invocation_waits_for_the_whole_execution(shared: DurableServer) -> None:
    answer = {"Status": "SUCCEEDED", "Result": '{"sum": 3}'}
    wait = update("nap", "WAIT", "START", WaitOptions={"WaitSeconds": 1})

    result, reply = shared.execute("by-hand", {"updates": [wait], "again": answer})

    assert result == {"sum": 3}
    assert (reply["StatusCode"], reply["ExecutedVersion"], reply.get("FunctionError")) == (200, "$LATEST", None)
    assert reply["ResponseMetadata"]["HTTPHeaders"]["x-amz-durable-execution-arn"] == reply["DurableExecutionArn"]
    assert shared.get(reply["DurableExecutionArn"])["Status"] == "SUCCEEDED"


def test_a_failed_execution_is_a_function_error_to_whoever_waits(shared: DurableServer) -> None:
    error = {"ErrorMessage": "sold out", "ErrorType": "SoldOut", "StackTrace": ["line"]}

    result, reply = shared.execute("by-hand", {"answer": {"Status": "FAILED", "Error": error}})

    assert reply["FunctionError"] == "Unhandled"
    assert result == {"errorMessage": "sold out", "errorType": "SoldOut", "stackTrace": ["line"]}


def test_an_alias_runs_its_version_and_the_arn_tells_which(shared: DurableServer) -> None:
    version = shared.client.publish_version(FunctionName="by-hand")["Version"]
    shared.client.create_alias(FunctionName="by-hand", Name="live", FunctionVersion=version)
    answer = {"Status": "SUCCEEDED", "Result": "1"}

    _, reply = shared.execute("by-hand", {"answer": answer}, Qualifier="live", DurableExecutionName="aliased")

    assert reply["ExecutedVersion"] == version
    assert f":function:by-hand:{version}/durable-execution/aliased/" in reply["DurableExecutionArn"]
    assert shared.get(reply["DurableExecutionArn"])["Version"] == version


def test_an_execution_name_begins_one_execution(shared: DurableServer) -> None:
    answer = {"Status": "SUCCEEDED", "Result": "5"}
    arn = shared.start("by-hand", {"answer": answer}, DurableExecutionName="monday")

    assert shared.start("by-hand", {"answer": answer}, DurableExecutionName="monday") == arn
    assert shared.execute("by-hand", {"answer": answer}, DurableExecutionName="monday")[0] == 5
    status, code, message = refusal(shared.execute, name="by-hand", event={}, DurableExecutionName="monday")
    assert (status, code) == (409, "DurableExecutionAlreadyStartedException")
    assert message == f"Execution already started: {arn}"


def test_what_an_invocation_of_a_durable_function_may_not_be(shared: DurableServer) -> None:
    shared.create("too-long", ECHO, execution_timeout=901)
    create(shared.client, "not-durable", ECHO)
    unqualified = "You cannot invoke a durable function using an unqualified ARN."
    for kind in ("RequestResponse", "Event", "DryRun"):
        assert refusal(shared.client.invoke, FunctionName="by-hand", InvocationType=kind) == (
            400,
            "InvalidParameterValueException",
            unqualified,
        )
    assert refusal(shared.client.invoke, FunctionName="too-long", Qualifier="$LATEST") == (
        400,
        "InvalidParameterValueException",
        "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes.",
    )
    assert refusal(shared.client.invoke, FunctionName="not-durable", DurableExecutionName="x")[:2] == (
        400,
        "InvalidParameterValueException",
    )
    wire = shared.server.client(parameter_validation=False)
    status, code, message = refusal(
        wire.invoke, FunctionName="by-hand", Qualifier="$LATEST", DurableExecutionName="has space"
    )
    assert (status, code) == (400, "ValidationException")
    assert "'durableExecutionName'" in message
    shared.client.invoke(FunctionName="by-hand", Qualifier="$LATEST", InvocationType="DryRun")


def test_the_old_asynchronous_operation_begins_executions_too(shared: DurableServer) -> None:
    shared.client.invoke_async(FunctionName="by-hand:$LATEST", InvokeArgs=b'{"answer": {"Status": "SUCCEEDED"}}')

    def ended() -> Any:
        found = shared.client.list_durable_executions_by_function(FunctionName="by-hand", MaxItems=1)
        return found["DurableExecutions"][0]["Status"] == "SUCCEEDED"

    wait_until(ended, what="the execution")


# --- CheckpointDurableExecution and GetDurableExecutionState ----------------------------------------------------------


def test_a_checkpoint_gives_the_next_token_and_what_is_new(shared: DurableServer, tmp_path: Path) -> None:
    event = running(shared, tmp_path)

    reply = checkpoint(
        shared,
        event,
        update("charge", "STEP", "START", Name="charge card", SubType="Step"),
        update("charge", "STEP", "SUCCEED", Payload='"ok"'),
        update("ask", "CALLBACK", "START", CallbackOptions={"TimeoutSeconds": 60}),
    )

    charge, ask = reply["NewExecutionState"]["Operations"]
    assert reply["CheckpointToken"] != event["CheckpointToken"]
    assert {name: charge[name] for name in ("Id", "Name", "Type", "SubType", "Status", "StepDetails")} == {
        "Id": "charge",
        "Name": "charge card",
        "Type": "STEP",
        "SubType": "Step",
        "Status": "SUCCEEDED",
        "StepDetails": {"Attempt": 1, "Result": '"ok"'},
    }
    assert charge["EndTimestamp"] >= charge["StartTimestamp"]
    assert (ask["Status"], set(ask["CallbackDetails"])) == ("STARTED", {"CallbackId"})
    assert "NextMarker" not in reply["NewExecutionState"]
    event["file"].unlink()


def test_a_checkpoint_that_is_repeated_with_its_client_token_counts_once(shared: DurableServer, tmp_path: Path) -> None:
    event = running(shared, tmp_path)
    step = update("charge", "STEP", "START")

    first = checkpoint(shared, event, step, ClientToken="once")
    again = checkpoint(shared, event, step, ClientToken="once")

    assert again["CheckpointToken"] == first["CheckpointToken"]
    assert again["NewExecutionState"] == first["NewExecutionState"]
    assert refusal(lambda: checkpoint(shared, event, step, ClientToken="twice")) == (
        400,
        "InvalidParameterValueException",
        "Invalid checkpoint token",
    )
    event["file"].unlink()


def test_what_a_checkpoint_may_not_be(shared: DurableServer, tmp_path: Path) -> None:
    event = running(shared, tmp_path)
    invalid = (400, "InvalidParameterValueException")

    assert refusal(lambda: checkpoint(shared, event, update("one", "WAIT", "CANCEL"))) == (
        *invalid,
        "Cannot cancel a WAIT that does not exist or has already completed.",
    )
    assert refusal(lambda: checkpoint(shared, event, CheckpointToken="AAAA")) == (*invalid, "Invalid checkpoint token")
    assert refusal(lambda: checkpoint(shared, {**event, "DurableExecutionArn": NOBODY})) == (
        *invalid,
        "Checkpoint token is not valid for the durable execution ARN",
    )
    wire = shared.server.client(parameter_validation=False)
    status, code, message = refusal(
        wire.checkpoint_durable_execution,
        DurableExecutionArn=event["DurableExecutionArn"],
        CheckpointToken=event["CheckpointToken"],
        Updates=[{"Id": "has space", "Type": "NAP", "Action": "START"}],
    )
    assert (status, code) == (400, "ValidationException")
    assert "updates.1.member.id" in message
    assert "updates.1.member.type" in message
    checkpoint(shared, event, update("one", "STEP", "START"))
    event["file"].unlink()


def test_the_state_is_read_in_pages_by_whoever_has_the_token(shared: DurableServer, tmp_path: Path) -> None:
    event = running(shared, tmp_path)
    steps = [update(f"step-{number}", "STEP", "SUCCEED") for number in range(5)]
    token = checkpoint(shared, event, *steps)["CheckpointToken"]
    asked = {"DurableExecutionArn": event["DurableExecutionArn"], "CheckpointToken": token}

    first = shared.client.get_durable_execution_state(**asked, MaxItems=4)
    second = shared.client.get_durable_execution_state(**asked, Marker=first["NextMarker"])

    names = [operation["Id"] for operation in first["Operations"] + second["Operations"]]
    assert names[1:] == [step["Id"] for step in steps]
    assert first["Operations"][0]["ExecutionDetails"]["InputPayload"].startswith('{"file"')
    assert "NextMarker" not in second
    for wrong in ({"CheckpointToken": event["CheckpointToken"]}, {"Marker": "x"}):
        assert refusal(shared.client.get_durable_execution_state, **{**asked, **wrong})[:2] == (
            400,
            "InvalidParameterValueException",
        )
    event["file"].unlink()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_an_execution_is_described_with_its_data_or_without(shared: DurableServer) -> None:
    answer = {"Status": "SUCCEEDED", "Result": '"fine"'}
    _, reply = shared.execute("by-hand", {"answer": answer}, DurableExecutionName="described")
    arn = reply["DurableExecutionArn"]

    found = shared.get(arn)
    assert {name: found[name] for name in ("DurableExecutionName", "Status", "Result", "InputPayload", "Version")} == {
        "DurableExecutionName": "described",
        "Status": "SUCCEEDED",
        "Result": '"fine"',
        "InputPayload": json.dumps({"answer": answer}),
        "Version": "$LATEST",
    }
    assert found["FunctionArn"].endswith(":function:by-hand:$LATEST")
    assert found["DurableConfig"] == {"ExecutionTimeout": 60, "RetentionPeriodInDays": 14}
    assert found["EndTimestamp"] >= found["StartTimestamp"]
    assert found["ExecutionDataIncluded"] is True
    assert not {"Error", "PauseDetails", "ExpectedExecutionTimeoutTimestamp"} & set(found)
    bare = shared.client.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=False)
    assert bare["ExecutionDataIncluded"] is False
    assert not {"Result", "InputPayload"} & set(bare)


def test_the_history_is_told_in_order_backwards_in_pages_and_without_data(shared: DurableServer) -> None:
    step = update("charge", "STEP", "SUCCEED", Payload='"ok"')
    wait = update("nap", "WAIT", "START", WaitOptions={"WaitSeconds": 1})
    _, reply = shared.execute("by-hand", {"updates": [step, wait]})
    arn = reply["DurableExecutionArn"]

    events = shared.events(arn)
    assert [event["EventType"] for event in events] == [
        "ExecutionStarted",
        "StepSucceeded",
        "WaitStarted",
        "InvocationCompleted",
        "WaitSucceeded",
        "InvocationCompleted",
        "ExecutionSucceeded",
    ]
    assert [event["EventId"] for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert events[0]["ExecutionStartedDetails"]["ExecutionTimeout"] == 60
    assert events[1]["StepSucceededDetails"]["Result"] == {"Payload": '"ok"', "Truncated": False}
    assert shared.events(arn, ReverseOrder=True) == events[::-1]
    bare = shared.events(arn, IncludeExecutionData=False)
    assert bare[0]["ExecutionStartedDetails"]["Input"] == {"Truncated": True}
    assert bare[1]["StepSucceededDetails"]["Result"] == {"Truncated": True}
    for reverse in (False, True):
        paged: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            page = shared.client.get_durable_execution_history(
                DurableExecutionArn=arn, MaxItems=3, ReverseOrder=reverse, **more
            )
            paged += page["Events"]
            if "NextMarker" not in page:
                break
            more = {"Marker": page["NextMarker"]}
        assert paged == (events[::-1] if reverse else events)
    assert refusal(shared.client.get_durable_execution_history, DurableExecutionArn=arn, Marker="!")[:2] == (
        400,
        "InvalidParameterValueException",
    )


def test_executions_are_listed_newest_first_by_name_status_version_and_time(shared: DurableServer) -> None:
    shared.create("listed", "def handler(event, context):\n    return {'Status': 'SUCCEEDED'}")
    arns = [shared.start("listed", {}, DurableExecutionName=f"number-{number}") for number in range(5)]
    found = [shared.wait(arn) for arn in arns]
    ask = shared.client.list_durable_executions_by_function

    def names(**members: Any) -> list[str]:
        return [one["DurableExecutionName"][-1] for one in ask(FunctionName="listed", **members)["DurableExecutions"]]

    assert names() == ["4", "3", "2", "1", "0"]
    assert names(ReverseOrder=True) == ["0", "1", "2", "3", "4"]
    assert names(DurableExecutionName="number-3") == ["3"]
    assert names(Statuses=["RUNNING"]) == names(Statuses=["DELETING"]) == []
    assert names(Statuses=["SUCCEEDED"], Qualifier="$LATEST") == ["4", "3", "2", "1", "0"]
    assert names(StartedAfter=found[2]["StartTimestamp"]) == ["4", "3"]
    assert names(StartedBefore=found[2]["StartTimestamp"]) == ["1", "0"]
    pages, more = [], {}
    while True:
        page = ask(FunctionName="listed", MaxItems=2, **more)
        pages.append([one["DurableExecutionName"][-1] for one in page["DurableExecutions"]])
        if "NextMarker" not in page:
            break
        more = {"Marker": page["NextMarker"]}
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    first = ask(FunctionName="listed", MaxItems=1)["DurableExecutions"][0]
    assert set(first) == {
        "DurableExecutionArn",
        "DurableExecutionName",
        "FunctionArn",
        "Status",
        "StartTimestamp",
        "EndTimestamp",
    }


def test_what_a_list_of_executions_may_not_ask(shared: DurableServer) -> None:
    ask = shared.client.list_durable_executions_by_function

    assert refusal(ask, FunctionName="by-hand", Statuses=["RUNNING", "FAILED"]) == (
        400,
        "InvalidParameterValueException",
        "Cannot filter by more than one status",
    )
    assert refusal(ask, FunctionName="by-hand", Marker="bogus")[1:] == (
        "InvalidParameterValueException",
        "Invalid Marker",
    )
    assert refusal(ask, FunctionName="nobody")[:2] == (404, "ResourceNotFoundException")
    wire = shared.server.client(parameter_validation=False).list_durable_executions_by_function
    assert refusal(wire, FunctionName="by-hand", Statuses=["BOGUS"])[:2] == (400, "ValidationException")
    assert refusal(wire, FunctionName="by-hand", MaxItems=1001)[:2] == (400, "ValidationException")


@pytest.mark.parametrize(
    "operation",
    [
        "get_durable_execution",
        "get_durable_execution_history",
        "stop_durable_execution",
        "pause_durable_execution",
        "resume_durable_execution",
        "delete_durable_execution",
    ],
)
def test_an_execution_that_is_not_there_is_not_found(shared: DurableServer, operation: str) -> None:
    call = getattr(shared.client, operation)
    elsewhere = NOBODY.replace("us-east-1", "eu-west-1")

    assert refusal(call, DurableExecutionArn=NOBODY) == NOT_FOUND
    assert refusal(call, DurableExecutionArn=elsewhere) == NOT_FOUND
    wire = getattr(shared.server.client(parameter_validation=False), operation)
    status, code, message = refusal(wire, DurableExecutionArn="arn:aws:lambda:us-east-1:1:function:x")
    assert (status, code) == (400, "ValidationException")
    assert "'durableExecutionArn' failed to satisfy constraint" in message


# --- stop, pause, resume, delete --------------------------------------------------------------------------------------


def test_an_execution_is_stopped_with_the_error_that_is_given(shared: DurableServer) -> None:
    arn = shared.start("by-hand", CALLBACK)
    shared.callback_id(arn)

    stopped = shared.client.stop_durable_execution(
        DurableExecutionArn=arn, Error={"ErrorMessage": "enough", "ErrorType": "Human"}
    )

    found = shared.get(arn)
    assert (found["Status"], found["EndTimestamp"]) == ("STOPPED", stopped["StopTimestamp"])
    assert found["Error"] == {"ErrorMessage": "enough", "ErrorType": "Human"}
    again = shared.client.stop_durable_execution(DurableExecutionArn=arn)
    assert again["StopTimestamp"] == stopped["StopTimestamp"]
    assert shared.event_types(arn)[-1] == "ExecutionStopped"


def test_a_caller_who_waits_hears_that_the_execution_was_stopped(
    shared: DurableServer, in_background: Callable[..., Any]
) -> None:
    waiting = in_background(shared.execute, "by-hand", CALLBACK, DurableExecutionName="awaited")

    def find() -> Any:
        return shared.client.list_durable_executions_by_function(
            FunctionName="by-hand", DurableExecutionName="awaited"
        )["DurableExecutions"]

    arn = wait_until(find, what="the execution")[0]["DurableExecutionArn"]
    shared.callback_id(arn)
    shared.client.stop_durable_execution(DurableExecutionArn=arn, Error={"ErrorMessage": "enough"})

    result, reply = waiting.result(10)
    assert (result, reply["FunctionError"]) == ({"errorMessage": "enough"}, "Unhandled")


def test_a_paused_execution_goes_on_when_it_is_resumed(shared: DurableServer) -> None:
    arn = shared.start("by-hand", CALLBACK)
    callback = shared.callback_id(arn)
    wait_until(lambda: len(shared.events(arn)) == 3, what="the invocation's end")

    reply = shared.client.pause_durable_execution(DurableExecutionArn=arn, Reason="lunch")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 202
    found = shared.wait(arn, "PAUSED")
    assert found["PauseDetails"]["Reason"] == "lunch"
    assert found["PauseDetails"]["ExecutionTimeoutPaused"] is True
    assert "ExpectedExecutionTimeoutTimestamp" in found
    shared.client.send_durable_execution_callback_success(CallbackId=callback, Result=b"1")
    assert shared.get(arn)["Status"] == "PAUSED"
    status, code, _ = refusal(shared.client.pause_durable_execution, DurableExecutionArn=arn)
    assert (status, code) == (409, "ResourceConflictException")

    shared.client.resume_durable_execution(DurableExecutionArn=arn, Reason="fed")

    shared.wait(arn)
    assert shared.event_types(arn) == [
        "ExecutionStarted",
        "CallbackStarted",
        "ExecutionPaused",
        "CallbackSucceeded",
        "ExecutionResumed",
        "ExecutionSucceeded",
    ]
    status, code, _ = refusal(shared.client.resume_durable_execution, DurableExecutionArn=arn)
    assert (status, code) == (409, "ResourceConflictException")


def test_only_an_execution_that_is_over_is_deleted_and_then_its_name_is_free(shared: DurableServer) -> None:
    arn = shared.start("by-hand", CALLBACK, DurableExecutionName="short-lived")
    shared.callback_id(arn)
    status, code, _ = refusal(shared.client.delete_durable_execution, DurableExecutionArn=arn)
    assert (status, code) == (409, "ResourceConflictException")
    shared.client.stop_durable_execution(DurableExecutionArn=arn)
    wait_until(lambda: len(shared.events(arn)) == 4, what="the invocation's end")

    reply = shared.client.delete_durable_execution(DurableExecutionArn=arn)

    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert reply["DeletionRequestTimestamp"]
    assert refusal(shared.client.get_durable_execution, DurableExecutionArn=arn) == NOT_FOUND
    assert shared.start("by-hand", {"other": 1}, DurableExecutionName="short-lived") != arn


# --- callbacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [b'{"approved": true}', b""])
def test_a_callback_that_succeeds_goes_on_with_its_result(shared: DurableServer, result: bytes) -> None:
    arn = shared.start("by-hand", CALLBACK)
    callback = shared.callback_id(arn)

    shared.client.send_durable_execution_callback_success(CallbackId=callback, Result=result)

    (operation,) = json.loads(shared.wait(arn)["Result"])
    assert operation["Status"] == "SUCCEEDED"
    assert operation["CallbackDetails"].get("Result", "") == result.decode()
    for call in (
        shared.client.send_durable_execution_callback_success,
        shared.client.send_durable_execution_callback_failure,
        shared.client.send_durable_execution_callback_heartbeat,
    ):
        assert refusal(call, CallbackId=callback) == CALLBACK_GONE


@pytest.mark.parametrize("members", [{"Error": {"ErrorMessage": "no", "ErrorType": "Denied"}}, {}])
def test_a_callback_that_fails_goes_on_with_its_error(shared: DurableServer, members: dict[str, Any]) -> None:
    arn = shared.start("by-hand", CALLBACK)
    callback = shared.callback_id(arn)

    shared.client.send_durable_execution_callback_failure(CallbackId=callback, **members)

    (operation,) = json.loads(shared.wait(arn)["Result"])
    assert (operation["Status"], operation["CallbackDetails"]["Error"]) == ("FAILED", members.get("Error", {}))


def test_a_callback_times_out_unless_its_heart_beats(shared: DurableServer) -> None:
    options = {"HeartbeatTimeoutSeconds": 2}
    arn = shared.start("by-hand", {"updates": [update("ask", "CALLBACK", "START", CallbackOptions=options)]})
    callback = shared.callback_id(arn)

    shared.client.send_durable_execution_callback_heartbeat(CallbackId=callback)

    (operation,) = json.loads(shared.wait(arn)["Result"])
    assert operation["Status"] == "TIMED_OUT"
    assert operation["CallbackDetails"]["Error"]["ErrorType"] == "Callback.Heartbeat"
    started, timed_out = (
        event["EventTimestamp"] for event in shared.events(arn) if event["EventType"].startswith("Callback")
    )
    assert (timed_out - started).total_seconds() >= 2


def test_what_is_no_callback_is_refused(shared: DurableServer) -> None:
    for call in (
        shared.client.send_durable_execution_callback_success,
        shared.client.send_durable_execution_callback_failure,
        shared.client.send_durable_execution_callback_heartbeat,
    ):
        assert refusal(call, CallbackId="bm8=") == (400, "InvalidParameterValueException", "Invalid callback id")
        assert refusal(call, CallbackId="0" * 34) == CALLBACK_GONE
