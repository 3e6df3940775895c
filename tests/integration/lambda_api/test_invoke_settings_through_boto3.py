"""Configuration of asynchronous invocation, reserved concurrency and recursion, as a client sees them: members,
statuses, messages.
"""

import json
import time
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, create, error_of, shown

INVALID, NOT_FOUND = "InvalidParameterValueException", "ResourceNotFoundException"
LATEST = f"{ARN}:$LATEST"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
TOPIC = "arn:aws:sns:us-east-1:000000000000:topic"
FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
    "Please specify either a function name or an unqualified function ARN."
)


def test_put_answers_with_what_was_set_and_leaves_out_the_rest(client: Any) -> None:
    create(client)
    before = time.time()
    put = shown(client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0))
    moment = put.pop("LastModified").timestamp()
    assert before - 0.001 <= moment <= time.time() + 0.001
    assert put == {
        "FunctionArn": LATEST,
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
    got = client.get_function_event_invoke_config(FunctionName="f", Qualifier="$LATEST")
    assert shown(got) == {**put, "LastModified": got["LastModified"]}


def test_last_modified_is_a_number_on_the_wire(control_plane: ControlPlane, client: Any) -> None:
    create(client)
    path = f"{control_plane.url}/2019-09-25/functions/f/event-invoke-config"
    with requests.put(path, json={"MaximumRetryAttempts": 1}, timeout=5) as reply:
        assert isinstance(reply.json()["LastModified"], float | int)
        assert reply.json().keys() == {"FunctionArn", "LastModified", "MaximumRetryAttempts", "DestinationConfig"}


def test_put_replaces_update_merges_and_delete_unsets(client: Any) -> None:
    create(client)
    put, update = client.put_function_event_invoke_config, client.update_function_event_invoke_config
    put(FunctionName="f", MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
    merged = update(FunctionName=LATEST, MaximumEventAgeInSeconds=60)
    assert (merged["MaximumRetryAttempts"], merged["MaximumEventAgeInSeconds"]) == (1, 60)
    assert merged["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}}
    merged = update(FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": TOPIC}})
    assert merged["DestinationConfig"] == {"OnSuccess": {"Destination": TOPIC}, "OnFailure": {}}
    replaced = put(FunctionName="f", MaximumEventAgeInSeconds=21600)
    assert "MaximumRetryAttempts" not in replaced
    assert replaced["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    deleted = client.delete_function_event_invoke_config(FunctionName="f")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error_of(client.get_function_event_invoke_config, FunctionName="f")[0] == 404


def test_the_list_shows_every_configuration_of_the_function(client: Any) -> None:
    create(client)
    assert shown(client.list_function_event_invoke_configs(FunctionName="f")) == {"FunctionEventInvokeConfigs": []}
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=2)
    (only,) = client.list_function_event_invoke_configs(FunctionName=ARN, MaxItems=1)["FunctionEventInvokeConfigs"]
    assert (only["FunctionArn"], only["MaximumRetryAttempts"]) == (LATEST, 2)


def test_what_is_not_configured_or_not_there_is_told_in_awss_words(client: Any) -> None:
    create(client)
    missing = f"The function {LATEST} doesn't have an EventInvokeConfig"
    for operation, members in (
        (client.get_function_event_invoke_config, {}),
        (client.delete_function_event_invoke_config, {}),
        (client.update_function_event_invoke_config, {"MaximumRetryAttempts": 1}),
    ):
        assert error_of(operation, FunctionName="f", **members) == (404, NOT_FOUND, missing)
    for operation in (client.get_function_event_invoke_config, client.delete_function_event_invoke_config):
        message = f"The function {ARN}:live doesn't have an EventInvokeConfig"
        assert error_of(operation, FunctionName="f", Qualifier="live") == (404, NOT_FOUND, message)
        message = f"The function {ARN}g:$LATEST doesn't have an EventInvokeConfig"
        assert error_of(operation, FunctionName=f"{ARN}g") == (404, NOT_FOUND, message)
    gone = (404, NOT_FOUND, "The function doesn't exist.")
    for operation in (client.put_function_event_invoke_config, client.update_function_event_invoke_config):
        assert error_of(operation, FunctionName="g", MaximumRetryAttempts=1) == gone
        assert error_of(operation, FunctionName="f", Qualifier="7", MaximumRetryAttempts=1) == gone
    assert error_of(client.list_function_event_invoke_configs, FunctionName="g") == gone


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "You must specify at least one of error handling or destination setting."),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": ARN}}},
            "You can't specify the function as a destination for itself.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": f"{ARN}g"}}},
            f"The destination ARN {ARN}g is invalid.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": f"{QUEUE}.fifo"}}},
            f"The destination ARN {QUEUE}.fifo is invalid.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": f"{TOPIC}.fifo"}}},
            "FIFO-type Amazon SNS topics aren't supported as a destination.",
        ),
        (
            {"DestinationConfig": {"OnSuccess": {"Destination": "arn:aws:s3:::bucket"}}},
            (
                "The provided destination config DestinationConfig("
                "onSuccess=OnSuccess(destination=arn:aws:s3:::bucket), onFailure=null) is invalid."
            ),
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_change_nothing(
    client: Any, members: dict[str, Any], message: str
) -> None:
    create(client)
    client.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=1)
    for operation in (client.put_function_event_invoke_config, client.update_function_event_invoke_config):
        assert error_of(operation, FunctionName="f", **members) == (400, INVALID, message)
    assert client.get_function_event_invoke_config(FunctionName="f")["MaximumRetryAttempts"] == 1


def test_numbers_out_of_range_are_refused_by_the_model_before_anything_else(client: Any) -> None:
    assert error_of(
        client.put_function_event_invoke_config, FunctionName="f", MaximumRetryAttempts=3, MaximumEventAgeInSeconds=59
    ) == (
        400,
        "ValidationException",
        (
            "2 validation errors detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: "
            "Member must have value less than or equal to 2; Value '59' at 'maximumEventAgeInSeconds' failed to "
            "satisfy constraint: Member must have value greater than or equal to 60"
        ),
    )
    config = {"OnFailure": {"Destination": "no arn"}}
    _, code, message = error_of(client.put_function_event_invoke_config, FunctionName="f", DestinationConfig=config)
    assert code == "ValidationException"
    assert message.startswith(
        "1 validation error detected: Value 'no arn' at 'destinationConfig.onFailure.destination'"
    )


@pytest.mark.parametrize("target", [f"{QUEUE}.fifo", "arn:aws:lambda:us-east-1:000000000000:function:g"])
def test_a_dead_letter_target_that_cannot_be_one_is_refused_at_creation_and_at_update(client: Any, target: str) -> None:
    create(client, "g", DeadLetterConfig={"TargetArn": QUEUE})
    client.get_waiter("function_active_v2").wait(FunctionName="g", WaiterConfig={"Delay": 0.01, "MaxAttempts": 500})
    with pytest.raises(ClientError, match="Invalid dead letter queue ARN"):
        create(client, "f", DeadLetterConfig={"TargetArn": target})
    with pytest.raises(ClientError, match="Invalid dead letter queue ARN"):
        client.update_function_configuration(FunctionName="g", DeadLetterConfig={"TargetArn": target})
    assert client.get_function_configuration(FunctionName="g")["DeadLetterConfig"] == {"TargetArn": QUEUE}


def test_reserved_concurrency_is_put_shown_and_given_back(client: Any) -> None:
    create(client)
    assert "Concurrency" not in client.get_function(FunctionName="f")
    for executions in (30, 0):
        put = client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=executions)
        assert shown(put) == {"ReservedConcurrentExecutions": executions}
        assert shown(client.get_function_concurrency(FunctionName=ARN)) == shown(put)
        assert client.get_function(FunctionName="f")["Concurrency"] == shown(put)
    assert client.delete_function_concurrency(FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.delete_function_concurrency(FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert shown(client.get_function_concurrency(FunctionName="f")) == {}
    assert "Concurrency" not in client.get_function(FunctionName="f")


def test_account_settings_show_what_is_left_unreserved(client: Any) -> None:
    for name, executions in (("f", 100), ("g", 25), ("h", 0)):
        create(client, name)
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=executions)
    limits = client.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 875)
    client.delete_function(FunctionName="f")
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 975


def test_a_reservation_that_leaves_too_little_is_refused_without_a_type(
    control_plane: ControlPlane, client: Any
) -> None:
    create(client)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=900)
    path = f"{control_plane.url}/2017-10-31/functions/f/concurrency"
    with requests.put(path, json={"ReservedConcurrentExecutions": 901}, timeout=5) as reply:
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, INVALID)
        assert json.loads(reply.content) == {
            "message": "Specified ReservedConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [100]."
        }
    assert client.get_function_concurrency(FunctionName="f")["ReservedConcurrentExecutions"] == 900


def test_concurrency_belongs_to_whole_functions_that_exist(client: Any) -> None:
    create(client)
    put, delete = client.put_function_concurrency, client.delete_function_concurrency
    assert error_of(put, FunctionName=LATEST, ReservedConcurrentExecutions=1) == (400, INVALID, FUNCTIONS_ONLY)
    assert error_of(delete, FunctionName="f:live") == (400, INVALID, FUNCTIONS_ONLY)
    missing = (404, NOT_FOUND, f"Function not found: {ARN}g")
    assert error_of(put, FunctionName=f"{ARN}g", ReservedConcurrentExecutions=1) == missing
    assert error_of(delete, FunctionName=f"{ARN}g") == missing
    assert error_of(client.get_function_concurrency, FunctionName=f"{ARN}g") == missing
    assert error_of(put, FunctionName="f", ReservedConcurrentExecutions=-1)[1] == "ValidationException"
    assert error_of(put, FunctionName="f")[2] == (
        "1 validation error detected: Value null at 'reservedConcurrentExecutions' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_recursion_is_terminated_unless_it_is_allowed(client: Any) -> None:
    create(client)
    assert shown(client.get_function_recursion_config(FunctionName="f")) == {"RecursiveLoop": "Terminate"}
    for loop in ("Allow", "Terminate"):
        assert shown(client.put_function_recursion_config(FunctionName="f", RecursiveLoop=loop)) == {
            "RecursiveLoop": loop
        }
        assert shown(client.get_function_recursion_config(FunctionName=ARN)) == {"RecursiveLoop": loop}
    put = client.put_function_recursion_config
    assert error_of(put, FunctionName="f", RecursiveLoop="Maybe")[1] == "ValidationException"
    assert error_of(put, FunctionName="f:live", RecursiveLoop="Allow")[1] == "ValidationException"
    assert error_of(put, FunctionName=f"{ARN}g", RecursiveLoop="Allow") == (
        404,
        NOT_FOUND,
        f"Function not found: {ARN}g",
    )
