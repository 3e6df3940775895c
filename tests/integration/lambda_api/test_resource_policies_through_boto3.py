"""Resource policies as whole documents: Put-, Get- and DeleteResourcePolicy, beside AddPermission's statements."""

import json
from typing import Any

import pytest

from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import create, error_of, wait

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
INVALID = "InvalidParameterValueException"
NONE = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
STALE = (
    412,
    "PreconditionFailedException",
    (
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetResourcePolicy API to retrieve the latest Revision Id"
    ),
)
UNKNOWN_REVISION = "12345678-1234-1234-1234-123456789012"


def document(**changes: Any) -> str:
    statement = {
        "Sid": "far",
        "Effect": "Allow",
        "Principal": {"AWS": ["111111111111", "arn:aws:iam::222222222222:root"]},
        "Action": ["lambda:GetFunction", "lambda:Invoke*"],
        "Resource": ARN,
    }
    policy = {"Version": "2012-10-17", "Id": "ours", "Statement": [{**statement, **changes}]}
    return json.dumps(policy, ensure_ascii=False)


@pytest.fixture
def published(client: Any) -> Any:
    create(client)
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    return client


def test_a_policy_is_put_shown_replaced_and_deleted(published: Any) -> None:
    assert error_of(published.get_resource_policy, ResourceArn=ARN) == NONE
    published.add_permission(
        FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    put = published.put_resource_policy(ResourceArn=ARN, Policy=document())
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert json.loads(put["Policy"]) == json.loads(document())
    got = published.get_resource_policy(ResourceArn=ARN)
    assert (got["Policy"], got["RevisionId"]) == (put["Policy"], put["RevisionId"])
    assert published.get_policy(FunctionName="f")["Policy"] == put["Policy"]
    again = published.put_resource_policy(ResourceArn=ARN, Policy=document(Sid="x"), RevisionId=put["RevisionId"])
    assert again["RevisionId"] != put["RevisionId"]
    deleted = published.delete_resource_policy(ResourceArn=ARN, RevisionId=again["RevisionId"])
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error_of(published.get_resource_policy, ResourceArn=ARN) == NONE
    assert error_of(published.delete_resource_policy, ResourceArn=ARN) == NONE


def test_statements_are_added_to_a_document_and_taken_from_it(published: Any) -> None:
    published.put_resource_policy(ResourceArn=ARN, Policy=document())
    published.add_permission(FunctionName="f", StatementId="all", Action="lambda:InvokeFunction", Principal="*")
    policy = json.loads(published.get_resource_policy(ResourceArn=ARN)["Policy"])
    assert policy["Id"] == "ours"
    assert [statement["Sid"] for statement in policy["Statement"]] == ["far", "all"]
    published.remove_permission(FunctionName="f", StatementId="far")
    assert len(json.loads(published.get_resource_policy(ResourceArn=ARN)["Policy"])["Statement"]) == 1


def test_a_stale_revision_is_refused(published: Any) -> None:
    put = published.put_resource_policy
    assert error_of(put, ResourceArn=ARN, Policy=document(), RevisionId=UNKNOWN_REVISION) == STALE
    put(ResourceArn=ARN, Policy=document())
    assert error_of(put, ResourceArn=ARN, Policy=document(), RevisionId=UNKNOWN_REVISION) == STALE
    assert error_of(published.delete_resource_policy, ResourceArn=ARN, RevisionId=UNKNOWN_REVISION) == STALE


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("no json", "it is not valid JSON"),
        ("[]", "it has no Statement"),
        ('{"Statement": []}', "it has no Statement"),
        ('{"Version": "2020-01-01", "Statement": [{}]}', "its Version is not supported"),
        ('{"Statement": ["text"]}', "a statement needs an Effect"),
        (document(Effect="Maybe"), "a statement needs an Effect"),
        (document(Principal=None), "a statement needs a Principal"),
        (document(Principal={"AWS": []}), "a statement needs a Principal"),
        (document(Action=[]), "a statement needs an Action"),
        (document(Action=[7]), "an Action must be text"),
        (document(Resource="*"), f"a Resource must be {ARN}"),
        (document(Condition={"StringEquals": "x"}), "a Condition must be a mapping of operators"),
    ],
)
def test_what_is_no_policy_is_refused(published: Any, policy: str, reason: str) -> None:
    refusal = (400, INVALID, f"The policy document is malformed: {reason}.")
    assert error_of(published.put_resource_policy, ResourceArn=ARN, Policy=policy) == refusal


def test_a_policy_is_of_one_version_and_not_too_long(published: Any) -> None:
    published.put_resource_policy(ResourceArn=f"{ARN}:1", Policy=document(Resource=f"{ARN}:1"))
    assert error_of(published.get_resource_policy, ResourceArn=ARN) == NONE
    long = document(Sid="ü" * 15_000)  # fewer characters than the model allows, and more bytes
    assert error_of(published.put_resource_policy, ResourceArn=ARN, Policy=long)[:2] == (
        400,
        "PolicyLengthExceededException",
    )
    latest = (400, INVALID, "We currently do not support adding policies for $LATEST.")
    assert error_of(published.put_resource_policy, ResourceArn=f"{ARN}:$LATEST", Policy=document()) == latest
    runtime = "arn:aws:lambda:us-east-1:000000000000:runtime/ours"
    assert error_of(published.get_resource_policy, ResourceArn=runtime) == NONE
    gone = (404, "ResourceNotFoundException", f"Function not found: {ARN}g")
    assert error_of(published.put_resource_policy, ResourceArn=f"{ARN}g", Policy=document()) == gone


def test_a_document_decides_about_other_accounts_and_survives_a_restart(
    control_plane: ControlPlane, published: Any
) -> None:
    neighbour = control_plane.client(access_key="111111111111")
    assert error_of(neighbour.get_function, FunctionName=ARN)[1] == "AccessDeniedException"
    published.put_resource_policy(ResourceArn=ARN, Policy=document())
    control_plane.restart_registry()
    assert neighbour.get_function(FunctionName=ARN)["Configuration"]["FunctionArn"] == ARN
    assert error_of(neighbour.list_tags, Resource=ARN)[1] == "AccessDeniedException"
    denied = json.loads(document())
    denied["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "lambda:GetFunction"})
    published.put_resource_policy(ResourceArn=ARN, Policy=json.dumps(denied))
    assert error_of(neighbour.get_function, FunctionName=ARN)[1] == "AccessDeniedException"
