"""Provisioned concurrency as the control plane keeps it: set, shown, listed, and told to whoever keeps environments.

Changes are carried out on the registry's writer thread and durable when a method returns; reading needs no lock.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rie_server.errors import ProvisionedConcurrencyConfigNotFoundException, ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.function_life_cycle import timestamp
from rie_server.model.function_record import FunctionRecord, ProvisionedConcurrency
from rie_server.model.provisioned_concurrency import (
    Shares,
    Standing,
    find_provisioned,
    shares,
    with_provisioned,
    without_provisioned,
)
from rie_server.ports import Clock
from rie_server.registry.records import FunctionRecords

Change = Callable[[FunctionArn, Callable[[FunctionRecord], FunctionRecord]], FunctionRecord]
Configured = tuple[ProvisionedConcurrency, Standing]


class Provisioner(Protocol):
    """Who keeps environments ready ahead of invocations."""

    def provision(self, function: FunctionArn, wanted: Mapping[str, Shares]) -> None:
        """These are the configurations of a function from now on, by qualifier. Must not block."""

    def standing(self, function: FunctionArn) -> Standing:
        """How far it has come with the configuration of this version or alias."""


class ProvisionedSettings:
    """
    Args:
        change: replaces the record of a function on the writer thread.
        concurrency_limit: executions at a time, of all functions together.
    """

    def __init__(self, *, records: FunctionRecords, change: Change, clock: Clock, concurrency_limit: int) -> None:
        self._records = records
        self._change = change
        self._clock = clock
        self._limit = concurrency_limit
        self._provisioner: Provisioner | None = None
        records.on_change(self._on_record)

    def tell(self, provisioner: Provisioner) -> None:
        """Tells ``provisioner``, on the writer thread, of all there is at the start, and of every change."""
        self._provisioner = provisioner

    def put(self, function: FunctionArn, executions: int) -> Configured:
        """Provisions ``executions`` for a version or an alias; raises as ``with_provisioned`` does."""
        self._known(function)

        def put(record: FunctionRecord) -> FunctionRecord:
            others = sum(one.held_concurrency for one in self._records.by_arn.values() if one.arn != record.arn)
            at = timestamp(self._clock.now())
            return with_provisioned(record, function, executions, at=at, limit=self._limit, held_by_others=others)

        record = self._change(function.unqualified, put)
        # What its PUT answers is how it was before anything could have been started, as in AWS.
        return record.provisioned[str(function.qualifier)], Standing()

    def get(self, function: FunctionArn) -> Configured:
        """
        Raises:
            InvalidParameterValueException, ResourceNotFoundException: as ``find_provisioned`` does.
            ProvisionedConcurrencyConfigNotFoundException: nothing is provisioned.
        """
        configured = find_provisioned(self._known(function), function)
        if configured is None:
            raise ProvisionedConcurrencyConfigNotFoundException
        return configured, self._standing(function)

    def list(self, function: FunctionArn) -> Sequence[tuple[str, Configured]]:
        """All configurations of a function, by qualifier.

        Raises:
            ResourceNotFoundException: no such function.
        """
        record = self._records.get(function.unqualified)
        return [
            (qualifier, (record.provisioned[qualifier], self._standing(function.qualified(qualifier))))
            for qualifier in sorted(record.provisioned)
        ]

    def delete(self, function: FunctionArn) -> None:
        """Provisions nothing any more; harmless where nothing is."""
        self._known(function)
        self._change(function.unqualified, lambda record: without_provisioned(record, function))

    def _known(self, function: FunctionArn) -> FunctionRecord:
        record = self._records.by_arn.get(function.unqualified)
        if record is None:
            raise ResourceNotFoundException(f"Function not found: {function}")
        return record

    def _standing(self, function: FunctionArn) -> Standing:
        return Standing() if self._provisioner is None else self._provisioner.standing(function)

    def _on_record(self, arn: FunctionArn, before: FunctionRecord | None, after: FunctionRecord | None) -> None:
        was = {} if before is None else before.provisioned
        wanted = {} if after is None else shares(after)
        if self._provisioner is not None and (was or wanted):
            self._provisioner.provision(arn, wanted)
