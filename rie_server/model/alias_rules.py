"""What CreateAlias, UpdateAlias and DeleteAlias make of a function, and what AWS refuses.

Pure: from a record to the next one. Members have passed the service model's constraints. The new revision id comes
from the caller.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rie_server.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    UntypedParameterValueException,
)
from rie_server.model.alias import Alias
from rie_server.model.arn import LATEST
from rie_server.model.function_record import FunctionRecord
from rie_server.model.provisioned_concurrency import check_alias
from rie_server.model.qualified_config import with_gone_config

_ADDITIONAL_VERSIONS: Final = 1


def with_new_alias(record: FunctionRecord, members: Mapping[str, Any], *, revision_id: str) -> FunctionRecord:
    """``record`` with the alias that CreateAlias asks for.

    Raises:
        ResourceConflictException: there is one of this name.
        ResourceNotFoundException: no such version.
        InvalidParameterValueException: a routing that AWS does not allow.
    """
    name = members["Name"]
    alias = Alias(
        name=name,
        version=members["FunctionVersion"],
        description=members.get("Description", ""),
        revision_id=revision_id,
        additional_weights=_weights(members) or {},
    )
    _check_targets(record, alias)
    if name in record.aliases:
        raise ResourceConflictException(f"Alias already exists: {record.arn.qualified(name)}")
    kept = {qualifier: config for qualifier, config in record.gone_configs.items() if qualifier != name}
    return replace(_with(record, alias), gone_configs=kept)


def with_changed_alias(record: FunctionRecord, members: Mapping[str, Any], *, revision_id: str) -> FunctionRecord:
    """``record`` with its alias as UpdateAlias wants it: what is not mentioned stays.

    Raises:
        ResourceNotFoundException: no such alias, or no such version.
        PreconditionFailedException: ``RevisionId`` is not the alias's latest.
        InvalidParameterValueException: a routing that AWS does not allow.
    """
    name = members["Name"]
    current = record.aliases.get(name)
    if current is None:
        raise ResourceNotFoundException(f"Alias not found: {record.arn.qualified(name)}")
    if members.get("RevisionId") not in (None, current.revision_id):
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        )
    weights = _weights(members)
    alias = replace(
        current,
        version=members.get("FunctionVersion", current.version),
        description=members.get("Description", current.description),
        additional_weights=current.additional_weights if weights is None else weights,
        revision_id=revision_id,
    )
    _check_targets(record, alias)
    check_alias(record, alias)
    return _with(record, alias)


def without_alias(record: FunctionRecord, name: str) -> FunctionRecord:
    """``record`` without an alias, its URL and what was set for it; as it is where there is no such alias."""
    if name not in record.aliases:
        return record
    return replace(
        with_gone_config(record, name),
        aliases={key: alias for key, alias in record.aliases.items() if key != name},
        urls={key: url for key, url in record.urls.items() if key != name},
    )


def _with(record: FunctionRecord, alias: Alias) -> FunctionRecord:
    return replace(record, aliases={**record.aliases, alias.name: alias})


def _weights(members: Mapping[str, Any]) -> dict[str, float] | None:
    """The weights that ``members`` name; None where they say nothing of a routing."""
    routing = members.get("RoutingConfig")
    return None if routing is None else dict(routing.get("AdditionalVersionWeights") or {})


def _check_targets(record: FunctionRecord, alias: Alias) -> None:
    if len(alias.additional_weights) > _ADDITIONAL_VERSIONS:
        raise InvalidParameterValueException("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if alias.version in alias.additional_weights:
        raise InvalidParameterValueException(
            f"Invalid function version {alias.version}. "
            f"Function version {alias.version} is already included in routing configuration."
        )
    if alias.additional_weights and alias.version == LATEST:
        raise UntypedParameterValueException("$LATEST is not supported for an alias pointing to more than 1 version")
    for version in alias.targets:
        if version != LATEST and version not in record.versions:
            raise ResourceNotFoundException(f"Function not found: {record.arn.qualified(version)}")
    _check_alike(record, alias)


def _check_alike(record: FunctionRecord, alias: Alias) -> None:
    """Versions that share an alias differ in nothing that an event's way depends on."""
    configurations = [record.at(version).current.configuration for version in alias.targets]
    if len({configuration["Role"] for configuration in configurations}) > 1:
        raise InvalidParameterValueException("Specified versions must be associated with the same execution role")
    if len({configuration.get("DeadLetterConfig", {}).get("TargetArn") or "" for configuration in configurations}) > 1:
        raise InvalidParameterValueException("Specified versions must be associated with the same dead letter queue")
