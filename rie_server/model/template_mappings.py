"""Event source mappings of a SAM or CloudFormation template, as inputs of CreateEventSourceMapping.

Pure: takes the template's text. Functions' ``Events`` of the types below become mappings, and so do resources of type
``AWS::Lambda::EventSourceMapping``. What names something that only a deployment to AWS could know (a table's StreamArn)
has an ``obstacle``; other types of events are nothing that is polled.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rie_server.errors import ConfigurationError
from rie_server.model.cloudformation import NO_VALUE, Document, Resolver, TemplateValueError, read_document

_FUNCTION: Final = "AWS::Serverless::Function"
_MAPPING: Final = "AWS::Lambda::EventSourceMapping"
# By SAM's type of event: the property that names the source.
_SOURCES: Final[Mapping[str, str]] = {
    "SQS": "Queue",
    "Kinesis": "Stream",
    "DynamoDB": "Stream",
    "MSK": "Stream",
    "SelfManagedKafka": "KafkaBootstrapServers",
    "MQ": "Broker",
    "DocumentDB": "Cluster",
}
EVENT_TYPES: Final = frozenset(_SOURCES)
# Where SAM has a property of its own for what the API keeps in a structure.
_STRUCTURES: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "MSK": ("AmazonManagedKafkaEventSourceConfig", frozenset({"ConsumerGroupId", "SchemaRegistryConfig"})),
    "SelfManagedKafka": (
        "SelfManagedKafkaEventSourceConfig",
        frozenset({"ConsumerGroupId", "ConsumptionMode", "SchemaRegistryConfig"}),
    ),
    "DocumentDB": ("DocumentDBEventSourceConfig", frozenset({"DatabaseName", "CollectionName", "FullDocument"})),
}
# What the role of a function may do is nobody's business here.
_OF_NO_EFFECT: Final = frozenset({"DynamicPolicyName", "SecretsManagerKmsKeyId"})
_WHOLE_NUMBERS: Final = frozenset(
    {
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "MaximumConcurrency",
        "MaximumPollers",
        "MaximumRecordAgeInSeconds",
        "MaximumRetryAttempts",
        "MinimumPollers",
        "ParallelizationFactor",
        "TumblingWindowInSeconds",
    }
)
_TRUTH_VALUES: Final = frozenset({"BisectBatchOnFunctionError", "Enabled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMapping:
    """One mapping of a template.

    Attributes:
        name: ``Function.Event``, or the resource's logical id.
        members: inputs of CreateEventSourceMapping, not yet validated; empty where there is an obstacle.
        obstacle: why nobody here can know what is meant.
    """

    name: str
    members: Mapping[str, Any]
    obstacle: str | None = None


def template_mappings(text: str, *, path: Path, region: str, account_id: str) -> tuple[TemplateMapping, ...]:
    """The mappings of the template ``text``, in its order; ``path`` says where it lies, for errors.

    Raises:
        ConfigurationError: one line that names the file and what is wrong.
    """
    try:
        resolver = Resolver(document=read_document(text), region=region, account_id=account_id)
        return tuple(_mappings(resolver))
    except TemplateValueError as wrong:
        raise ConfigurationError(f"{path}: {wrong}.") from None


def other_events(events: Any) -> tuple[str, ...]:
    """The events among a function's ``Events`` that are no mappings, by their names."""
    if not isinstance(events, dict):
        return ()
    return tuple(
        f"Events.{name}"
        for name, event in events.items()
        if not isinstance(event, dict) or event.get("Type") not in EVENT_TYPES
    )


def _mappings(resolver: Resolver) -> Iterator[TemplateMapping]:
    for logical_id, resource in resolver.section("Resources").items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if kind not in (_FUNCTION, _MAPPING):
            continue
        if "Condition" in resource and not resolver.condition(resource["Condition"]):
            continue
        properties = resource.get("Properties") or {}
        if kind == _MAPPING:
            yield _read(logical_id, lambda properties=properties: _members(properties, resolver))
            continue
        events = properties.get("Events") if isinstance(properties, dict) else None
        for name, event in (events if isinstance(events, dict) else {}).items():
            if isinstance(event, dict) and event.get("Type") in EVENT_TYPES:
                yield _read(
                    f"{logical_id}.{name}",
                    lambda event=event, logical_id=logical_id: _event_members(event, logical_id, resolver),
                )


def _read(name: str, members: Any) -> TemplateMapping:
    try:
        return TemplateMapping(name=name, members=members())
    except TemplateValueError as unknown:
        return TemplateMapping(name=name, members={}, obstacle=str(unknown))


def _event_members(event: Document, logical_id: str, resolver: Resolver) -> dict[str, Any]:
    """An event of SAM's."""
    kind = str(event["Type"])
    properties = _resolved(event.get("Properties") or {}, resolver)
    source = properties.pop(_SOURCES[kind], None)
    if kind == "SelfManagedKafka":
        properties["SelfManagedEventSource"] = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": source}}
        properties.setdefault("SourceAccessConfigurations", [])
    else:
        properties["EventSourceArn"] = source
    if kind in _STRUCTURES:
        structure, names = _STRUCTURES[kind]
        inside = {name: properties.pop(name) for name in names & properties.keys()}
        if inside:
            properties[structure] = inside
    kept = {name: value for name, value in properties.items() if name not in _OF_NO_EFFECT}
    return {**_renamed(kept), "FunctionName": _function_name(logical_id, resolver)}


def _function_name(logical_id: str, resolver: Resolver) -> str:
    """SAM's events go to the alias that it publishes, where it publishes one."""
    name = resolver.text({"Ref": logical_id})
    properties = resolver.section("Resources")[logical_id].get("Properties") or {}
    shared = resolver.section("Globals").get("Function") or {}
    alias = properties.get("AutoPublishAlias") or (shared.get("AutoPublishAlias") if isinstance(shared, dict) else None)
    resolved = NO_VALUE if alias is None else resolver.resolve(alias)
    return name if resolved is NO_VALUE else f"{name}:{resolved}"


def _members(raw: Any, resolver: Resolver) -> dict[str, Any]:
    """A resource of CloudFormation's: the API's members, but for a few spellings."""
    properties = _resolved(raw, resolver)
    source = properties.get("SelfManagedEventSource")
    endpoints = source.get("Endpoints") if isinstance(source, dict) else None
    if isinstance(endpoints, dict):
        servers = endpoints.get("KafkaBootstrapServers")
        properties["SelfManagedEventSource"] = {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": servers}}
    tags = properties.get("Tags")
    if isinstance(tags, list):
        properties["Tags"] = {tag.get("Key"): tag.get("Value") for tag in tags if isinstance(tag, dict)}
    return _renamed(properties)


def _renamed(properties: dict[str, Any]) -> dict[str, Any]:
    if "KmsKeyArn" in properties:
        properties["KMSKeyArn"] = properties.pop("KmsKeyArn")
    destinations = properties.get("DestinationConfig")
    on_failure = destinations.get("OnFailure") if isinstance(destinations, dict) else None
    if isinstance(on_failure, dict) and "Type" in on_failure:
        # SAM makes a queue or a topic where none is named; here nobody does.
        if not on_failure.get("Destination"):
            raise TemplateValueError("DestinationConfig.OnFailure needs a Destination")
        properties["DestinationConfig"] = {"OnFailure": {"Destination": on_failure["Destination"]}}
    return properties


def _resolved(raw: Any, resolver: Resolver) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise TemplateValueError("Properties must be a mapping")
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if name in _OF_NO_EFFECT:
            continue
        try:
            resolved = resolver.resolve(value)
        except TemplateValueError as wrong:
            raise TemplateValueError(f"{name}: {wrong}") from None
        if resolved is not NO_VALUE:
            found[name] = _typed(name, resolved)
    return found


def _typed(name: str, value: Any) -> Any:
    """Numbers and truth values where the API wants them; the rest of a template is text."""
    if isinstance(value, dict):
        return {key: _typed(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(name, item) for item in value]
    if name in _WHOLE_NUMBERS and re.fullmatch(r"-?\d{1,9}", str(value)):
        return int(value)
    if name == "StartingPositionTimestamp" and re.fullmatch(r"\d{1,12}(\.\d*)?", str(value)):
        return float(value)
    return str(value).lower() == "true" if name in _TRUTH_VALUES else value
