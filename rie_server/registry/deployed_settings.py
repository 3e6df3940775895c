"""Gives functions that were deployed from a template the settings of their invocation that it names.

Idempotent: only what differs is written. What the template does not set goes back to AWS's default. Used by one thread.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rie_server.errors import LambdaError
from rie_server.model.arn import FunctionArn
from rie_server.model.deployment import SettingsUpdate, plan_settings
from rie_server.model.event_invoke_rules import EventInvokeSettings
from rie_server.model.function_record import FunctionRecord
from rie_server.model.template_invoke import TemplateInvocation


class SettingsControl(Protocol):
    """The part of ``InvokeSettings`` that a deployment needs."""

    def put_event_invoke(self, function: FunctionArn, members: Mapping[str, Any]) -> EventInvokeSettings: ...
    def delete_event_invoke(self, function: FunctionArn) -> None: ...
    def reserve(self, function: FunctionArn, executions: int | None) -> None: ...


def apply_settings(
    record: FunctionRecord, wanted: TemplateInvocation, control: SettingsControl
) -> tuple[SettingsUpdate, str | None]:
    """Makes the settings of a function what ``wanted`` says; returns what differed, and why any of it was refused."""
    update = plan_settings(record, wanted)
    changes: list[Callable[[], object]] = []
    if update.concurrency:
        changes.append(lambda: control.reserve(record.arn, wanted.reserved_concurrency))
    if update.event_invoke:
        changes.append(_event_invoke_change(record.arn, wanted.event_invoke, control))
    changes.extend(
        _event_invoke_change(record.arn.qualified(qualifier), wanted.qualified[qualifier], control)
        for qualifier in update.qualified
    )
    refusals: list[str] = []
    for change in changes:
        try:
            change()
        except LambdaError as refused:
            refusals.append(refused.message)
    return update, " ".join(refusals) or None


def _event_invoke_change(
    function: FunctionArn, members: Mapping[str, Any], control: SettingsControl
) -> Callable[[], object]:
    if members:
        return lambda: control.put_event_invoke(function, members)
    return lambda: control.delete_event_invoke(function)
