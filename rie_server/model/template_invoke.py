"""What a template says about a function's invocation: reserved concurrency, retries, age, destinations, dead letters.

Pure: properties are resolved already, and what comes out has the API's names and keeps the service model's constraints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rie_server.model.cloudformation import Document
from rie_server.model.template_code import PropertyError

_NUMBERS: Final = {"MaximumRetryAttempts": (0, 2), "MaximumEventAgeInSeconds": (60, 21_600)}
_MADE_BY_SAM: Final = ("SQS", "SNS")
_DESTINATION_TYPES: Final = (*_MADE_BY_SAM, "Lambda", "EventBridge", "S3Bucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInvocation:
    """How a function of a template is invoked.

    Attributes:
        reserved_concurrency: None where nothing is reserved.
        event_invoke: inputs of PutFunctionEventInvokeConfig for the function itself; empty where AWS's defaults hold.
        qualified: likewise for versions and aliases.
        ignored: destinations without an ARN: SAM would make queues and topics for them, this server does not.
    """

    reserved_concurrency: int | None = None
    event_invoke: Mapping[str, Any]
    qualified: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def template_invocation(properties: Document) -> TemplateInvocation:
    """
    Raises:
        PropertyError: a value that AWS would refuse.
    """
    config = _mapping(properties, "EventInvokeConfig")
    members = _numbers(config, "EventInvokeConfig.")
    destinations, ignored = _destinations(_mapping(config, "DestinationConfig", "EventInvokeConfig."))
    if destinations:
        members["DestinationConfig"] = destinations
    return TemplateInvocation(
        reserved_concurrency=properties.get("ReservedConcurrentExecutions"), event_invoke=members, ignored=ignored
    )


def event_invoke_members(properties: Document) -> dict[str, Any]:
    """Inputs of PutFunctionEventInvokeConfig that an ``AWS::Lambda::EventInvokeConfig`` makes.

    Raises:
        PropertyError: a value that AWS would refuse.
    """
    members = _numbers(properties)
    found: dict[str, Any] = {}
    config = _mapping(properties, "DestinationConfig")
    for name in ("OnSuccess", "OnFailure"):
        destination = _mapping(config, name, "DestinationConfig.").get("Destination")
        if destination:
            found[name] = {"Destination": str(destination)}
    return {**members, "DestinationConfig": found} if found else members


def dead_letter_target(properties: Document) -> Any:
    """The TargetArn of SAM's DeadLetterQueue or CloudFormation's DeadLetterConfig; None without one.

    Raises:
        PropertyError: SAM would refuse it.
    """
    dead_letter_queue = _mapping(properties, "DeadLetterQueue")
    if dead_letter_queue:
        kind, target = dead_letter_queue.get("Type"), dead_letter_queue.get("TargetArn")
        if not kind or not target:
            raise PropertyError("DeadLetterQueue", "needs Type and TargetArn")
        if kind not in _MADE_BY_SAM:
            raise PropertyError("DeadLetterQueue.Type", f"{kind!r} is none of {', '.join(_MADE_BY_SAM)}")
        return target
    return _mapping(properties, "DeadLetterConfig").get("TargetArn") or None


def _numbers(config: Document, within: str = "") -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, (least, most) in _NUMBERS.items():
        if name not in config:
            continue
        value = str(config[name])
        if not value.isdecimal():
            raise PropertyError(f"{within}{name}", f"{value!r} is not a whole number")
        if not least <= int(value) <= most:
            raise PropertyError(f"{within}{name}", f"{value} is not from {least} to {most}")
        members[name] = int(value)
    return members


def _destinations(config: Document) -> tuple[dict[str, Any], tuple[str, ...]]:
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for name in ("OnSuccess", "OnFailure"):
        destination = _mapping(config, name, "EventInvokeConfig.DestinationConfig.")
        if not destination:
            continue
        place = f"EventInvokeConfig.DestinationConfig.{name}"
        kind = destination.get("Type")
        if kind not in _DESTINATION_TYPES:
            raise PropertyError(f"{place}.Type", f"{kind!r} is none of {', '.join(_DESTINATION_TYPES)}")
        if destination.get("Destination"):
            found[name] = {"Destination": str(destination["Destination"])}
        elif kind in _MADE_BY_SAM:
            ignored.append(place)
        else:
            raise PropertyError(f"{place}.Destination", f"is required for {kind}")
    return found, tuple(ignored)


def _mapping(properties: Document, name: str, within: str = "") -> Document:
    value = properties.get(name) or {}
    if not isinstance(value, dict):
        raise PropertyError(f"{within}{name}", "must be a mapping")
    return value
