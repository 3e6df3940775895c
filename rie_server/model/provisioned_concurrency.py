"""Provisioned concurrency: what a version or an alias may ask for, and which versions' environments that means.

Pure: from a record to the next one, or a refusal in AWS's words. What is ready of it the fleet knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from rie_server.errors import (
    InvalidParameterValueException,
    LambdaError,
    ResourceConflictException,
    ResourceNotFoundException,
    UntypedParameterValueException,
)
from rie_server.model.alias import Alias
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.concurrency_rules import minimum_unreserved
from rie_server.model.function_life_cycle import not_invocable
from rie_server.model.function_record import FunctionRecord, ProvisionedConcurrency, State

UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
NO_RESOURCE = "The function resource provided must be an alias or a published version."

# How many environments of each version, by number.
Shares = Mapping[str, int]


class ProvisioningStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the fleet has come with one configuration.

    Attributes:
        allocated: environments that have been initialized.
        available: those of them that do nothing now.
        reason: why it has failed.
    """

    allocated: int = 0
    available: int = 0
    status: ProvisioningStatus = ProvisioningStatus.IN_PROGRESS
    reason: str | None = None


def with_provisioned(
    record: FunctionRecord, function: FunctionArn, executions: int, *, at: str, limit: int, held_by_others: int
) -> FunctionRecord:
    """``record`` with ``executions`` provisioned for the qualifier of ``function``.

    Args:
        at: ``LastModified``.
        limit: the account's executions.
        held_by_others: of these, what all other functions have for themselves.

    Raises:
        InvalidParameterValueException, ResourceConflictException, ResourceNotFoundException: in AWS's words.
    """
    qualifier = _published(record, function, on_latest=UNPUBLISHED)
    targets = _targets(record, qualifier)
    for version in targets:
        _check_version(record, version)
    _check_conflicts(record, qualifier, targets)
    changed = replace(
        record,
        provisioned={
            **record.provisioned,
            qualifier: ProvisionedConcurrency(executions=executions, last_modified=at),
        },
    )
    _check_amount(record, changed, limit=limit, held_by_others=held_by_others)
    return changed


def without_provisioned(record: FunctionRecord, function: FunctionArn) -> FunctionRecord:
    """``record`` with nothing provisioned for the qualifier of ``function``; as it is where nothing is.

    Raises:
        InvalidParameterValueException, ResourceNotFoundException: as ``find_provisioned`` does.
    """
    qualifier = _published(record, function, on_latest=NO_RESOURCE)
    if qualifier not in record.provisioned:
        return record
    return replace(record, provisioned={key: one for key, one in record.provisioned.items() if key != qualifier})


def find_provisioned(record: FunctionRecord, function: FunctionArn) -> ProvisionedConcurrency | None:
    """What is provisioned for the qualifier of ``function``.

    Raises:
        InvalidParameterValueException: it is ``$LATEST``.
        ResourceNotFoundException: no such version or alias.
    """
    return record.provisioned.get(_published(record, function, on_latest=NO_RESOURCE))


def shares(record: FunctionRecord) -> dict[str, Shares]:
    """By qualifier, how many environments of which versions are to stand ready.

    An alias with weights divides its own by them; a version that gets invocations at all gets one if there are two.
    """
    return {qualifier: _divided(record, qualifier, one.executions) for qualifier, one in record.provisioned.items()}


def check_alias(record: FunctionRecord, alias: Alias) -> None:
    """Lets an alias lead to its versions, where it or they have provisioned concurrency.

    Raises:
        InvalidParameterValueException: it has some, and leads to ``$LATEST``.
        ResourceConflictException: it has some, and so has a version that it leads to.
    """
    if alias.name not in record.provisioned:
        return
    if LATEST in alias.targets:
        raise InvalidParameterValueException(UNPUBLISHED)
    _check_conflicts(record, alias.name, alias.targets)


def check_reservation_holds(record: FunctionRecord, reserved: int | None) -> None:
    """Lets a function reserve no less than it has provisioned.

    Raises:
        InvalidParameterValueException: less; or it has a capacity provider, which scales by itself.
    """
    if reserved is not None and record.current.configuration.get("CapacityProviderConfig"):
        raise InvalidParameterValueException(
            "Reserved Concurrency is not supported for functions with a capacity provider."
        )
    provisioned = record.provisioned_total
    if reserved is not None and reserved < provisioned:
        raise InvalidParameterValueException(
            f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned "
            f"concurrency [{provisioned}]."
        )


def describe_provisioned(configured: ProvisionedConcurrency, standing: Standing) -> dict[str, Any]:
    """The members that GetProvisionedConcurrencyConfig shows."""
    return {
        "RequestedProvisionedConcurrentExecutions": configured.executions,
        "AvailableProvisionedConcurrentExecutions": standing.available,
        "AllocatedProvisionedConcurrentExecutions": standing.allocated,
        "Status": standing.status,
        "StatusReason": standing.reason,
        "LastModified": configured.last_modified,
    }


def _published(record: FunctionRecord, function: FunctionArn, *, on_latest: str) -> str:
    """The qualifier of ``function``, which is a version or an alias of it."""
    qualifier = function.qualifier or LATEST
    if qualifier == LATEST:
        raise InvalidParameterValueException(on_latest)
    if qualifier not in record.versions and qualifier not in record.aliases:
        raise _not_found(record.arn.qualified(qualifier))
    return qualifier


def _not_found(function: FunctionArn) -> LambdaError:
    if (function.qualifier or "").isdecimal():
        return ResourceNotFoundException(f"Function not found: {function}")
    return ResourceNotFoundException(f"Cannot find alias arn: {function}")


def _targets(record: FunctionRecord, qualifier: str) -> tuple[str, ...]:
    alias = record.aliases.get(qualifier)
    return (qualifier,) if alias is None else alias.targets


def _check_version(record: FunctionRecord, version: str) -> None:
    if version == LATEST:
        raise InvalidParameterValueException(UNPUBLISHED)
    at_version = record.at(version)
    if at_version.life.state is not State.ACTIVE:
        raise not_invocable(at_version)
    configuration = at_version.current.configuration
    if configuration.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions":
        raise InvalidParameterValueException("Provisioned Concurrency is not supported for functions with SnapStart.")
    if configuration.get("CapacityProviderConfig"):
        raise InvalidParameterValueException(
            "Provisioned Concurrency is not supported for functions with a capacity provider."
        )
    if configuration.get("TenancyConfig"):
        raise InvalidParameterValueException(
            "Provisioned Concurrency is not supported for functions with tenant isolation mode enabled."
        )


def _check_conflicts(record: FunctionRecord, qualifier: str, targets: tuple[str, ...]) -> None:
    """A version's environments are provisioned for itself or for one alias."""
    is_alias = qualifier in record.aliases
    for other in record.provisioned:
        if other == qualifier or not set(_targets(record, other)) & set(targets):
            continue
        raise ResourceConflictException(
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            if is_alias
            else "Version is pointed by a Provisioned Concurrency alias"
        )


def _check_amount(before: FunctionRecord, after: FunctionRecord, *, limit: int, held_by_others: int) -> None:
    """Like a reservation, provisioned concurrency may always be lowered."""
    total = after.provisioned_total
    if after.reserved_concurrency is not None:
        if total > after.reserved_concurrency:
            raise InvalidParameterValueException(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                "function"
            )
        return
    if total <= before.provisioned_total:
        return
    free = limit - held_by_others
    if total > free:
        raise InvalidParameterValueException(
            f"Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{free}]."
        )
    minimum = minimum_unreserved(limit)
    if free - total < minimum:
        raise UntypedParameterValueException(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{minimum}]."
        )


def _divided(record: FunctionRecord, qualifier: str, executions: int) -> Shares:
    alias = record.aliases.get(qualifier)
    if alias is None:
        return {qualifier: executions}
    if not alias.additional_weights:
        return {alias.version: executions}
    ((additional, weight),) = alias.additional_weights.items()
    part = round(executions * weight)
    if executions > 1 and 0.0 < weight < 1.0:
        part = min(max(part, 1), executions - 1)
    divided = {alias.version: executions - part, additional: part}
    return {version: number for version, number in divided.items() if number}
