"""What holds for the events of one qualifier of a function: while it is there, and when it is gone.

Events outlive what they were meant for: a deleted alias, version or function leaves events in the queue, and their
records go where it said last. So little of it is kept: a few ARNs and numbers, no code and no variables.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.event_invoke_rules import effective_config
from rie_server.model.function_record import FunctionRecord

# So many of the versions and aliases of a function that were deleted last are remembered.
KEPT_GONE_QUALIFIERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneFunction:
    """What is left of a function that was deleted.

    Attributes:
        order: of two, the one with the higher number was deleted later.
        last_version: the number that was given last; a new function of this name goes on from there.
        configs: by qualifier.
    """

    arn: FunctionArn
    order: int
    last_version: int
    configs: Mapping[str, EventInvokeConfig]

    def config(self, qualifier: str | None) -> EventInvokeConfig:
        return self.configs.get(qualifier or LATEST, EventInvokeConfig())


def event_invoke_config(record: FunctionRecord, qualifier: str | None) -> EventInvokeConfig:
    """The settings of the qualifier, and the dead-letter target of the version that runs for it; AWS's defaults for a
    qualifier that the function has never had.
    """
    asked = qualifier or LATEST
    version = record.version_of(asked)
    if version is None:
        return record.gone_configs.get(asked, EventInvokeConfig())
    running = record.at(version)
    configuration = (running.serving or running.current).configuration
    return effective_config(
        record.event_invoke_settings.get(asked),
        dead_letter=configuration.get("DeadLetterConfig", {}).get("TargetArn") or None,
    )


def with_gone_config(record: FunctionRecord, qualifier: str) -> FunctionRecord:
    """``record`` without what was set for one of its qualifiers, which is about to go, but for its events' sake."""
    kept = {key: config for key, config in record.gone_configs.items() if key != qualifier}
    config = event_invoke_config(record, qualifier)
    if config != EventInvokeConfig():
        kept[qualifier] = config
    return replace(
        record,
        gone_configs=dict(list(kept.items())[-KEPT_GONE_QUALIFIERS:]),
        event_invoke_settings=_without(record.event_invoke_settings, qualifier),
        provisioned=_without(record.provisioned, qualifier),
        policies=_without(record.policies, qualifier),
    )


def gone_function(record: FunctionRecord, order: int) -> GoneFunction:
    """What is kept when ``record`` is deleted."""
    qualifiers = (LATEST, *record.versions, *record.aliases)
    configs = {qualifier: event_invoke_config(record, qualifier) for qualifier in qualifiers}
    told = {qualifier: config for qualifier, config in configs.items() if config != EventInvokeConfig()}
    return GoneFunction(
        arn=record.arn, order=order, last_version=record.last_version, configs={**record.gone_configs, **told}
    )


def to_gone_document(gone: GoneFunction) -> dict[str, Any]:
    """What the store keeps."""
    return {
        "arn": _flat(gone.arn),
        "order": gone.order,
        "last_version": gone.last_version,
        "configs": {qualifier: _flat(config) for qualifier, config in gone.configs.items()},
    }


def from_gone_document(document: Mapping[str, Any]) -> GoneFunction:
    """What ``to_gone_document`` wrote."""
    configs = {qualifier: EventInvokeConfig(**config) for qualifier, config in document["configs"].items()}
    return GoneFunction(
        arn=FunctionArn(**document["arn"]),
        order=document["order"],
        last_version=document["last_version"],
        configs=configs,
    )


def _without(entries: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if name != key}


def _flat(data: Any) -> dict[str, Any]:
    return {field.name: getattr(data, field.name) for field in fields(data)}
