from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template import template_functions
from rie_server.model.template_code import LocalCode, RemoteCode
from rie_server.model.template_layers import TemplateLayer, template_layers, with_published

PATH = Path("/project/template.yaml")
PLACEHOLDER = "arn:aws:lambda:us-east-1:000000000000:layer:tools:0"


def layers_of(resources: str, rest: str = "") -> tuple[TemplateLayer, ...]:
    text = f"Resources:\n  {resources}\n{rest}"
    return template_layers(text, path=PATH, region="us-east-1", account_id="000000000000")


def test_a_sam_layer_is_read_with_its_properties() -> None:
    (layer,) = layers_of(
        "Tools: {Type: 'AWS::Serverless::LayerVersion', Properties: {LayerName: tools, ContentUri: layer/, "
        "Description: Tools, LicenseInfo: MIT, CompatibleRuntimes: [python3.12], CompatibleArchitectures: [arm64], "
        "RetentionPolicy: Retain}}"
    )
    assert layer == TemplateLayer(
        logical_id="Tools",
        placeholder=PLACEHOLDER,
        members={
            "LayerName": "tools",
            "Description": "Tools",
            "LicenseInfo": "MIT",
            "CompatibleRuntimes": ["python3.12"],
            "CompatibleArchitectures": ["arm64"],
        },
        code=LocalCode(path=Path("/project/layer")),
    )


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (
            "Type: 'AWS::Serverless::LayerVersion', Properties: {ContentUri: 's3://bucket/layer.zip'}",
            RemoteCode(members={"S3Bucket": "bucket", "S3Key": "layer.zip"}),
        ),
        (
            "Type: 'AWS::Serverless::LayerVersion', Properties: {ContentUri: {Bucket: b, Key: k, Version: v}}",
            RemoteCode(members={"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "v"}),
        ),
        (
            "Type: 'AWS::Lambda::LayerVersion', Properties: {Content: {S3Bucket: b, S3Key: k}}",
            RemoteCode(members={"S3Bucket": "b", "S3Key": "k"}),
        ),
        (
            (
                "Type: 'AWS::Lambda::LayerVersion', Properties: {Content: {S3Bucket: {'Fn::Sub': 'b-${AWS::Region}'}, "
                "S3Key: k}}, Metadata: {'aws:asset:path': asset.1, 'aws:asset:property': Content}"
            ),
            LocalCode(path=Path("/project/asset.1")),
        ),
    ],
)
def test_content_lies_where_the_tools_put_it(resource: str, code: Any) -> None:
    (layer,) = layers_of(f"Tools: {{{resource}}}")
    assert layer.code == code
    assert layer.members["LayerName"] == "Tools"


def test_a_function_names_layers_of_the_template_and_others() -> None:
    other = "arn:aws:lambda:us-east-1:000000000000:layer:other:3"
    text = f"""
Resources:
  Tools: {{Type: AWS::Serverless::LayerVersion, Properties: {{LayerName: tools, ContentUri: layer}}}}
  Work:
    Type: AWS::Serverless::Function
    Properties: {{Handler: a.b, Runtime: python3.12, Layers: [!Ref Tools, "{other}"]}}
"""
    (function,) = template_functions(text, path=PATH, region="us-east-1", account_id="000000000000")
    assert function.members["Layers"] == [PLACEHOLDER, other]
    published = with_published(function.members, {PLACEHOLDER: PLACEHOLDER[:-1] + "7"})
    assert published["Layers"] == [PLACEHOLDER[:-1] + "7", other]
    assert with_published({"Handler": "a.b"}, {}) == {"Handler": "a.b"}


def test_a_layer_whose_condition_does_not_hold_is_none() -> None:
    rest = "Conditions: {Never: {'Fn::Equals': [a, b]}}"
    resource = "Tools: {Type: 'AWS::Serverless::LayerVersion', Condition: Never, Properties: {ContentUri: layer}}"
    assert layers_of(resource, rest) == ()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("{}", "/project/template.yaml: Tools.Content: is required."),
        ("text", "/project/template.yaml: Tools.Properties: must be a mapping."),
        ("{ContentUri: {Bucket: b}}", "/project/template.yaml: Tools.ContentUri: needs a path, or Bucket and Key."),
        ("{ContentUri: !Ref Nothing}", "/project/template.yaml: Tools: Nothing is neither a parameter nor a resource"),
    ],
)
def test_a_mistake_is_named_with_its_place(properties: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        layers_of(f"Tools: {{Type: 'AWS::Serverless::LayerVersion', Properties: {properties}}}")
    assert str(refused.value).startswith(message)
