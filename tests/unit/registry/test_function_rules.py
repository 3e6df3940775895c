"""The pure rules behind the registry: life cycle, configuration, description, storage."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rie_server.errors import InvalidParameterValueException, NotImplementedException, ResourceConflictException
from rie_server.model.function_code import StoredObject, code_source
from rie_server.model.function_configuration import changed_configuration, logging_configuration, new_configuration
from rie_server.model.function_description import describe, describe_code
from rie_server.model.function_document import from_document, to_document
from rie_server.model.function_life_cycle import (
    LEGAL_MOVES,
    activated,
    check_updatable,
    created,
    is_settled,
    refused,
    timestamp,
    updated,
)
from rie_server.model.function_record import (
    CodeReference,
    Deployment,
    FunctionRecord,
    LifeCycle,
    State,
    UpdateStatus,
    runnable,
)
from tests.unit.registry.conftest import arn, zip_members


def deployment(name: str = "d", **configuration: Any) -> Deployment:
    return Deployment(
        deployment_id=name,
        configuration=new_configuration(arn(), zip_members(**configuration)),
        code=CodeReference(package_type="Zip", sha256="c2hh", size_bytes=3),
    )


def pending() -> FunctionRecord:
    return created(arn(), deployment(), {"a": "b"}, revision_id="1", last_modified="then")


def active() -> FunctionRecord:
    return activated(pending(), deployment(), revision_id="2")


def updating() -> FunctionRecord:
    return updated(active(), deployment("e"), revision_id="3", last_modified="now")


@pytest.mark.parametrize("record", [pending(), active(), updating(), refused(updating(), "no", "X", revision_id="4")])
def test_a_record_comes_back_from_the_store_as_it_went_in(record: FunctionRecord) -> None:
    assert from_document(json.loads(json.dumps(to_document(record)))) == record


def test_no_function_becomes_pending_again() -> None:
    assert all(State.PENDING not in targets for targets in LEGAL_MOVES.values())
    assert LEGAL_MOVES.keys() == set(State)


def test_a_refused_creation_fails_the_function() -> None:
    record = refused(pending(), "no such image", "InvalidImage", revision_id="2")
    assert record.life == LifeCycle(state=State.FAILED, state_reason="no such image", state_reason_code="InvalidImage")
    assert is_settled(record)


def test_a_refused_update_keeps_the_former_deployment() -> None:
    record = refused(updating(), "no", "InvalidConfiguration", revision_id="4")
    assert record.serving == deployment()
    assert (record.life.state, record.life.update_status) == (State.ACTIVE, UpdateStatus.FAILED)


def test_an_update_mends_a_failed_function() -> None:
    failed = refused(pending(), "no", "X", revision_id="2")
    check_updatable(failed, None)
    mended = updated(failed, deployment("e"), revision_id="3", last_modified="now")
    assert not is_settled(mended)
    again = refused(mended, "still not", "X", revision_id="4")
    assert (again.life.state, again.life.update_status) == (State.FAILED, UpdateStatus.FAILED)
    assert activated(mended, mended.current, revision_id="4").life == LifeCycle(
        state=State.ACTIVE, update_status=UpdateStatus.SUCCESSFUL
    )


def test_nothing_is_updated_while_something_is_under_way() -> None:
    for record in (pending(), updating()):
        with pytest.raises(ResourceConflictException):
            check_updatable(record, None)
    check_updatable(active(), None)


@pytest.mark.parametrize(
    ("given", "configuration"),
    [
        ({}, {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}),
        (
            {"LogFormat": "JSON"},
            {
                "LogFormat": "JSON",
                "ApplicationLogLevel": "INFO",
                "SystemLogLevel": "INFO",
                "LogGroup": "/aws/lambda/f",
            },
        ),
        ({"LogGroup": "mine"}, {"LogFormat": "Text", "LogGroup": "mine"}),
    ],
)
def test_logging_is_filled_in_by_its_format(given: dict[str, str], configuration: dict[str, str]) -> None:
    assert logging_configuration("f", given) == configuration


def test_log_levels_without_json_are_refused() -> None:
    with pytest.raises(InvalidParameterValueException):
        logging_configuration("f", {"LogFormat": "Text", "SystemLogLevel": "WARN"})


def test_an_empty_dead_letter_config_keeps_the_target_and_an_empty_target_clears_it() -> None:
    target = {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"}
    current = new_configuration(arn(), zip_members(DeadLetterConfig=target))
    assert changed_configuration(arn(), "Zip", current, {"DeadLetterConfig": {}})["DeadLetterConfig"] == target
    cleared = changed_configuration(arn(), "Zip", current, {"DeadLetterConfig": {"TargetArn": ""}})
    record = replace(active(), current=replace(deployment(), configuration=cleared))
    assert "DeadLetterConfig" not in describe(record)


def test_empty_tracing_and_snap_start_mean_their_defaults() -> None:
    configuration = new_configuration(arn(), zip_members(TracingConfig={}, SnapStart={}))
    assert configuration["TracingConfig"] == {"Mode": "PassThrough"}
    assert configuration["SnapStart"] == {"ApplyOn": "None"}


def test_the_limit_on_variables_counts_bytes_of_json() -> None:
    room = 4096 - len('{"AB":""}')
    new_configuration(arn(), zip_members(Environment={"Variables": {"AB": "x" * room}}))
    for value in ("x" * (room + 1), "ü" * (room // 2 + 1), "\0"):
        with pytest.raises(InvalidParameterValueException):
            new_configuration(arn(), zip_members(Environment={"Variables": {"AB": value}}))


def test_an_update_may_not_publish_for_a_capacity_provider_or_reference_s3() -> None:
    for members in ({"PublishTo": "LATEST_PUBLISHED"}, {"S3ObjectStorageMode": "REFERENCE"}):
        with pytest.raises(NotImplementedException):
            code_source("Zip", {"ZipFile": b"", **members}, creating=False)
    assert code_source("Zip", {"S3Bucket": "b", "S3Key": "k", "Publish": False}, creating=False) == StoredObject(
        bucket="b", key="k", version=None
    )


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        ("app", "app@sha256:1"),
        ("app:tag", "app@sha256:1"),
        ("localhost:5000/team/app:tag", "localhost:5000/team/app@sha256:1"),
        ("localhost:5000/app@sha256:0", "localhost:5000/app@sha256:1"),
    ],
)
def test_a_resolved_image_is_named_by_its_digest(uri: str, resolved: str) -> None:
    code = CodeReference(package_type="Image", sha256="1", size_bytes=0, image_uri=uri, image_digest="sha256:1")
    record = replace(active(), current=replace(deployment(), code=code))
    assert describe_code(record, "")["ResolvedImageUri"] == resolved


def test_empty_overrides_of_an_image_override_nothing() -> None:
    members = {"Role": "r", "PackageType": "Image", "ImageConfig": {"Command": [], "WorkingDirectory": ""}}
    code = CodeReference(package_type="Image", sha256="", size_bytes=0, image_uri="app")
    configured = Deployment(deployment_id="d", configuration=new_configuration(arn(), members), code=code)
    image = runnable(arn(), configured, None).image_config
    assert (image.entry_point, image.command, image.working_directory) == (None, None, None)


def test_last_modified_is_written_as_aws_does() -> None:
    assert timestamp(1767225600.0429) == "2026-01-01T00:00:00.042+0000"
