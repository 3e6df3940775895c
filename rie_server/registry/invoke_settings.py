"""What is set on a function apart from its deployments: its asynchronous invocation, its concurrency, its recursion.

Changes go through the registry's writer thread, like all others, and are durable when a method returns. Reading needs
no lock and is quick enough for every event and every invocation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rie_server.errors import LambdaError, ResourceNotFoundException
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.concurrency_rules import check_reservation, unreserved
from rie_server.model.destination_arn import check_destinations
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.event_invoke_rules import EventInvokeSettings, changed_settings
from rie_server.model.function_record import FunctionRecord
from rie_server.model.provisioned_concurrency import check_reservation_holds
from rie_server.model.qualified_config import event_invoke_config
from rie_server.model.recursion import RecursiveLoop
from rie_server.ports import Clock
from rie_server.registry.records import FunctionRecords

Change = Callable[[FunctionArn, Callable[[FunctionRecord], FunctionRecord]], FunctionRecord]


class Reservations(Protocol):
    """Who holds functions to their reserved concurrency, as the control plane tells it."""

    def reserve(self, function: FunctionArn, executions: int | None) -> None:
        """Keeps ``executions`` for the function, which never has more; None gives them back to all. Must not block."""

    def forget(self, function: FunctionArn) -> None:
        """The function is gone. Must not block."""


class InvokeSettings:
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
        self._told: list[Reservations] = []
        records.on_change(self._on_record)

    # --- asynchronous invocation --------------------------------------------------------------------------------------

    def event_invoke_config(self, function: FunctionArn) -> EventInvokeConfig:
        """See ``ports.EventInvokeConfigs``. The dead-letter target is that of the deployment which serves."""
        record = self._records.by_arn.get(function.unqualified)
        if record is not None:
            return event_invoke_config(record, function.qualifier)
        gone = self._records.gone(function)
        return EventInvokeConfig() if gone is None else gone.config(function.qualifier)

    def put_event_invoke(
        self, function: FunctionArn, members: Mapping[str, Any], *, merge: bool = False
    ) -> EventInvokeSettings:
        """Sets what ``members`` say; the rest stays with ``merge``, and is unset without.

        Raises:
            InvalidParameterValueException: in AWS's words.
            ResourceNotFoundException: no such function, version or alias; with ``merge``, nothing to merge with.
        """
        qualifier = function.qualifier or LATEST
        # Whatever is wrong with the members themselves is said before the function is looked for.
        changed_settings(None, members, at=0.0)
        self._known(function)

        def put(record: FunctionRecord) -> FunctionRecord:
            current = self._settings_of(record, function) if merge else None
            settings = changed_settings(current, members, at=self._clock.now())
            check_destinations(
                function,
                on_success=settings.on_success,
                on_failure=settings.on_failure,
                function_exists=lambda arn: self._records.find(arn) is not None,
            )
            return replace(record, event_invoke_settings={**record.event_invoke_settings, qualifier: settings})

        return self._change(function, put).event_invoke_settings[qualifier]

    def get_event_invoke(self, function: FunctionArn) -> EventInvokeSettings:
        """What was set for the qualifier of ``function``.

        Raises:
            ResourceNotFoundException: nothing, or no such function.
        """
        return self._settings_of(self._records.find(function), function)

    def list_event_invoke(self, function: FunctionArn) -> Sequence[tuple[str, EventInvokeSettings]]:
        """All that was set for a function, by qualifier."""
        return sorted(self._known(function.unqualified).event_invoke_settings.items())

    def delete_event_invoke(self, function: FunctionArn) -> None:
        """Unsets everything that was set for the qualifier of ``function``; raises as ``get_event_invoke`` does."""
        self.get_event_invoke(function)

        def delete(record: FunctionRecord) -> FunctionRecord:
            gone = function.qualifier or LATEST
            kept = {key: value for key, value in record.event_invoke_settings.items() if key != gone}
            return replace(record, event_invoke_settings=kept)

        self._change(function, delete)

    # --- concurrency --------------------------------------------------------------------------------------------------

    @property
    def unreserved_concurrency(self) -> int:
        """What is left for everybody: neither reserved nor provisioned."""
        return unreserved(self._limit, self._reserved(without=None))

    def reserve(self, function: FunctionArn, executions: int | None) -> None:
        """Keeps ``executions`` for a function, which never has more; None gives them back.

        Raises:
            UnreservedConcurrencyException: too little would be left for all others.
            InvalidParameterValueException: less than the function has provisioned.
        """

        def put(record: FunctionRecord) -> FunctionRecord:
            check_reservation_holds(record, executions)
            if executions is not None:
                check_reservation(
                    executions,
                    current=record.held_concurrency,
                    others=self._reserved(without=record.arn),
                    limit=self._limit,
                )
            return replace(record, reserved_concurrency=executions)

        self._change(function, put)

    def tell(self, reservations: Reservations) -> None:
        """Tells ``reservations``, on the writer thread, of all there is at the start, and of every change."""
        self._told.append(reservations)

    # --- recursion ----------------------------------------------------------------------------------------------------

    def allows_recursion(self, function: FunctionArn) -> bool:
        """See ``ports.FunctionCatalog``."""
        record = self._records.by_arn.get(function.unqualified)
        return record is not None and record.recursive_loop is RecursiveLoop.ALLOW

    def set_recursive_loop(self, function: FunctionArn, recursive_loop: RecursiveLoop) -> None:
        self._change(function, lambda record: replace(record, recursive_loop=recursive_loop))

    # ------------------------------------------------------------------------------------------------------------------

    def _known(self, function: FunctionArn) -> FunctionRecord:
        record = self._records.find(function)
        if record is None:
            raise ResourceNotFoundException("The function doesn't exist.")
        return record

    def _settings_of(self, record: FunctionRecord | None, function: FunctionArn) -> EventInvokeSettings:
        qualifier = function.qualifier or LATEST
        settings = None if record is None else record.event_invoke_settings.get(qualifier)
        if settings is None:
            raise _not_configured(function.qualified(qualifier))
        return settings

    def _reserved(self, *, without: FunctionArn | None) -> list[int]:
        records = self._records.by_arn.values()
        return [one.held_concurrency for one in records if one.arn != without]

    def _on_record(self, arn: FunctionArn, before: FunctionRecord | None, after: FunctionRecord | None) -> None:
        was = None if before is None else before.reserved_concurrency
        for reservations in self._told:
            if after is None:
                reservations.forget(arn)
            elif after.reserved_concurrency != was:
                reservations.reserve(arn, after.reserved_concurrency)


def _not_configured(function: FunctionArn) -> LambdaError:
    return ResourceNotFoundException(f"The function {function} doesn't have an EventInvokeConfig")
