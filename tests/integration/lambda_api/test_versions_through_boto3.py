"""Published versions, aliases and policies, as boto3 sees them; texts are AWS's."""

import json
from typing import Any

import pytest

from tests.fakes.registry_ports import zip_of
from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, ROLE, create, error_of, shown, wait


@pytest.fixture
def function(client: Any) -> Any:
    """A client of a server with one active function, ``f``."""
    create(client)
    wait(client, "function_active_v2")
    return client


def change(client: Any, **members: Any) -> None:
    client.update_function_configuration(FunctionName="f", **members)
    wait(client, "function_updated_v2")


def publish(client: Any, **members: Any) -> dict[str, Any]:
    return shown(client.publish_version(FunctionName="f", **members))


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_published_version_is_the_function_as_it_was(function: Any) -> None:
    change(function, Description="before", Timeout=7)
    answer = function.publish_version(FunctionName="f", Description="the first")
    version = shown(answer)
    change(function, Description="after", Timeout=9)

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (version["Version"], version["FunctionArn"], version["Description"]) == ("1", f"{ARN}:1", "the first")
    kept = shown(function.get_function_configuration(FunctionName="f", Qualifier="1"))
    assert (kept["Timeout"], kept["Description"], kept["State"]) == (7, "the first", "Active")
    assert function.get_function_configuration(FunctionName=f"{ARN}:1")["FunctionArn"] == f"{ARN}:1"
    latest = shown(function.get_function_configuration(FunctionName="f"))
    assert (latest["Timeout"], latest["Version"], latest["FunctionArn"]) == (9, "$LATEST", ARN)
    function.get_waiter("published_version_active").wait(FunctionName="f", Qualifier="1")


def test_unchanged_code_and_configuration_is_published_once(function: Any) -> None:
    first = publish(function, Description="one")
    again = publish(function, Description="ignored")
    assert again == first
    change(function, MemorySize=256)
    assert publish(function)["Version"] == "2"


def test_publishing_gives_latest_another_revision(function: Any) -> None:
    before = function.get_function_configuration(FunctionName="f")["RevisionId"]
    version = publish(function, RevisionId=before)
    after = function.get_function_configuration(FunctionName="f")["RevisionId"]
    assert len({before, version["RevisionId"], after}) == 3
    assert error_of(function.publish_version, FunctionName="f", RevisionId=before)[:2] == (
        412,
        "PreconditionFailedException",
    )


def test_a_version_is_published_only_of_the_code_that_was_meant(function: Any) -> None:
    digest = function.get_function_configuration(FunctionName="f")["CodeSha256"]
    assert error_of(function.publish_version, FunctionName="f", CodeSha256="other") == (
        400,
        "InvalidParameterValueException",
        (
            f"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({digest}). "
            "Please try again with the CodeSHA256 in $LATEST."
        ),
    )
    assert publish(function, CodeSha256=digest)["Version"] == "1"


def test_numbers_are_never_given_twice(function: Any) -> None:
    publish(function)
    function.delete_function(FunctionName="f", Qualifier="1")
    assert publish(function)["Version"] == "2"
    function.delete_function(FunctionName="f")
    create(function)
    wait(function, "function_active_v2")
    assert publish(function)["Version"] == "3"


def test_create_and_update_publish_what_they_make(client: Any) -> None:
    created = create(client, Publish=True)
    assert (created["Version"], created["FunctionArn"]) == ("1", f"{ARN}:1")
    client.get_waiter("published_version_active").wait(
        FunctionName="f", Qualifier="1", WaiterConfig={"Delay": 0.01, "MaxAttempts": 500}
    )
    wait(client, "function_active_v2")
    updated = shown(client.update_function_code(FunctionName="f", ZipFile=zip_of(app="y"), Publish=True))
    assert updated["Version"] == "2"
    wait(client, "function_updated_v2")
    first, second = (client.get_function_configuration(FunctionName="f", Qualifier=number) for number in "12")
    assert first["CodeSha256"] != second["CodeSha256"] == updated["CodeSha256"]
    assert second["State"] == "Active"


def test_versions_are_listed_oldest_first_in_pages(function: Any) -> None:
    for memory in (256, 512, 1024):
        change(function, MemorySize=memory)
        publish(function)
    listed = function.list_versions_by_function(FunctionName="f")["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", "1", "2", "3"]
    assert [one["FunctionArn"] for one in listed] == [f"{ARN}:{name}" for name in ("$LATEST", "1", "2", "3")]
    page = function.list_versions_by_function(FunctionName="f", MaxItems=2)
    rest = function.list_versions_by_function(FunctionName="f", Marker=page["NextMarker"])
    assert [one["Version"] for one in (*page["Versions"], *rest["Versions"])] == ["$LATEST", "1", "2", "3"]
    every = function.list_functions(FunctionVersion="ALL")["Functions"]
    assert [one["Version"] for one in every] == ["$LATEST", "1", "2", "3"]
    assert [one["FunctionArn"] for one in function.list_functions()["Functions"]] == [ARN]


def test_a_version_that_is_not_there_is_not_found(function: Any) -> None:
    assert error_of(function.get_function, FunctionName="f", Qualifier="7") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}:7",
    )
    assert function.delete_function(FunctionName="f", Qualifier="7")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_only_the_function_itself_is_published_and_updated(function: Any) -> None:
    publish(function)
    refusal = (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN."
    )
    for call in (function.publish_version, function.update_function_configuration):
        assert error_of(call, FunctionName=f"{ARN}:1") == (400, "InvalidParameterValueException", refusal)


def test_versions_and_aliases_survive_a_restart(control_plane: ControlPlane, function: Any) -> None:
    publish(function)
    function.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    control_plane.restart_registry()
    assert function.get_function_configuration(FunctionName="f", Qualifier="live")["Version"] == "1"
    assert control_plane.resolved("f", "live") == "1"
    change(function, MemorySize=256)
    assert publish(function)["Version"] == "2"


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_an_alias_is_created_read_changed_and_deleted(function: Any) -> None:
    publish(function)
    answer = function.create_alias(FunctionName="f", Name="live", FunctionVersion="1", Description="what runs")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = shown(answer)
    assert created | {"RevisionId": ""} == {
        "AliasArn": f"{ARN}:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "what runs",
        "RevisionId": "",
    }
    assert shown(function.get_alias(FunctionName="f", Name="live")) == created
    changed = shown(function.update_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST"))
    assert (changed["FunctionVersion"], changed["Description"]) == ("$LATEST", "what runs")
    assert changed["RevisionId"] != created["RevisionId"]
    assert shown(function.update_alias(FunctionName="f", Name="live"))["RevisionId"] != changed["RevisionId"]
    for _ in range(2):
        deleted = function.delete_alias(FunctionName="f", Name="live")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error_of(function.get_alias, FunctionName="f", Name="live") == (
        404,
        "ResourceNotFoundException",
        f"Cannot find alias arn: {ARN}:live",
    )


def test_a_function_asked_for_by_its_alias_is_the_version_under_the_aliass_arn(function: Any) -> None:
    publish(function)
    function.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    shown_by_alias = function.get_function(FunctionName="f:live")["Configuration"]
    assert (shown_by_alias["FunctionArn"], shown_by_alias["Version"]) == (f"{ARN}:live", "1")


def test_aliases_are_listed_by_name_by_version_and_in_pages(function: Any) -> None:
    publish(function)
    change(function, MemorySize=256)
    publish(function)
    for name, version in (("c", "1"), ("a", "2"), ("b", "1")):
        function.create_alias(FunctionName="f", Name=name, FunctionVersion=version)

    def names(**members: Any) -> list[str]:
        return [one["Name"] for one in function.list_aliases(FunctionName="f", **members)["Aliases"]]

    assert names() == ["a", "b", "c"]
    assert names(FunctionVersion="1") == ["b", "c"]
    page = function.list_aliases(FunctionName="f", MaxItems=1)
    assert [one["Name"] for one in page["Aliases"]] == ["a"]
    assert names(Marker=page["NextMarker"]) == ["b", "c"]


def test_an_alias_shares_its_invocations_by_weight(control_plane: ControlPlane, function: Any) -> None:
    publish(function)
    change(function, MemorySize=256)
    publish(function)
    routing = {"AdditionalVersionWeights": {"2": 0.25}}
    created = function.create_alias(FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig=routing)
    assert created["RoutingConfig"] == routing
    resolved = [control_plane.resolved("f", "live") for _ in range(10_000)]
    assert set(resolved) == {"1", "2"}
    # Three standard deviations of 10,000 draws with a chance of a quarter.
    assert abs(resolved.count("2") - 2_500) <= 3 * (10_000 * 0.25 * 0.75) ** 0.5
    function.update_alias(FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    assert {control_plane.resolved("f", "live") for _ in range(100)} == {"1"}


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        (
            {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1, "3": 0.1}}},
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            {"FunctionVersion": "$LATEST", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}},
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        (
            {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}}},
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
    ],
)
def test_a_routing_that_aws_does_not_allow_is_refused(function: Any, members: dict[str, Any], refusal: str) -> None:
    publish(function)
    assert error_of(function.create_alias, FunctionName="f", Name="live", **members) == (
        400,
        "InvalidParameterValueException",
        refusal,
    )


def test_what_is_wrong_with_an_alias_is_said_in_aws_words(function: Any) -> None:
    publish(function)
    function.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert error_of(function.create_alias, FunctionName="f", Name="live", FunctionVersion="1") == (
        409,
        "ResourceConflictException",
        f"Alias already exists: {ARN}:live",
    )
    assert error_of(function.create_alias, FunctionName="f", Name="next", FunctionVersion="9") == (
        404,
        "ResourceNotFoundException",
        f"Function not found: {ARN}:9",
    )
    assert error_of(function.update_alias, FunctionName="f", Name="next") == (
        404,
        "ResourceNotFoundException",
        f"Alias not found: {ARN}:next",
    )
    assert error_of(function.update_alias, FunctionName="f", Name="live", RevisionId="stale") == (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    )
    status, code, message = error_of(function.create_alias, FunctionName="f", Name="12", FunctionVersion="1")
    assert (status, code) == (400, "ValidationException")
    assert message.startswith("1 validation error detected: Value '12' at 'name' failed to satisfy constraint")


def test_a_version_that_an_alias_refers_to_is_not_deleted(function: Any) -> None:
    publish(function)
    function.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert error_of(function.delete_function, FunctionName="f", Qualifier="1")[:2] == (409, "ResourceConflictException")
    function.delete_alias(FunctionName="f", Name="live")
    function.delete_function(FunctionName="f", Qualifier="1")
    assert error_of(function.get_function, FunctionName="f", Qualifier="1")[0] == 404


def test_versions_that_share_an_alias_have_the_same_role(function: Any) -> None:
    publish(function)
    change(function, Role=f"{ROLE}-other")
    publish(function)
    routing = {"AdditionalVersionWeights": {"2": 0.5}}
    assert error_of(function.create_alias, FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig=routing)[
        :2
    ] == (400, "InvalidParameterValueException")


# --- policies ---------------------------------------------------------------------------------------------------------


def grant(client: Any, sid: str = "s3", **members: Any) -> dict[str, Any]:
    arguments = {"Principal": "s3.amazonaws.com", "Action": "lambda:InvokeFunction", **members}
    statement: dict[str, Any] = json.loads(
        client.add_permission(FunctionName="f", StatementId=sid, **arguments)["Statement"]
    )
    return statement


def test_a_permission_becomes_a_statement_of_the_policy(function: Any) -> None:
    statement = grant(function, SourceArn="arn:aws:s3:::photos", SourceAccount="000000000000")
    assert list(statement) == ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]
    assert statement == {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "000000000000"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos"},
        },
    }
    policy = function.get_policy(FunctionName="f")
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    assert policy["RevisionId"]


def test_each_qualifier_has_a_policy_of_its_own(function: Any) -> None:
    publish(function)
    function.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    grant(function)
    assert grant(function, Qualifier="live")["Resource"] == f"{ARN}:live"
    assert error_of(function.get_policy, FunctionName="f", Qualifier="1")[:2] == (404, "ResourceNotFoundException")
    assert error_of(function.add_permission, FunctionName="f", Qualifier="$LATEST", StatementId="x",
                    Principal="*", Action="lambda:*") == (
        400,
        "InvalidParameterValueException",
        "We currently do not support adding policies for $LATEST.",
    )  # fmt: skip


def test_the_last_statement_takes_the_policy_with_it(function: Any) -> None:
    grant(function)
    answer = function.remove_permission(FunctionName="f", StatementId="s3")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert error_of(function.get_policy, FunctionName="f") == (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )
    assert error_of(function.remove_permission, FunctionName="f", StatementId="s3") == (
        404,
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
    )


def test_what_is_wrong_with_a_permission_is_said_in_aws_words(function: Any) -> None:
    grant(function)
    assert error_of(grant, function, RevisionId="stale") == (
        409,
        "ResourceConflictException",
        (
            "The statement id (s3) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        ),
    )
    assert error_of(grant, function, "next", RevisionId="stale") == (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetPolicy API to retrieve the latest Revision Id"
        ),
    )
    assert error_of(grant, function, "next", Principal="nobody") == (
        400,
        "InvalidParameterValueException",
        "The provided principal was invalid. Please check the principal and try again.",
    )
    assert error_of(function.remove_permission, FunctionName="f", StatementId="other") == (
        404,
        "ResourceNotFoundException",
        "Statement other is not found in resource policy.",
    )
    assert error_of(function.remove_permission, FunctionName="none", StatementId="other") == (
        404,
        "ResourceNotFoundException",
        f"No policy found for: {ARN[:-1]}none",
    )


def test_a_policy_has_a_length_limit(function: Any) -> None:
    def grant_many() -> None:
        for number in range(200):
            grant(function, f"statement-{number:090d}", SourceArn=f"arn:aws:s3:::photos-{number}")

    with pytest.raises(function.exceptions.PolicyLengthExceededException):
        grant_many()
    assert len(function.get_policy(FunctionName="f")["Policy"]) <= 20_480
