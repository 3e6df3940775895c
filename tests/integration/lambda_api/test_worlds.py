"""Regions and accounts are worlds of their own: what is made in one is neither seen nor changed from another."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import create, error_of, wait

OURS = "arn:aws:lambda:us-east-1:000000000000:function:f"
THEIRS = "arn:aws:lambda:us-east-1:111111111111:function:f"
LATER = "arn:aws:lambda:eu-west-1:000000000000:function:f"


@pytest.fixture
def neighbour(control_plane: ControlPlane) -> Any:
    """A client whose access key is the number of another account."""
    return control_plane.client(access_key="111111111111")


def denied(action: str, resource: str = THEIRS) -> tuple[int, str, str]:
    return (
        403,
        "AccessDeniedException",
        (
            f"User: arn:aws:iam::000000000000:root is not authorized to perform: lambda:{action} on "
            f"resource: {resource} because no resource-based policy allows the lambda:{action} action"
        ),
    )


def test_accounts_have_functions_of_one_name_and_see_their_own(client: Any, neighbour: Any) -> None:
    assert create(client)["FunctionArn"] == OURS
    assert neighbour.list_functions()["Functions"] == []
    assert create(neighbour, Timeout=9)["FunctionArn"] == THEIRS
    (ours,), (theirs,) = (one.list_functions()["Functions"] for one in (client, neighbour))
    assert (ours["FunctionArn"], ours["Timeout"]) == (OURS, 3)
    assert (theirs["FunctionArn"], theirs["Timeout"]) == (THEIRS, 9)
    wait(neighbour, "function_active_v2")
    neighbour.delete_function(FunctionName="f")
    assert neighbour.get_account_settings()["AccountUsage"] == {"FunctionCount": 0, "TotalCodeSize": 0}
    assert client.get_account_settings()["AccountUsage"]["FunctionCount"] == 1


CALLS: list[tuple[str, Callable[[Any], Any]]] = [
    ("GetFunction", lambda client: client.get_function(FunctionName=THEIRS)),
    ("GetFunctionConfiguration", lambda client: client.get_function_configuration(FunctionName=THEIRS)),
    ("UpdateFunctionConfiguration", lambda client: client.update_function_configuration(FunctionName=THEIRS)),
    ("DeleteFunction", lambda client: client.delete_function(FunctionName=THEIRS)),
    ("PublishVersion", lambda client: client.publish_version(FunctionName=THEIRS)),
    ("ListAliases", lambda client: client.list_aliases(FunctionName=THEIRS)),
    ("PutFunctionConcurrency", lambda client: client.put_function_concurrency(
        FunctionName=THEIRS, ReservedConcurrentExecutions=0)),
    ("CreateEventSourceMapping", lambda client: client.create_event_source_mapping(
        FunctionName=THEIRS, EventSourceArn="arn:aws:sqs:us-east-1:000000000000:q")),
    ("ListTags", lambda client: client.list_tags(Resource=THEIRS)),
    ("TagResource", lambda client: client.tag_resource(Resource=THEIRS, Tags={"a": "b"})),
    ("AddPermission", lambda client: client.add_permission(
        FunctionName=THEIRS, StatementId="s", Action="lambda:InvokeFunction", Principal="*")),
]  # fmt: skip


@pytest.mark.parametrize(("action", "call"), CALLS, ids=[action for action, _ in CALLS])
def test_an_arn_of_another_account_is_refused(
    client: Any, neighbour: Any, action: str, call: Callable[[Any], Any]
) -> None:
    create(neighbour)
    assert error_of(call, client) == denied(action)
    assert neighbour.get_function(FunctionName="f")["Configuration"]["Timeout"] == 3


def test_nothing_is_created_in_another_account(client: Any, neighbour: Any) -> None:
    assert error_of(create, client, THEIRS) == denied("CreateFunction")
    assert neighbour.list_functions()["Functions"] == []


def test_a_policy_lets_another_account_in_for_what_it_names(client: Any, neighbour: Any) -> None:
    create(neighbour)
    permit = {"StatementId": "us", "Action": "lambda:GetFunction", "Principal": "000000000000"}
    statement = neighbour.add_permission(FunctionName="f", **permit)["Statement"]
    assert json.loads(statement)["Resource"] == THEIRS
    assert client.get_function(FunctionName=THEIRS)["Configuration"]["FunctionArn"] == THEIRS
    assert error_of(client.delete_function, FunctionName=THEIRS) == denied("DeleteFunction")


def test_a_layer_of_another_account_is_refused_until_it_is_shared(client: Any, neighbour: Any) -> None:
    content = {"ZipFile": b"PK\x05\x06" + bytes(18)}
    neighbour_layer = "arn:aws:lambda:us-east-1:111111111111:layer:tools"
    refusal = error_of(client.publish_layer_version, LayerName=neighbour_layer, Content=content)
    assert refusal == denied("PublishLayerVersion", neighbour_layer)
    assert error_of(client.list_layer_versions, LayerName=neighbour_layer) == denied(
        "ListLayerVersions", neighbour_layer
    )


def test_what_is_stored_in_another_account_does_not_exist_here(client: Any, neighbour: Any) -> None:
    publishers = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:111111111111:/signing-profiles/any/abc"]}
    theirs = neighbour.create_code_signing_config(AllowedPublishers=publishers)["CodeSigningConfig"]
    arn = theirs["CodeSigningConfigArn"]
    unknown = (404, "ResourceNotFoundException", f"The Lambda code signing configuration {arn} can not be found.")
    assert error_of(client.get_code_signing_config, CodeSigningConfigArn=arn) == unknown
    assert error_of(client.delete_code_signing_config, CodeSigningConfigArn=arn) == unknown
    assert error_of(client.list_tags, Resource=arn) == unknown
    assert error_of(create, client, CodeSigningConfigArn=arn)[1] == "CodeSigningConfigNotFoundException"
    provider = "arn:aws:lambda:us-east-1:111111111111:capacity-provider:big"
    assert error_of(client.get_capacity_provider, CapacityProviderName=provider)[:2] == (
        404,
        "ResourceNotFoundException",
    )


def test_an_arn_of_another_region_is_not_reachable(control_plane: ControlPlane, client: Any) -> None:
    elsewhere = control_plane.client("eu-west-1")
    create(elsewhere)
    unreachable = (
        404,
        "ResourceNotFoundException",
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )
    assert error_of(client.get_function, FunctionName=LATER) == unreachable
    assert error_of(create, client, LATER) == unreachable
    assert client.list_functions()["Functions"] == []
    assert [one["FunctionArn"] for one in elsewhere.list_functions()["Functions"]] == [LATER]


def test_a_listed_access_key_has_its_account(control_plane: ControlPlane) -> None:
    control_plane.use_settings(access_keys=(("OWNER", "secret", "222222222222"), ("PLAIN", "secret", "")))
    created = create(control_plane.client(access_key="OWNER"))
    assert created["FunctionArn"] == OURS.replace("000000000000", "222222222222")
    assert create(control_plane.client(access_key="PLAIN"))["FunctionArn"] == OURS
