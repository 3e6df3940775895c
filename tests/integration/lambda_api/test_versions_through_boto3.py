"""Published versions as a client sees them: members, statuses, messages."""

from typing import Any

import pytest
import requests

from tests.fakes.registry_ports import zip_of
from tests.integration.lambda_api.conftest import ControlPlane
from tests.integration.lambda_api.test_functions_through_boto3 import ARN, RECORDED, create, error_of, shown, wait

INVALID, NOT_FOUND, CONFLICT = (
    "InvalidParameterValueException",
    "ResourceNotFoundException",
    "ResourceConflictException",
)
# What AWS was recorded to answer PublishVersion with.
PUBLISHED = (RECORDED | {"LastUpdateStatus"}) - {"StateReason", "StateReasonCode"}
LISTED = PUBLISHED - {"State", "LastUpdateStatus", "RuntimeVersionConfig"}


@pytest.fixture
def active(client: Any) -> Any:
    """A client of a server with one function, ``f``."""
    create(client)
    wait(client, "function_active_v2")
    return client


def update(client: Any, name: str = "f", **members: Any) -> None:
    client.update_function_configuration(FunctionName=name, **members)
    wait(client, "function_updated_v2", name)


def wait_published(client: Any, version: str) -> None:
    waiter = client.get_waiter("published_version_active")
    waiter.wait(FunctionName="f", Qualifier=version, WaiterConfig={"Delay": 0.01, "MaxAttempts": 500})


def versions_of(client: Any, name: str = "f") -> list[str]:
    return [one["Version"] for one in client.list_versions_by_function(FunctionName=name)["Versions"]]


def test_a_version_is_answered_with_the_members_recorded_from_aws(active: Any) -> None:
    latest = active.get_function_configuration(FunctionName="f")
    answer = active.publish_version(FunctionName="f", Description="first")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    version = shown(answer)
    assert version.keys() == PUBLISHED
    told = {name: version[name] for name in ("FunctionArn", "Version", "Description", "State", "LastUpdateStatus")}
    assert told == {
        "FunctionArn": f"{ARN}:1",
        "Version": "1",
        "Description": "first",
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }
    assert version["CodeSha256"] == latest["CodeSha256"]
    assert shown(active.get_function_configuration(FunctionName="f", Qualifier="1")) == version
    assert active.get_function(FunctionName=f"{ARN}:1")["Configuration"] == version


def test_publishing_gives_the_function_a_new_revision_id_and_the_version_one_of_its_own(active: Any) -> None:
    before = active.get_function_configuration(FunctionName="f")["RevisionId"]
    version = active.publish_version(FunctionName="f")["RevisionId"]
    after = active.get_function_configuration(FunctionName="f")["RevisionId"]
    assert len({before, version, after}) == 3


def test_nothing_is_published_twice_whatever_the_description_says(active: Any) -> None:
    first = active.publish_version(FunctionName="f", Description="first")
    again = active.publish_version(FunctionName="f", Description="second")
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert shown(again) == shown(first)
    update(active, Timeout=3)
    assert active.publish_version(FunctionName="f")["Version"] == "1", "an update that changes nothing is no change"
    update(active, Description="described")
    assert active.publish_version(FunctionName="f")["Version"] == "2"
    assert versions_of(active) == ["$LATEST", "1", "2"]


def test_a_version_is_what_the_function_was(active: Any) -> None:
    active.publish_version(FunctionName="f")
    active.update_function_code(FunctionName="f", ZipFile=zip_of(app="newer"))
    wait(active, "function_updated_v2")
    update(active, Timeout=9, Environment={"Variables": {"A1": "1"}})
    newer, first = (active.get_function(FunctionName="f", Qualifier=one) for one in ("$LATEST", "1"))
    assert (first["Configuration"]["Timeout"], newer["Configuration"]["Timeout"]) == (3, 9)
    assert "Environment" not in first["Configuration"]
    assert first["Configuration"]["CodeSha256"] != newer["Configuration"]["CodeSha256"]
    for answer, content in ((first, zip_of(app="x")), (newer, zip_of(app="newer"))):
        with requests.get(answer["Code"]["Location"], timeout=5) as reply:
            assert reply.content == content
    assert newer["Configuration"]["FunctionArn"] == f"{ARN}:$LATEST"


def test_a_published_version_cannot_be_changed(active: Any) -> None:
    active.publish_version(FunctionName="f")
    functions_only = (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN."
    )
    for call, members in (
        (active.update_function_code, {"ZipFile": zip_of(app="y")}),
        (active.update_function_configuration, {"Timeout": 9}),
    ):
        assert error_of(call, FunctionName=f"{ARN}:1", **members) == (400, INVALID, functions_only)


def test_the_guards_of_publishing_hold(active: Any) -> None:
    revision = active.get_function_configuration(FunctionName="f")["RevisionId"]
    sha256 = active.get_function_configuration(FunctionName="f")["CodeSha256"]
    assert error_of(active.publish_version, FunctionName="f", CodeSha256="other") == (
        400,
        INVALID,
        (
            f"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({sha256}). "
            "Please try again with the CodeSHA256 in $LATEST."
        ),
    )
    assert error_of(active.publish_version, FunctionName="f", RevisionId="stale") == (
        412,
        "PreconditionFailedException",
        (
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        ),
    )
    assert error_of(active.publish_version, FunctionName=f"{ARN}g")[1:] == (NOT_FOUND, f"Function not found: {ARN}g")
    assert error_of(active.publish_version, FunctionName="f", Description="x" * 257)[1] == "ValidationException"
    assert error_of(active.publish_version, FunctionName="f", PublishTo="LATEST_PUBLISHED")[0] == 501
    assert versions_of(active) == ["$LATEST"]
    published = active.publish_version(FunctionName="f", CodeSha256=sha256, RevisionId=revision)
    assert published["Version"] == "1"


def test_a_function_can_be_published_as_it_is_created(client: Any) -> None:
    created = create(client, Publish=True)
    assert created.keys() == RECORDED
    assert (created["Version"], created["FunctionArn"], created["State"]) == ("1", ARN, "Pending")
    pending = client.get_function_configuration(FunctionName="f", Qualifier="1")
    assert (pending["FunctionArn"], pending["Version"]) == (f"{ARN}:1", "1")
    wait_published(client, "1")
    settled = client.get_function_configuration(FunctionName="f", Qualifier="1")
    assert shown(settled).keys() == PUBLISHED
    assert settled["RevisionId"] != created["RevisionId"]
    assert client.publish_version(FunctionName="f")["Version"] == "1"


def test_code_can_be_published_as_it_is_updated(active: Any) -> None:
    answer = shown(active.update_function_code(FunctionName="f", ZipFile=zip_of(app="newer"), Publish=True))
    assert answer.keys() == RECORDED
    assert (answer["Version"], answer["FunctionArn"], answer["State"]) == ("1", f"{ARN}:1", "Pending")
    wait_published(active, "1")
    wait(active, "function_updated_v2")
    again = active.update_function_code(FunctionName="f", ZipFile=zip_of(app="newer"), Publish=True)
    assert (again["Version"], again["State"]) == ("1", "Active"), "nothing has changed"
    assert versions_of(active) == ["$LATEST", "1"]


def test_versions_are_listed_in_the_order_of_their_numbers_and_in_pages(active: Any) -> None:
    for timeout in range(10, 22):
        update(active, Timeout=timeout)
        active.publish_version(FunctionName="f")
    listed = active.list_versions_by_function(FunctionName="f")["Versions"]
    assert [one["Version"] for one in listed] == ["$LATEST", *map(str, range(1, 13))]
    assert [one["FunctionArn"] for one in listed] == [f"{ARN}:{one['Version']}" for one in listed]
    assert all(one.keys() == LISTED for one in listed)
    pages = active.get_paginator("list_versions_by_function").paginate(
        FunctionName="f", PaginationConfig={"PageSize": 5}
    )
    found = [[one["Version"] for one in page["Versions"]] for page in pages]
    assert [len(page) for page in found] == [5, 5, 3]
    assert [version for page in found for version in page] == [one["Version"] for one in listed]
    assert error_of(active.list_versions_by_function, FunctionName=f"{ARN}g")[1:] == (
        NOT_FOUND,
        f"Function not found: {ARN}g",
    )


def test_functions_can_be_listed_with_all_their_versions(active: Any) -> None:
    create(active, "g")
    active.publish_version(FunctionName="f")
    pages = active.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 2})
    assert [one["FunctionArn"].rpartition(":function:")[2] for page in pages for one in page["Functions"]] == [
        "f:$LATEST",
        "f:1",
        "g:$LATEST",
    ]
    assert [one["FunctionName"] for one in active.list_functions()["Functions"]] == ["f", "g"]


def test_a_version_can_be_deleted_and_its_number_is_not_given_again(active: Any) -> None:
    active.publish_version(FunctionName="f")
    for _ in range(2):
        deleted = active.delete_function(FunctionName="f", Qualifier="1")
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert versions_of(active) == ["$LATEST"]
    assert error_of(active.get_function, FunctionName="f", Qualifier="1") == (
        404,
        NOT_FOUND,
        f"Function not found: {ARN}:1",
    )
    assert active.publish_version(FunctionName="f")["Version"] == "2"
    assert error_of(active.delete_function, FunctionName="f", Qualifier="$LATEST") == (
        400,
        INVALID,
        "$LATEST version cannot be deleted without deleting the function.",
    )


def test_the_numbers_of_a_deleted_function_are_not_given_again(active: Any) -> None:
    active.publish_version(FunctionName="f")
    active.delete_function(FunctionName="f")
    assert error_of(active.get_function, FunctionName="f", Qualifier="1")[2] == f"Function not found: {ARN}:1"
    create(active)
    wait(active, "function_active_v2")
    assert versions_of(active) == ["$LATEST"]
    assert active.publish_version(FunctionName="f")["Version"] == "2"


def test_a_version_that_an_alias_refers_to_cannot_be_deleted(active: Any) -> None:
    active.publish_version(FunctionName="f")
    update(active, Timeout=9)
    active.publish_version(FunctionName="f")
    active.create_alias(
        FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}}
    )
    active.create_alias(FunctionName="f", Name="beta", FunctionVersion="2")
    for version, aliases in (("1", "live"), ("2", "beta, live")):
        assert error_of(active.delete_function, FunctionName="f", Qualifier=version) == (
            409,
            CONFLICT,
            f"Unable to delete version because the following aliases reference it: [{aliases}]",
        )
    by_alias = error_of(active.delete_function, FunctionName="f", Qualifier="live")
    assert by_alias == (400, INVALID, "Deletion of aliases is not currently supported.")
    active.delete_alias(FunctionName="f", Name="live")
    active.delete_function(FunctionName="f", Qualifier="1")
    assert versions_of(active) == ["$LATEST", "2"]


def test_two_qualifiers_that_differ_are_refused(active: Any) -> None:
    message = "The derived qualifier from the function name does not match the specified qualifier."
    assert error_of(active.get_function, FunctionName=f"{ARN}:1", Qualifier="2") == (400, INVALID, message)


def test_what_belongs_to_the_whole_function_is_shown_with_its_versions(active: Any) -> None:
    active.tag_resource(Resource=ARN, Tags={"team": "orders"})
    active.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    active.publish_version(FunctionName="f")
    answer = active.get_function(FunctionName="f", Qualifier="1")
    assert answer["Tags"] == {"team": "orders"}
    assert answer["Concurrency"] == {"ReservedConcurrentExecutions": 3}
    assert error_of(active.list_tags, Resource=f"{ARN}:1") == (
        400,
        INVALID,
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    )


def test_every_version_counts_as_code(control_plane: ControlPlane, active: Any) -> None:
    size = active.get_account_settings()["AccountUsage"]["TotalCodeSize"]
    active.publish_version(FunctionName="f")
    usage = active.get_account_settings()["AccountUsage"]
    assert (usage["TotalCodeSize"], usage["FunctionCount"]) == (2 * size, 1)
