"""Aliases as a client sees them: members, statuses, messages."""

from typing import Any

import pytest
import requests

from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, create, error_of, shown, wait
from tests.integration.lambda_api.test_versions_through_boto3 import update

INVALID, NOT_FOUND, CONFLICT = (
    "InvalidParameterValueException",
    "ResourceNotFoundException",
    "ResourceConflictException",
)
VALIDATION = "ValidationException"
LIVE = f"{ARN}:live"


@pytest.fixture
def published(client: Any) -> Any:
    """A client of a server with one function, ``f``, and its versions 1 and 2."""
    create(client)
    wait(client, "function_active_v2")
    client.publish_version(FunctionName="f")
    update(client, Timeout=9)
    client.publish_version(FunctionName="f")
    return client


def weights(**shares: float) -> dict[str, Any]:
    return {"AdditionalVersionWeights": {name.removeprefix("v"): share for name, share in shares.items()}}


def test_an_alias_is_answered_with_the_members_recorded_from_aws(published: Any) -> None:
    answer = published.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    alias = shown(answer)
    assert alias == {
        "AliasArn": LIVE,
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "",
        "RevisionId": alias["RevisionId"],
    }
    assert shown(published.get_alias(FunctionName=ARN, Name="live")) == alias
    routed = published.create_alias(
        FunctionName="f", Name="canary", FunctionVersion="1", Description="new", RoutingConfig=weights(v2=0.25)
    )
    assert (routed["RoutingConfig"], routed["Description"]) == (weights(v2=0.25), "new")


def test_a_function_by_its_alias_is_the_version_with_the_aliass_arn(published: Any) -> None:
    published.create_alias(FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig=weights(v2=0.5))
    version = published.get_function_configuration(FunctionName="f", Qualifier="1")
    for configuration in (
        published.get_function(FunctionName="f:live")["Configuration"],
        published.get_function_configuration(FunctionName="f", Qualifier="live"),
    ):
        assert shown(configuration) == {**shown(version), "FunctionArn": LIVE}
    assert error_of(published.get_function, FunctionName="f", Qualifier="beta") == (
        404,
        NOT_FOUND,
        f"Function not found: {ARN}:beta",
    )


def test_an_update_changes_what_it_mentions_and_always_the_revision_id(published: Any) -> None:
    first = published.create_alias(
        FunctionName="f", Name="live", FunctionVersion="1", Description="d", RoutingConfig=weights(v2=0.5)
    )
    same = published.update_alias(FunctionName="f", Name="live")
    assert same["RevisionId"] != first["RevisionId"]
    assert {**shown(same), "RevisionId": ""} == {**shown(first), "RevisionId": ""}
    moved = published.update_alias(
        FunctionName="f", Name="live", FunctionVersion="2", RoutingConfig=weights(), RevisionId=same["RevisionId"]
    )
    assert (moved["FunctionVersion"], moved["Description"], "RoutingConfig" in moved) == ("2", "d", False)
    assert shown(published.get_alias(FunctionName="f", Name="live")) == shown(moved)
    assert published.get_function(FunctionName="f:live")["Configuration"]["Timeout"] == 9
    assert error_of(published.update_alias, FunctionName="f", Name="live", RevisionId=same["RevisionId"]) == (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    )


def test_aliases_are_listed_by_name_by_version_and_in_pages(published: Any) -> None:
    for name, version in (("c", "1"), ("a", "2"), ("b", "1"), ("latest", "$LATEST")):
        published.create_alias(FunctionName="f", Name=name, FunctionVersion=version)
    names = [one["Name"] for one in published.list_aliases(FunctionName="f")["Aliases"]]
    assert names == ["a", "b", "c", "latest"]
    of_version = published.list_aliases(FunctionName="f", FunctionVersion="1")["Aliases"]
    assert [one["Name"] for one in of_version] == ["b", "c"]
    pages = published.get_paginator("list_aliases").paginate(FunctionName="f", PaginationConfig={"PageSize": 3})
    assert [[one["Name"] for one in page["Aliases"]] for page in pages] == [["a", "b", "c"], ["latest"]]


def test_an_alias_is_deleted_as_often_as_one_likes(published: Any) -> None:
    published.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for _ in range(2):
        deleted = published.delete_alias(FunctionName="f", Name="live")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert published.list_aliases(FunctionName="f")["Aliases"] == []


def test_what_is_not_there_is_told_in_awss_words(published: Any) -> None:
    gone = f"Function not found: {ARN}g"
    create_alias, update_alias = published.create_alias, published.update_alias
    for call, members, message in (
        (create_alias, {"FunctionName": "f", "FunctionVersion": "10"}, f"Function not found: {ARN}:10"),
        (
            create_alias,
            {"FunctionName": "f", "FunctionVersion": "1", "RoutingConfig": weights(v10=0.5)},
            f"Function not found: {ARN}:10",
        ),
        (create_alias, {"FunctionName": f"{ARN}g", "FunctionVersion": "1"}, f"{gone}:1"),
        (published.get_alias, {"FunctionName": "f"}, f"Cannot find alias arn: {LIVE}"),
        (published.get_alias, {"FunctionName": f"{ARN}g"}, gone),
        (update_alias, {"FunctionName": "f"}, f"Alias not found: {LIVE}"),
        (update_alias, {"FunctionName": f"{ARN}g"}, gone),
        (published.delete_alias, {"FunctionName": f"{ARN}g"}, gone),
    ):
        assert error_of(call, Name="live", **members) == (404, NOT_FOUND, message)
    assert error_of(published.list_aliases, FunctionName=f"{ARN}g") == (404, NOT_FOUND, gone)


def test_an_alias_is_made_once(published: Any) -> None:
    published.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    answer = error_of(published.create_alias, FunctionName="f", Name="live", FunctionVersion="2")
    assert answer == (409, CONFLICT, f"Alias already exists: {LIVE}")


@pytest.mark.parametrize("name", ["1", "007", "a b", "a" * 129])
def test_a_name_that_can_be_none_is_refused(published: Any, name: str) -> None:
    code, message = error_of(published.create_alias, FunctionName="f", Name=name, FunctionVersion="1")[1:]
    assert code == VALIDATION
    assert f"Value '{name}' at 'name' failed to satisfy constraint" in message


CANNOT_BE_GREATER = "Number of items in AdditionalVersionWeights cannot be greater than 1"
VALUES = (
    "1 validation error detected: Value '{2=%s}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
    "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must "
    "have value greater than or equal to 0.0, Member must not be null]"
)


@pytest.mark.parametrize(
    ("version", "shares", "code", "message"),
    [
        ("1", {"1": 0.5, "2": 0.5}, INVALID, CANNOT_BE_GREATER),
        ("1", {"2": 2}, VALIDATION, VALUES % "2.0"),
        ("1", {"2": -1}, VALIDATION, VALUES % "-1.0"),
        (
            "1",
            {"1": 0.5},
            INVALID,
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
        ("$LATEST", {"1": 0.5}, INVALID, "$LATEST is not supported for an alias pointing to more than 1 version"),
        (
            "1",
            {"$LATEST": 0.5},
            VALIDATION,
            (
                "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' "
                "failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than "
                "or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy "
                "regular expression pattern: [0-9]+, Member must not be null]"
            ),
        ),
    ],
)
def test_a_routing_that_makes_no_sense_is_refused_and_changes_nothing(
    published: Any, version: str, shares: dict[str, float], code: str, message: str
) -> None:
    routing = {"AdditionalVersionWeights": shares}
    members = {"FunctionName": "f", "FunctionVersion": version, "RoutingConfig": routing}
    assert error_of(published.create_alias, Name="live", **members) == (400, code, message)
    before = published.create_alias(FunctionName="f", Name="live", FunctionVersion="2")
    assert error_of(published.update_alias, Name="live", **members) == (400, code, message)
    assert shown(published.get_alias(FunctionName="f", Name="live")) == shown(before)


def test_latest_shares_its_alias_with_nobody_and_says_so_without_a_type(
    control_plane: ControlPlane, published: Any
) -> None:
    published.create_alias(FunctionName="f", Name="latest", FunctionVersion="$LATEST")
    path = f"{control_plane.url}/2015-03-31/functions/f/aliases/latest"
    with requests.put(path, json={"RoutingConfig": weights(v1=0.5)}, timeout=5) as reply:
        assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (400, INVALID)
        assert reply.json() == {"message": "$LATEST is not supported for an alias pointing to more than 1 version"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"Role": "arn:aws:iam::000000000000:role/other"},
            "Specified versions must be associated with the same execution role",
        ),
        (
            {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"}},
            "Specified versions must be associated with the same dead letter queue",
        ),
    ],
)
def test_versions_that_share_an_alias_have_one_role_and_one_dead_letter_queue(
    published: Any, members: dict[str, Any], message: str
) -> None:
    update(published, **members)
    assert published.publish_version(FunctionName="f")["Version"] == "3"
    answer = error_of(
        published.create_alias, FunctionName="f", Name="live", FunctionVersion="2", RoutingConfig=weights(v3=0.5)
    )
    assert answer == (400, INVALID, message)


def test_each_qualifier_has_an_event_invoke_config_of_its_own(published: Any) -> None:
    published.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for attempts, members in enumerate(({}, {"Qualifier": "1"}, {"Qualifier": "live"})):
        put = published.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=attempts, **members)
        assert put["FunctionArn"] == f"{ARN}:{members.get('Qualifier', '$LATEST')}"
    listed = published.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]
    assert {one["FunctionArn"]: one["MaximumRetryAttempts"] for one in listed} == {
        f"{ARN}:$LATEST": 0,
        f"{ARN}:1": 1,
        LIVE: 2,
    }
    published.delete_alias(FunctionName="f", Name="live")
    published.delete_function(FunctionName="f", Qualifier="1")
    left = published.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]
    assert [one["FunctionArn"] for one in left] == [f"{ARN}:$LATEST"]
    published.create_alias(FunctionName="f", Name="live", FunctionVersion="2")
    answer = error_of(published.get_function_event_invoke_config, FunctionName="f", Qualifier="live")
    assert answer == (404, NOT_FOUND, f"The function {LIVE} doesn't have an EventInvokeConfig")
