"""Publishes versions of functions that were deployed from a template, points their aliases at them, and provisions
concurrency for these.

Idempotent: what is published already is not published again, and only an alias that differs is written. Used by one
thread.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from rie_server.errors import LambdaError
from rie_server.model.alias import Alias
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import FunctionRecord
from rie_server.model.template_versions import TemplateAlias, TemplateVersions
from rie_server.model.version_rules import unchanged_version


class VersionControl(Protocol):
    """The part of ``Versions`` that a deployment needs."""

    def publish(self, function: FunctionArn, members: Mapping[str, Any]) -> FunctionRecord: ...


class AliasControl(Protocol):
    """The part of ``Aliases`` that a deployment needs."""

    def create(self, function: FunctionArn, members: Mapping[str, Any]) -> Alias: ...
    def update(self, function: FunctionArn, members: Mapping[str, Any]) -> Alias: ...


class ProvisionedControl(Protocol):
    """The part of ``ProvisionedSettings`` that a deployment needs."""

    def put(self, function: FunctionArn, executions: int) -> object: ...
    def delete(self, function: FunctionArn) -> None: ...


class DeployedVersions:
    def __init__(self, *, versions: VersionControl, aliases: AliasControl, provisioned: ProvisionedControl) -> None:
        self._versions = versions
        self._aliases = aliases
        self._provisioned = provisioned

    def apply(self, record: FunctionRecord, wanted: TemplateVersions) -> tuple[bool, str | None]:
        """Makes versions and aliases what ``wanted`` says; returns whether anything differed, and why any of it was
        refused.
        """
        published: str | None = None
        has_changed = False
        refusals: list[str] = []
        if wanted.publishes:
            try:
                published = self._published(record, wanted)
                has_changed = published not in record.versions
            except LambdaError as refused:
                refusals.append(f"no version is published: {refused.message}")
        for alias in wanted.aliases:
            version = alias.version or published
            if version is None:
                if not refusals:
                    refusals.append(f"alias {alias.name}: the template publishes no version.")
                continue
            try:
                has_changed |= self._point(record, alias, version)
                has_changed |= self._provision(record, alias)
            except LambdaError as refused:
                refusals.append(f"alias {alias.name}: {refused.message}")
        return has_changed, " ".join(refusals) or None

    def _published(self, record: FunctionRecord, wanted: TemplateVersions) -> str:
        existing = unchanged_version(record) or None
        if existing is not None:
            return existing.version  # also while it is being prepared together with the function
        if wanted.only_for_code:
            for alias in wanted.aliases:
                present = record.aliases.get(alias.name)
                version = None if present is None else record.versions.get(present.version)
                if alias.version is None and version is not None and version.deployment.code == record.current.code:
                    return version.version
        members = {"Description": wanted.description}
        return self._versions.publish(record.arn, members).version

    def _point(self, record: FunctionRecord, alias: TemplateAlias, version: str) -> bool:
        present = record.aliases.get(alias.name)
        is_so = present is not None and (
            (present.version, present.description, dict(present.additional_weights))
            == (version, alias.description, dict(alias.weights))
        )
        if is_so:
            return False
        members = {
            "Name": alias.name,
            "FunctionVersion": version,
            "Description": alias.description,
            "RoutingConfig": {"AdditionalVersionWeights": dict(alias.weights)},
        }
        put = self._aliases.create if present is None else self._aliases.update
        put(record.arn, members)
        return True

    def _provision(self, record: FunctionRecord, alias: TemplateAlias) -> bool:
        present = record.provisioned.get(alias.name)
        if (0 if present is None else present.executions) == alias.provisioned:
            return False
        function = record.arn.qualified(alias.name)
        if alias.provisioned:
            self._provisioned.put(function, alias.provisioned)
        else:
            self._provisioned.delete(function)
        return True
