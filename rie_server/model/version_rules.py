"""What publishing and deleting a version make of a function, and what AWS refuses.

Pure: from a record to the next one. New ids come from the caller.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rie_server.errors import InvalidParameterValueException, ResourceConflictException
from rie_server.model.function_code import refuse_publish_to
from rie_server.model.function_life_cycle import activated, check_updatable, not_invocable, refused
from rie_server.model.function_record import (
    Deployment,
    FunctionRecord,
    LifeCycle,
    PublishedVersion,
    State,
    UpdateStatus,
)
from rie_server.model.qualified_config import with_gone_config


def check_publishable(record: FunctionRecord, members: Mapping[str, Any]) -> None:
    """Lets ``$LATEST`` be published as PublishVersion asks.

    Raises:
        InvalidParameterValueException: ``CodeSha256`` is another code's.
        PreconditionFailedException, ResourceConflictException: as for an update; also when ``$LATEST`` cannot run.
    """
    refuse_publish_to(members)
    check_updatable(record, members.get("RevisionId"))
    if record.life.state is State.FAILED:
        raise not_invocable(record)
    if record.life.update_status is UpdateStatus.FAILED:
        raise ResourceConflictException(
            f"The operation cannot be performed at this time. The last update of the resource has failed: {record.arn}"
        )
    wanted, present = members.get("CodeSha256"), record.current.code.sha256
    if wanted and wanted != present:
        raise InvalidParameterValueException(
            f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST ({present}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )


def unchanged_version(record: FunctionRecord) -> PublishedVersion | None:
    """The version that was published last, if it is what ``$LATEST`` is now."""
    last = record.versions.get(str(record.last_version))
    if last is None or last.deployment.code != record.current.code:
        return None
    configuration = {**last.deployment.configuration, "Description": last.latest_description}
    return last if configuration == {"Description": "", **record.current.configuration} else None


def published(
    record: FunctionRecord, description: str | None, *, deployment_id: str, revision_id: str, latest_revision_id: str
) -> FunctionRecord:
    """``record`` with ``$LATEST`` as its newest version: Active where ``$LATEST`` runs, Pending while it is prepared.

    Args:
        description: None or empty for ``$LATEST``'s own.
    """
    number = record.last_version + 1
    configuration = record.current.configuration
    own_description = configuration.get("Description", "")
    is_ready = record.serving == record.current
    version = PublishedVersion(
        version=str(number),
        deployment=replace(
            record.current,
            deployment_id=deployment_id,
            configuration={**configuration, "Description": description or own_description},
        ),
        life=LifeCycle(state=State.ACTIVE, update_status=UpdateStatus.SUCCESSFUL) if is_ready else _CREATING,
        revision_id=revision_id,
        last_modified=record.last_modified,
        latest_description=own_description,
    )
    return replace(
        record,
        versions={**record.versions, version.version: version},
        last_version=number,
        revision_id=latest_revision_id,
        gone_configs={key: config for key, config in record.gone_configs.items() if key != version.version},
    )


_CREATING = LifeCycle(state=State.PENDING, state_reason="The function is being created.", state_reason_code="Creating")


def settled_version(
    record: FunctionRecord, version: str, outcome: Deployment | tuple[str, str], *, revision_id: str
) -> FunctionRecord:
    """``record`` after one of its versions was prepared.

    Args:
        outcome: the deployment that runs now, or the reason why it cannot, with its code.
    """
    before = record.at(version)
    if isinstance(outcome, Deployment):
        after = activated(before, outcome, revision_id=revision_id)
    else:
        reason, reason_code = outcome
        after = refused(before, reason, reason_code, revision_id=revision_id)
    changed = replace(
        record.versions[version], deployment=after.current, life=after.life, revision_id=after.revision_id
    )
    return replace(record, versions={**record.versions, version: changed})


def without_version(record: FunctionRecord, version: str) -> FunctionRecord:
    """``record`` without a version and what was set for it; as it is where there is no such version.

    Raises:
        ResourceConflictException: an alias refers to it.
    """
    users = sorted(alias.name for alias in record.aliases.values() if version in alias.targets)
    if users:
        raise ResourceConflictException(
            f"Unable to delete version because the following aliases reference it: [{', '.join(users)}]"
        )
    if version not in record.versions:
        return record
    return replace(
        with_gone_config(record, version),
        versions={key: published for key, published in record.versions.items() if key != version},
        stored_settings={
            name: {key: value for key, value in values.items() if key != version}
            for name, values in record.stored_settings.items()
        },
    )
