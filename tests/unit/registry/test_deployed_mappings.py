"""A template's mappings at the start of the server: what is created, what is left as it is, and what is said."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rie_server.api.lambda_api.router import LambdaApi
from rie_server.config import Settings
from rie_server.errors import ConfigurationError, InvalidParameterValueException
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.model.event_source_rules import changed_settings, mapped_function, new_settings
from rie_server.model.mapping_life_cycle import created
from rie_server.registry.deployed_mappings import deploy_mappings, read_mappings
from tests.unit.event_sources.mappings import NOW, ORDERS, QUEUE, STREAM, mapping_of

HERE = {"region": "us-east-1", "account_id": "000000000000"}
OTHER = "22222222-2222-4222-8222-222222222222"


class Control:
    """Mappings without pollers.

    Attributes:
        calls: ``create`` and ``update``, with their members.
        refusal: what ``create`` raises.
    """

    def __init__(self) -> None:
        self.mappings: dict[str, EventSourceMapping] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.refusal: InvalidParameterValueException | None = None

    def list(self, *, region: str, account: str) -> Sequence[EventSourceMapping]:
        return [*self.mappings.values()]

    def create(self, members: Mapping[str, Any], *, region: str, account: str) -> EventSourceMapping:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(("create", members))
        kind, settings = new_settings(members, uuid=OTHER, now=NOW)
        function = mapped_function(members["FunctionName"], region=region, account=account)
        source = members.get("EventSourceArn")
        enabled = members.get("Enabled", True)
        mapping = created(OTHER, kind, function, settings, source_arn=source, enabled=enabled, tags={}, at=NOW)
        self.mappings[OTHER] = mapping
        return mapping

    def update(self, uuid: str, members: Mapping[str, Any], *, region: str, account: str) -> EventSourceMapping:
        self.calls.append(("update", members))
        mapping = self.mappings[uuid]
        settings = changed_settings(mapping, members)
        changed = replace(mapping, members=settings, enabled=members.get("Enabled", mapping.enabled))
        self.mappings[uuid] = changed
        return changed


class Deployments:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "template.yaml"
        self.control = Control()
        self._api = LambdaApi(registry=None, mappings=None, durable=None, settings=Settings())  # type: ignore[arg-type]

    def deploy(self, properties: str) -> list[str]:
        self.path.write_text(
            "Resources:\n  Mapping:\n    Type: AWS::Lambda::EventSourceMapping\n"
            f"    Properties: {{FunctionName: orders, {properties}}}\n"
        )

        def checked(members: Mapping[str, Any]) -> Mapping[str, Any]:
            return self._api.checked_members("CreateEventSourceMapping", members)

        wanted = read_mappings(self.path, checked=checked, now=NOW, **HERE)
        return [str(one) for one in deploy_mappings(wanted, control=self.control, now=NOW, **HERE)]


@pytest.fixture
def deployments(tmp_path: Path) -> Deployments:
    return Deployments(tmp_path)


def test_a_mapping_is_created_and_left_alone_while_nothing_differs(deployments: Deployments) -> None:
    properties = f"EventSourceArn: {QUEUE}, BatchSize: 5, FilterCriteria: {{Filters: [{{Pattern: '{{}}'}}]}}"
    properties = properties.replace("'{}'", "'{\"body\": [1]}'")
    assert deployments.deploy(properties) == ["Mapping: created"]
    assert deployments.deploy(properties) == ["Mapping: unchanged"]
    assert [name for name, _ in deployments.control.calls] == ["create"]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("BatchSize: 5", "BatchSize: 6", {"BatchSize": 6}),
        ("BatchSize: 5", "Enabled: true", {"BatchSize": 10}),
        ("Enabled: false", "Enabled: true", {"Enabled": True}),
        ("ScalingConfig: {MaximumConcurrency: 2}", "BatchSize: 10", {"ScalingConfig": {}}),
        ("KmsKeyArn: 'arn:aws:kms:us-east-1:000000000000:key/k'", "BatchSize: 10", {"KMSKeyArn": ""}),
    ],
)
def test_only_what_differs_is_updated_and_what_is_not_named_goes_back_to_awss_default(
    deployments: Deployments, before: str, after: str, changes: dict[str, Any]
) -> None:
    deployments.deploy(f"EventSourceArn: {QUEUE}, {before}")
    assert deployments.deploy(f"EventSourceArn: {QUEUE}, {after}") == ["Mapping: updated"]
    assert deployments.control.calls[-1] == ("update", changes)
    assert deployments.deploy(f"EventSourceArn: {QUEUE}, {after}") == ["Mapping: unchanged"]


def test_kafka_keeps_its_consumer_group_and_stays_unchanged(deployments: Deployments) -> None:
    properties = (
        "Topics: [orders], SelfManagedEventSource: {Endpoints: {KafkaBootstrapServers: ['k:9092']}}, "
        "SourceAccessConfigurations: []"
    )
    assert deployments.deploy(properties) == ["Mapping: created"]
    assert deployments.deploy(properties) == ["Mapping: unchanged"]


def test_what_cannot_be_changed_is_said_with_the_way_out(deployments: Deployments) -> None:
    deployments.deploy(f"EventSourceArn: {STREAM}, StartingPosition: LATEST")
    assert deployments.deploy(f"EventSourceArn: {STREAM}, StartingPosition: TRIM_HORIZON") == [
        f"Mapping: skipped: StartingPosition cannot be changed; delete the mapping {OTHER} first"
    ]


def test_a_source_that_refuses_skips_its_mapping_with_its_reason(deployments: Deployments) -> None:
    deployments.control.refusal = InvalidParameterValueException(f"Stream not found: {STREAM}")
    assert deployments.deploy(f"EventSourceArn: {STREAM}, StartingPosition: LATEST") == [
        f"Mapping: skipped: Stream not found: {STREAM}"
    ]


def test_what_cannot_be_known_here_skips_its_mapping(deployments: Deployments) -> None:
    assert deployments.deploy("EventSourceArn: !ImportValue queue") == [
        "Mapping: skipped: EventSourceArn: Fn::ImportValue is not resolved by this server"
    ]


def test_another_functions_mapping_of_the_same_source_is_not_touched(deployments: Deployments) -> None:
    other = mapping_of(SourceKind.SQS, function=replace(ORDERS, name="bills"), BatchSize=1)
    deployments.control.mappings[other.uuid] = other
    assert deployments.deploy(f"EventSourceArn: {QUEUE}") == ["Mapping: created"]
    assert deployments.control.mappings[other.uuid] == other


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        (f"EventSourceArn: {QUEUE}, BatchSize: 11", "Mapping: Maximum batch window in seconds must be greater than 0"),
        (f"EventSourceArn: {QUEUE}, BatchSize: 0", "Mapping: 1 validation error detected: Value '0' at 'batchSize'"),
        (f"EventSourceArn: {QUEUE}, BatchSize: many", "Mapping: STRING_VALUE can not be converted to an Integer"),
        (f"EventSourceArn: {QUEUE}, Topics: t", "Mapping: Expected list or null"),
        ("BatchSize: 1", "Mapping: Unrecognized event source"),
    ],
)
def test_a_mistake_in_the_template_stops_the_start(deployments: Deployments, properties: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        deployments.deploy(properties)
    assert str(wrong.value).startswith(f"{deployments.path}: {words}")
    assert deployments.control.calls == []
