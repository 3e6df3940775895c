"""Resource policies as a client sees them: documents, statuses, messages."""

import json
from typing import Any

import pytest

from tests.integration.lambda_api.test_functions_through_boto3 import ARN, create, error_of, wait

INVALID, NOT_FOUND, CONFLICT = (
    "InvalidParameterValueException",
    "ResourceNotFoundException",
    "ResourceConflictException",
)
STALE = (
    412,
    "PreconditionFailedException",
    (
        "The Revision Id provided does not match the latest Revision Id. "
        "Call the GetPolicy API to retrieve the latest Revision Id"
    ),
)
NO_POLICY = (404, NOT_FOUND, "The resource you requested does not exist.")


@pytest.fixture
def published(client: Any) -> Any:
    """A client of a server with one function, ``f``, its version 1, and an alias ``live``."""
    create(client)
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return client


def add(client: Any, sid: str = "s3", **members: Any) -> Any:
    given = {"Principal": "s3.amazonaws.com", "Action": "lambda:InvokeFunction", "FunctionName": "f", **members}
    return client.add_permission(StatementId=sid, **given)


def policy(client: Any, **members: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(client.get_policy(FunctionName="f", **members)["Policy"])
    return document


def test_a_permission_is_answered_as_the_text_of_its_statement(published: Any) -> None:
    answer = add(published, SourceArn="arn:aws:s3:::bucket", SourceAccount="123456789012")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = json.loads(answer["Statement"])
    assert list(statement) == ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]
    assert statement == {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "123456789012"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
        },
    }
    assert policy(published) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}


@pytest.mark.parametrize(
    ("members", "principal", "condition"),
    [
        ({"Principal": "123456789012"}, {"AWS": "arn:aws:iam::123456789012:root"}, None),
        (
            {"Principal": "arn:aws:iam::123456789012:role/x/y"},
            {"AWS": "arn:aws:iam::123456789012:role/x/y"},
            None,
        ),
        (
            {"Principal": "*", "PrincipalOrgID": "o-a1b2c3d4e5"},
            "*",
            {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}},
        ),
        (
            {"Principal": "alexa-appkit.amazon.com", "EventSourceToken": "token"},
            {"Service": "alexa-appkit.amazon.com"},
            {"StringEquals": {"lambda:EventSourceToken": "token"}},
        ),
        (
            {"Principal": "*", "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
            "*",
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
        (
            {"Principal": "*", "InvokedViaFunctionUrl": True},
            "*",
            {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        ),
    ],
)
def test_principals_and_conditions_have_awss_form(
    published: Any, members: dict[str, Any], principal: Any, condition: Any
) -> None:
    statement = json.loads(add(published, **members)["Statement"])
    assert (statement["Principal"], statement.get("Condition")) == (principal, condition)


def test_function_version_and_alias_have_policies_of_their_own(published: Any) -> None:
    for qualifier in (None, "1", "live"):
        members = {} if qualifier is None else {"Qualifier": qualifier}
        resource = json.loads(add(published, f"for-{qualifier}", **members)["Statement"])["Resource"]
        assert resource == (ARN if qualifier is None else f"{ARN}:{qualifier}")
        (statement,) = policy(published, **members)["Statement"]
        assert statement["Sid"] == f"for-{qualifier}"
    published.delete_alias(FunctionName="f", Name="live")
    published.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert error_of(published.get_policy, FunctionName="f", Qualifier="live") == NO_POLICY


def test_the_policy_goes_with_its_last_statement(published: Any) -> None:
    add(published, "one")
    first = published.get_policy(FunctionName="f")["RevisionId"]
    add(published, "two", RevisionId=first)
    second = published.get_policy(FunctionName="f")["RevisionId"]
    assert second != first
    removed = published.remove_permission(FunctionName="f", StatementId="one", RevisionId=second)
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert [one["Sid"] for one in policy(published)["Statement"]] == ["two"]
    published.remove_permission(FunctionName="f", StatementId="two")
    assert error_of(published.get_policy, FunctionName="f") == NO_POLICY


def test_a_stale_revision_id_is_refused_and_an_id_that_is_taken_before_that(published: Any) -> None:
    add(published, "one")
    assert error_of(add, published, "two", RevisionId="stale") == STALE
    assert error_of(published.remove_permission, FunctionName="f", StatementId="one", RevisionId="stale") == STALE
    for members in ({}, {"RevisionId": "stale"}):
        assert error_of(add, published, "one", **members) == (
            409,
            CONFLICT,
            (
                "The statement id (one) provided already exists. Please provide a new statement id, or remove the "
                "existing statement."
            ),
        )


def test_what_cannot_be_is_refused_in_awss_words(published: Any) -> None:
    latest = (400, INVALID, "We currently do not support adding policies for $LATEST.")
    principal = (400, INVALID, "The provided principal was invalid. Please check the principal and try again.")
    assert error_of(add, published, Qualifier="$LATEST") == latest
    for wrong in ("nobody", "12345", "service.example.com", "arn:aws:sqs:us-east-1:000000000000:queue"):
        assert error_of(add, published, Principal=wrong) == principal
    assert error_of(add, published, "not valid")[1] == "ValidationException"
    assert error_of(add, published, Action="sqs:SendMessage")[1] == "ValidationException"
    assert error_of(published.get_policy, FunctionName="f") == NO_POLICY


def test_what_is_not_there_is_told_in_awss_words(published: Any) -> None:
    remove = published.remove_permission
    assert error_of(remove, FunctionName="f", StatementId="s3")[2] == "No policy is associated with the given resource."
    assert error_of(remove, FunctionName=f"{ARN}g", StatementId="s3") == (
        404,
        NOT_FOUND,
        f"No policy found for: {ARN}g",
    )
    add(published, "one")
    assert error_of(remove, FunctionName="f", StatementId="two") == (
        404,
        NOT_FOUND,
        "Statement two is not found in resource policy.",
    )
    assert error_of(add, published, FunctionName=f"{ARN}g")[2] == f"Function not found: {ARN}g"
    assert error_of(add, published, Qualifier="7")[2] == f"Function not found: {ARN}:7"
    assert error_of(add, published, Qualifier="beta")[2] == f"Cannot find alias arn: {ARN}:beta"


def fill(client: Any) -> None:
    for number in range(200):
        add(client, f"{'x' * 90}{number}")


def test_a_policy_has_an_end(published: Any) -> None:
    code, message = error_of(fill, published)[1:]
    assert code == "PolicyLengthExceededException"
    assert message.startswith("The final policy size (20")
    assert message.endswith(") is bigger than the limit (20480).")
    assert 20_000 < len(published.get_policy(FunctionName="f")["Policy"]) <= 20_480
