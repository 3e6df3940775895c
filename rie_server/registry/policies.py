"""Resource policies of functions, versions and aliases: kept and shown.

Changes are carried out on the registry's writer thread; reading needs no lock.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from rie_server.errors import InvalidParameterValueException, ResourceNotFoundException
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function_record import FunctionRecord
from rie_server.model.policy_document import policy_from_document
from rie_server.model.resource_policy import (
    ResourcePolicy,
    check_revision,
    permission_statement,
    with_statement,
    without_statement,
)
from rie_server.registry.records import FunctionRecords

# What AWS tells a caller whose revision id of a whole document is stale to call.
_READ_BY = "GetResourcePolicy"

Change = Callable[[FunctionArn, Callable[[FunctionRecord], FunctionRecord]], FunctionRecord]


class Policies:
    """
    Args:
        change: replaces the record of a function on the writer thread.
    """

    def __init__(self, *, records: FunctionRecords, change: Change) -> None:
        self._records = records
        self._change = change

    def add(self, function: FunctionArn, members: Mapping[str, Any]) -> dict[str, Any]:
        """Adds the statement that the members of AddPermission make to the policy of the qualifier, and returns it.

        Raises:
            LambdaError: in AWS's words.
        """
        _check_qualifier(function)
        statement = permission_statement(function, members)

        def rule(record: FunctionRecord) -> FunctionRecord:
            policy = record.policies.get(function.qualifier or "")
            expected = members.get("RevisionId")
            return _with(record, function, with_statement(policy, statement, expected, revision_id=str(uuid4())))

        self._known(function)
        self._change(function, rule)
        return statement

    def remove(self, function: FunctionArn, statement_id: str, revision_id: str | None) -> None:
        """Takes a statement away; raises as ``model.resource_policy.without_statement`` does."""
        if self._records.by_arn.get(function.unqualified) is None:
            raise ResourceNotFoundException(f"No policy found for: {function}")

        def rule(record: FunctionRecord) -> FunctionRecord:
            policy = record.policies.get(function.qualifier or "")
            return _with(
                record, function, without_statement(policy, statement_id, revision_id, revision_id=str(uuid4()))
            )

        self._known(function)
        self._change(function, rule)

    def put(self, function: FunctionArn, document: str, revision_id: str | None) -> ResourcePolicy:
        """Makes ``document`` the whole policy of the qualifier.

        Raises:
            LambdaError: in AWS's words.
        """
        _check_qualifier(function)
        self._known(function)
        policy = policy_from_document(document, function, revision_id=str(uuid4()))

        def rule(record: FunctionRecord) -> FunctionRecord:
            check_revision(record.policies.get(function.qualifier or ""), revision_id, _READ_BY)
            return _with(record, function, policy)

        self._change(function, rule)
        return policy

    def delete(self, function: FunctionArn, revision_id: str | None) -> None:
        """Takes the whole policy of the qualifier away.

        Raises:
            ResourceNotFoundException: there is none.
            PreconditionFailedException: ``revision_id`` is given and is not the latest.
        """
        self.get(function)

        def rule(record: FunctionRecord) -> FunctionRecord:
            check_revision(record.policies.get(function.qualifier or ""), revision_id, _READ_BY)
            return _with(record, function, None)

        self._change(function, rule)

    def get(self, function: FunctionArn) -> ResourcePolicy:
        """
        Raises:
            ResourceNotFoundException: there is none.
        """
        self._known(function)
        policy = self._records.get(function).policies.get(function.qualifier or "")
        if policy is None:
            raise ResourceNotFoundException("The resource you requested does not exist.")
        return policy

    def find(self, function: FunctionArn) -> ResourcePolicy | None:
        """That of exactly this function, version or alias. Safe where nothing may wait."""
        record = self._records.by_arn.get(function.unqualified)
        return None if record is None else record.policies.get(function.qualifier or "")

    def _known(self, function: FunctionArn) -> None:
        """Lets a function pass that is there, with its qualifier."""
        record, qualifier = self._records.get(function.unqualified), function.qualifier
        if record.version_of(qualifier) is None and not str(qualifier).isdecimal():
            raise ResourceNotFoundException(f"Cannot find alias arn: {function}")
        self._records.get(function)


def _check_qualifier(function: FunctionArn) -> None:
    if function.qualifier is not None and function.qualifier.startswith(LATEST):
        raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")


def _with(record: FunctionRecord, function: FunctionArn, policy: ResourcePolicy | None) -> FunctionRecord:
    key = function.qualifier or ""
    kept = {qualifier: one for qualifier, one in record.policies.items() if qualifier != key}
    return replace(record, policies=kept if policy is None else {**kept, key: policy})
