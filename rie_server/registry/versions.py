"""Published versions, aliases and resource policies of the functions that are there.

Every change is made on the registry's writer thread; rules are the model's. Thread-safe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from rie_server.errors import ResourceNotFoundException
from rie_server.model.alias import Alias
from rie_server.model.alias_rules import with_changed_alias, with_new_alias, without_alias
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import FunctionRecord, State, runnable
from rie_server.model.resource_policy import ResourcePolicy
from rie_server.model.version_rules import check_publishable, published, unchanged_version, without_version
from rie_server.registry.records import FunctionRecords
from rie_server.registry.serving import ServingVersions


class VersionControl:
    """
    Args:
        write: carries a change out on the writer thread and waits for it.
    """

    def __init__(
        self, *, records: FunctionRecords, serving: ServingVersions, write: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self._records = records
        self._serving = serving
        self._write = write

    # --- versions -----------------------------------------------------------------------------------------------------

    def publish(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord:
        """The function as its newest version: a new one, unless nothing has changed since the last one.

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException, PreconditionFailedException, ResourceConflictException: see
                ``version_rules.check_publishable``.
        """

        def write() -> FunctionRecord:
            record = self._known(function)
            check_publishable(record, members)
            same = unchanged_version(record)
            if same is not None:
                return record.at(same.version)
            after = self.published(record, members.get("Description"))
            version = after.versions[str(after.last_version)]
            self._records.store(after)
            serving = self._serving.find(record.arn)
            if version.life.state is State.ACTIVE and serving is not None:
                self._serving.publish(
                    record.arn, runnable(record.arn, version.deployment, serving.code_directory, version.version)
                )
            self._records.show(after)
            return after.at(version.version)

        result: FunctionRecord = self._write(write)
        return result

    def published(self, record: FunctionRecord, description: str | None = None) -> FunctionRecord:
        """``record`` with ``$LATEST`` as its newest version; on the writer thread, not yet saved."""
        return published(
            record,
            description,
            deployment_id=str(uuid4()),
            revision_id=str(uuid4()),
            latest_revision_id=str(uuid4()),
        )

    def list(self, function: FunctionArn) -> Sequence[FunctionRecord]:
        """``$LATEST`` and every published version, oldest first."""
        record = self._known(function)
        return [record, *(record.at(version) for version in record.versions)]

    def delete(self, function: FunctionArn, version: str) -> None:
        """Forgets a published version; one that is not there is as good as deleted.

        Raises:
            ResourceConflictException: an alias refers to it.
        """

        def write() -> None:
            record = self._known(function)
            after = without_version(record, version)
            if after is not record:
                self._records.save(after)
                self._serving.withdraw(record.arn, version)

        self._write(write)

    # --- aliases ------------------------------------------------------------------------------------------------------

    def create_alias(self, function: FunctionArn, members: Mapping[str, Any]) -> Alias:
        """Raises as ``alias_rules.with_new_alias`` does."""
        return self._change_alias(
            function, members["Name"], lambda record: with_new_alias(record, members, revision_id=str(uuid4()))
        )

    def update_alias(self, function: FunctionArn, members: Mapping[str, Any]) -> Alias:
        """Raises as ``alias_rules.with_changed_alias`` does."""
        return self._change_alias(
            function, members["Name"], lambda record: with_changed_alias(record, members, revision_id=str(uuid4()))
        )

    def delete_alias(self, function: FunctionArn, name: str) -> None:
        """Forgets an alias; one that is not there is as good as deleted."""

        def write() -> None:
            record = self._known(function)
            after = without_alias(record, name)
            if after is not record:
                self._records.save(after)
                self._serving.route(record.arn, after.aliases.values())

        self._write(write)

    def alias(self, function: FunctionArn, name: str) -> Alias:
        """
        Raises:
            ResourceNotFoundException: no such function or alias.
        """
        record = self._records.by_arn.get(function.unqualified)
        alias = None if record is None else record.aliases.get(name)
        if alias is None:
            raise ResourceNotFoundException(f"Cannot find alias arn: {function.qualified(name)}")
        return alias

    def aliases(self, function: FunctionArn, version: str | None = None) -> Sequence[Alias]:
        """By name; with ``version`` only those that refer to it."""
        aliases = sorted(self._known(function).aliases.values(), key=lambda alias: alias.name)
        return [alias for alias in aliases if version is None or version in alias.targets]

    # --- resource policies --------------------------------------------------------------------------------------------

    def policy(self, function: FunctionArn) -> ResourcePolicy | None:
        """The policy of the function, or of the version or alias that it names.

        Raises:
            ResourceNotFoundException: no such function, version or alias.
        """
        return self._qualified(function).policies.get(function.qualifier or "")

    def change_policy(
        self, function: FunctionArn, rule: Callable[[ResourcePolicy | None], ResourcePolicy | None]
    ) -> None:
        """Replaces the policy by what ``rule`` makes of it; None removes it. What ``rule`` raises is raised here."""

        def write() -> None:
            record = self._qualified(function)
            qualifier = function.qualifier or ""
            after = rule(record.policies.get(qualifier))
            policies = {key: policy for key, policy in record.policies.items() if key != qualifier}
            if after is not None:
                policies[qualifier] = after
            self._records.save(replace(record, policies=policies))

        self._write(write)

    # ------------------------------------------------------------------------------------------------------------------

    def _change_alias(
        self, function: FunctionArn, name: str, rule: Callable[[FunctionRecord], FunctionRecord]
    ) -> Alias:
        def write() -> Alias:
            after = rule(self._known(function))
            self._records.store(after)
            self._serving.route(after.arn, after.aliases.values())
            self._records.show(after)
            return after.aliases[name]

        result: Alias = self._write(write)
        return result

    def _known(self, function: FunctionArn) -> FunctionRecord:
        record = self._records.by_arn.get(function.unqualified)
        if record is None:
            raise ResourceNotFoundException(f"Function not found: {function.unqualified}")
        return record

    def _qualified(self, function: FunctionArn) -> FunctionRecord:
        record = self._known(function)
        if record.version_of(function.qualifier) is None:
            if function.qualifier is not None and not function.qualifier.isdecimal():
                raise ResourceNotFoundException(f"Cannot find alias arn: {function}")
            raise ResourceNotFoundException(f"Function not found: {function}")
        return record
