"""A template's layers at the start of the server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.arn import FunctionArn
from rie_server.registry.deployed_layers import publish_layers, read_layers
from rie_server.registry.template_deployment import TemplateDeployment
from tests.unit.registry.conftest import World, wait_for

TEMPLATE = """
Resources:
  Tools: {Type: AWS::Serverless::LayerVersion, Properties: {LayerName: tools, ContentUri: layer, Description: %s}}
  Far: {Type: AWS::Lambda::LayerVersion, Properties: {LayerName: far, Content: {S3Bucket: b, S3Key: k}}}
  Work:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: work, Handler: a.b, Runtime: python3.12, CodeUri: code, Layers: [!Ref Tools]}
"""
ARN = "arn:aws:lambda:us-east-1:000000000000:layer:tools"
WORK = FunctionArn(region="us-east-1", account="000000000000", name="work")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    for folder in ("layer/python", "code"):
        (tmp_path / "project" / folder).mkdir(parents=True)
    (tmp_path / "project/layer/python/tool.py").write_text("x = 1")
    (tmp_path / "project/code/a.py").write_text("b = print")
    path = tmp_path / "project/template.yaml"
    path.write_text(TEMPLATE % "One")
    return path


def as_it_is(_: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
    return members


class NoMappings:
    def list(self, **_: Any) -> list[Any]:
        return []


def deploy(world: World, path: Path) -> list[str]:
    deployment = TemplateDeployment(
        path,
        registry=world.registry,
        layers=world.registry.layers,
        mappings=NoMappings(),  # type: ignore[arg-type] # nothing is mapped
        urls=world.registry.urls,
        policies=world.registry.policies,
        base_url="http://127.0.0.1:9000",
        supports=lambda _: None,
        checked=as_it_is,
        clock=world.clock,
        region="us-east-1",
        account_id="000000000000",
    )
    deployment.deploy_functions()
    world.clock.advance(0.01)
    wait_for(lambda: world.registry.get(WORK).serving == world.registry.get(WORK).current)
    return list(deployment.lines())


def layers_of(world: World) -> list[str]:
    return [layer.arn for layer in world.registry.get(WORK).current.layers]


def test_layers_are_published_when_they_have_changed_and_functions_hold_the_newest(
    world: World, template: Path
) -> None:
    lines = deploy(world, template)
    assert lines[0] == "layer tools: published"
    assert lines[1].startswith("layer far: failed: Error occurred while GetObject.")
    assert layers_of(world) == [f"{ARN}:1"]
    first = world.registry.get(WORK).current.deployment_id
    assert deploy(world, template)[0] == "layer tools: unchanged"
    assert world.registry.get(WORK).current.deployment_id == first
    (template.parent / "layer/python/tool.py").write_text("x = 2")
    assert deploy(world, template)[0] == "layer tools: published"
    assert layers_of(world) == [f"{ARN}:2"]
    template.write_text(TEMPLATE % "Two")
    assert deploy(world, template)[0] == "layer tools: published"
    assert layers_of(world) == [f"{ARN}:3"]
    template.write_text((TEMPLATE % "Two").replace(", Layers: [!Ref Tools]", ""))
    deploy(world, template)
    assert layers_of(world) == []


def test_a_layer_without_content_stops_the_start(world: World, template: Path) -> None:
    template.write_text(TEMPLATE.replace("ContentUri: layer", "ContentUri: nowhere") % "One")
    with pytest.raises(ConfigurationError, match=r"Tools: there is no .*nowhere"):
        deploy(world, template)
    assert world.registry.list(region="us-east-1", account="000000000000") == []


def test_nothing_is_published_without_layers(world: World, template: Path) -> None:
    template.write_text("Resources: {Queue: {Type: AWS::SQS::Queue}}")
    found = read_layers(template, checked=dict, region="us-east-1", account_id="000000000000")
    assert publish_layers(found, control=world.registry.layers, region="us-east-1", account_id="0") == []
