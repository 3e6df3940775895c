"""A working copy of a durable execution: rules change it, and the store writes what has changed.

No I/O. A draft belongs to one thread, and is thrown away when a rule refuses.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rie_server.model.durable_execution import DurableExecution, DurableOperation


class DurableDraft:
    """
    Attributes:
        execution: as it stands now.
        operations: by id: those that are open, those that the handler has not seen as they are, and those that were
            asked for; in a test perhaps all of them.
        known: ids of the operations that were there before.
        changed: the operations to be written.
        events: the new events of its history, under the API's member names.
        children: drafts of executions that begin together with this change, with their inputs.
    """

    def __init__(self, execution: DurableExecution, operations: Mapping[str, DurableOperation] | None = None) -> None:
        self.execution = execution
        self.operations = dict(operations or {})
        self.known = frozenset(self.operations)
        self.changed: dict[str, DurableOperation] = {}
        self.events: list[Mapping[str, Any]] = []
        self.children: list[tuple[DurableDraft, str]] = []

    def update(self, **changes: Any) -> None:
        self.execution = replace(self.execution, **changes)

    def put(self, operation: DurableOperation) -> DurableOperation:
        """Writes an operation, as the latest change of the execution; a new one gets its place in the order."""
        changes = self.execution.changes + 1
        self.update(changes=changes)
        sequence = operation.sequence
        if operation.id not in self.operations:
            sequence = self.execution.operations + 1
            self.update(operations=sequence)
        written = replace(operation, touched=changes, sequence=sequence)
        self.operations[operation.id] = self.changed[operation.id] = written
        return written

    def keep(self, operation: DurableOperation) -> None:
        """Writes an operation without a change that the handler would be told of."""
        self.operations[operation.id] = self.changed[operation.id] = operation

    def record(
        self, event_type: str, at: float, operation: DurableOperation | None = None, **details: Any
    ) -> Mapping[str, Any]:
        """Adds an event to the history; ``details`` with None are left out."""
        number = self.execution.events + 1
        self.update(events=number)
        event: dict[str, Any] = {"EventId": number, "EventType": event_type, "EventTimestamp": at}
        if operation is not None:
            told = {
                "Id": operation.id,
                "Name": operation.name,
                "SubType": operation.sub_type,
                "ParentId": operation.parent_id,
            }
            event.update({name: value for name, value in told.items() if value is not None})
        event[f"{event_type}Details"] = {name: value for name, value in details.items() if value is not None}
        self.events.append(event)
        return event

    @property
    def unseen(self) -> list[DurableOperation]:
        """What the handler does not know yet, in the order in which operations began."""
        seen = self.execution.seen
        return sorted((one for one in self.operations.values() if one.touched > seen), key=lambda one: one.sequence)

    @property
    def has_open_operations(self) -> bool:
        return any(operation.is_open for operation in self.operations.values())

    @property
    def wake_at(self) -> float | None:
        """When something is to be done for this execution without anybody's asking."""
        execution = self.execution
        if execution.is_over:
            return execution.ended_at if execution.owes_news else None
        moments = [execution.timeout_at]
        moments += [one.due_at for one in self.operations.values() if one.due_at is not None and one.is_open]
        if execution.run_at is not None and execution.invocation is None and not execution.is_halted:
            moments.append(execution.run_at)
        return min(moments)


def payload(text: str | None) -> dict[str, Any]:
    """A payload in an event: absent where there is none."""
    return {"Truncated": False} if text is None else {"Payload": text, "Truncated": False}


def error_payload(error: Mapping[str, Any] | None) -> dict[str, Any]:
    """An error in an event."""
    return {"Payload": dict(error or {}), "Truncated": False}
