"""Aliases of functions: made, changed, listed, deleted.

Changes are carried out on the registry's writer thread, and are in force for invocations when a method returns; reading
needs no lock.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from rie_server.errors import ResourceNotFoundException
from rie_server.model.alias import Alias
from rie_server.model.alias_rules import with_changed_alias, with_new_alias, without_alias
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import FunctionRecord
from rie_server.registry.records import FunctionRecords
from rie_server.registry.serving import ServingVersions

Change = Callable[[FunctionArn, Callable[[FunctionRecord], FunctionRecord]], FunctionRecord]


class Aliases:
    """
    Args:
        change: replaces the record of a function on the writer thread.
    """

    def __init__(self, *, records: FunctionRecords, serving: ServingVersions, change: Change) -> None:
        self._records = records
        self._serving = serving
        self._change = change
        records.on_change(self._on_record)

    def create(self, function: FunctionArn, members: Mapping[str, Any]) -> Alias:
        """Makes an alias from the members of CreateAlias; raises as ``model.alias_rules.with_new_alias`` does."""
        if self._records.find(function.unqualified) is None:
            raise ResourceNotFoundException(f"Function not found: {function.qualified(members['FunctionVersion'])}")
        rule = _rule(with_new_alias, members)
        return self._change(function.unqualified, rule).aliases[members["Name"]]

    def update(self, function: FunctionArn, members: Mapping[str, Any]) -> Alias:
        """Changes an alias as UpdateAlias asks; raises as ``model.alias_rules.with_changed_alias`` does."""
        rule = _rule(with_changed_alias, members)
        return self._change(function.unqualified, rule).aliases[members["Name"]]

    def get(self, function: FunctionArn, name: str) -> Alias:
        """
        Raises:
            ResourceNotFoundException: no such function or alias.
        """
        alias = self._records.get(function.unqualified).aliases.get(name)
        if alias is None:
            raise ResourceNotFoundException(f"Cannot find alias arn: {function.qualified(name)}")
        return alias

    def list(self, function: FunctionArn, version: str | None) -> Sequence[Alias]:
        """All aliases of a function by name, or those whose first version is ``version``."""
        aliases = self._records.get(function.unqualified).aliases
        return [aliases[name] for name in sorted(aliases) if version in (None, aliases[name].version)]

    def delete(self, function: FunctionArn, name: str) -> None:
        """Forgets an alias; harmless where there is none of this name."""
        self._change(function.unqualified, lambda record: without_alias(record, name))

    def _on_record(self, arn: FunctionArn, before: FunctionRecord | None, after: FunctionRecord | None) -> None:
        if before is not None and after is not None and before.aliases is not after.aliases:
            self._serving.route(arn, after.aliases.values())


def _rule(
    rule: Callable[..., FunctionRecord], members: Mapping[str, Any]
) -> Callable[[FunctionRecord], FunctionRecord]:
    revision_id = str(uuid4())
    return lambda record: rule(record, members, revision_id=revision_id)
