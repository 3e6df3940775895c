"""The tools that people deploy and invoke with work unchanged against this server: the AWS CLI through every family of
operations, SAM's remote invoke, and the templates that the CDK and Serverless Framework make.
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.conftest import RieServer
from tests.integration.invoke.deploying import ROLE, create, invoke, python_zip, zip_of
from tests.integration.invoke.other_clients import client_bin

Require = Callable[[str, str], NoReturn]
ARN = "arn:aws:lambda:us-east-1:000000000000"

# The first time, tools are installed.
pytestmark = pytest.mark.timeout(600)


def environ(url: str, home: Path) -> dict[str, str]:
    """What a user of a server exports."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_ENDPOINT_URL_LAMBDA": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }


def run(command: list[str], variables: dict[str, str], folder: Path, *, seconds: float = 120) -> str:
    """What a command says; it must succeed."""
    ended = subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}\n{ended.stderr}"
    return ended.stdout


# --- the AWS CLI ------------------------------------------------------------------------------------------------------


def test_the_aws_cli_goes_through_layers_versions_and_what_is_stored(
    rie: RieServer, require: Require, tmp_path: Path
) -> None:
    folder = client_bin("awscli-1", "awscli<2", require)
    variables = environ(rie.url, tmp_path)

    def aws(*words: str) -> Any:
        said = run([str(folder / "aws"), "lambda", *words], variables, tmp_path)
        return json.loads(said) if said.strip() else None

    (tmp_path / "layer.zip").write_bytes(zip_of({"python/tool.py": "VALUE = 'of the layer'"}))
    (tmp_path / "code.zip").write_bytes(python_zip("import tool\ndef handler(e, c):\n    return tool.VALUE\n"))
    layer = aws(
        "publish-layer-version", "--layer-name", "tools", "--zip-file", "fileb://layer.zip",
        "--compatible-runtimes", "python3.11", "--license-info", "MIT",
    )  # fmt: skip
    assert layer["LayerVersionArn"] == f"{ARN}:layer:tools:1"
    shared = ("--layer-name", "tools", "--version-number", "1")
    aws(
        "add-layer-version-permission", *shared, "--statement-id", "all",
        "--action", "lambda:GetLayerVersion", "--principal", "*",
    )  # fmt: skip
    assert json.loads(aws("get-layer-version-policy", *shared)["Policy"])["Statement"][0]["Sid"] == "all"
    signing = aws(
        "create-code-signing-config", "--allowed-publishers",
        "SigningProfileVersionArns=arn:aws:signer:us-east-1:000000000000:/signing-profiles/any/1",
    )["CodeSigningConfig"]["CodeSigningConfigArn"]  # fmt: skip
    target = ("--function-name", "tool")
    aws(
        "create-function", *target, "--runtime", "python3.11", "--handler", "app.handler", "--role", ROLE,
        "--zip-file", "fileb://code.zip", "--layers", layer["LayerVersionArn"], "--code-signing-config-arn", signing,
    )  # fmt: skip
    aws("wait", "function-active-v2", *target)
    aws("publish-version", *target)
    aws("create-alias", *target, "--name", "live", "--function-version", "1")
    aws("delete-layer-version", *shared)
    aws("invoke", *target, "--qualifier", "live", "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == "of the layer"
    assert aws("get-function-configuration", *target)["Layers"][0]["Arn"] == layer["LayerVersionArn"]
    assert aws("list-functions-by-code-signing-config", "--code-signing-config-arn", signing)["FunctionArns"]
    aws("put-runtime-management-config", *target, "--update-runtime-on", "FunctionUpdate")
    assert aws("get-runtime-management-config", *target)["UpdateRuntimeOn"] == "FunctionUpdate"
    aws("tag-resource", "--resource", f"{ARN}:function:tool", "--tags", "team=ours")
    assert aws("list-tags", "--resource", f"{ARN}:function:tool")["Tags"] == {"team": "ours"}
    assert [one["Version"] for one in aws("list-versions-by-function", *target)["Versions"]] == ["$LATEST", "1"]
    assert aws("list-layers")["Layers"] == []
    assert aws("get-account-settings")["AccountUsage"]["FunctionCount"] == 1
    aws("delete-function", *target)


# --- SAM --------------------------------------------------------------------------------------------------------------


def test_sam_remote_invoke_runs_a_function_here(rie: RieServer, require: Require, tmp_path: Path) -> None:
    sam = client_bin("sam-1", "aws-sam-cli>=1.100,<2", require) / "sam"
    create(rie.client(), "greets", "def handler(event, context):\n    return {'hello': event['name']}\n")
    variables = environ(rie.url, tmp_path)
    said = run(
        [str(sam), "remote", "invoke", f"{ARN}:function:greets", "--event", '{"name": "Ada"}', "--region", "us-east-1"],
        variables,
        tmp_path,
    )
    assert json.loads(said.strip().splitlines()[-1]) == {"hello": "Ada"}


# --- templates of other tools -----------------------------------------------------------------------------------------

CDK_APP = """
import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_

# As the `cdk` command has it.
context = {"aws:cdk:enable-asset-metadata": True}
app = cdk.App(outdir="cdk.out", analytics_reporting=False, context=context)
stack = cdk.Stack(app, "Shop", env=cdk.Environment(account="000000000000", region="us-east-1"))
layer = lambda_.LayerVersion(stack, "Tools", code=lambda_.Code.from_asset("layer"), layer_version_name="tools")
function = lambda_.Function(
    stack, "Orders", function_name="orders", runtime=lambda_.Runtime.PYTHON_3_11, handler="app.handler",
    code=lambda_.Code.from_asset("code"), layers=[layer], environment={"GREETING": "hello"},
)
lambda_.Alias(stack, "Live", alias_name="live", version=function.current_version)
app.synth()
"""


def test_a_template_that_the_cdk_synthesises_is_deployed(
    start_rie: Callable[..., RieServer], require: Require, tmp_path: Path
) -> None:
    python = client_bin("cdk-2", "aws-cdk-lib>=2.100,<3", require) / "python"
    project = tmp_path / "project"
    (project / "layer" / "python").mkdir(parents=True)
    (project / "layer" / "python" / "tool.py").write_text("VALUE = 'of the layer'")
    (project / "code").mkdir()
    (project / "code" / "app.py").write_text(
        "import os, tool\ndef handler(event, context):\n    return [os.environ['GREETING'], tool.VALUE]\n"
    )
    (project / "app.py").write_text(CDK_APP)
    run([str(python), "app.py"], environ("", tmp_path), project, seconds=300)
    rie = start_rie(template=project / "cdk.out" / "Shop.template.json")
    assert invoke(rie.client(), "orders").payload == ["hello", "of the layer"]
    assert invoke(rie.client(), "orders:live").payload == ["hello", "of the layer"]


def test_a_package_of_serverless_framework_is_deployed(start_rie: Callable[..., RieServer], tmp_path: Path) -> None:
    package = tmp_path / ".serverless"
    package.mkdir()
    (package / "shop.zip").write_bytes(
        python_zip("import tool\ndef handler(event, context):\n    return tool.VALUE\n"),
    )
    (package / "tools.zip").write_bytes(zip_of({"python/tool.py": "VALUE = 'of the layer'"}))
    key = "serverless/shop/dev/1767225600000-2026-01-01T00:00:00.000Z"
    bucket = {"Ref": "ServerlessDeploymentBucket"}
    resources = {
        "ServerlessDeploymentBucket": {"Type": "AWS::S3::Bucket"},
        "IamRoleLambdaExecution": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "shop-dev"}},
        "ToolsLambdaLayer": {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {"Content": {"S3Bucket": bucket, "S3Key": f"{key}/tools.zip"}, "LayerName": "tools"},
        },
        "OrdersLambdaFunction": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {"S3Bucket": bucket, "S3Key": f"{key}/shop.zip"},
                "FunctionName": "shop-dev-orders",
                "Handler": "app.handler",
                "Layers": [{"Ref": "ToolsLambdaLayer"}],
                "MemorySize": 1024,
                "Role": {"Fn::GetAtt": ["IamRoleLambdaExecution", "Arn"]},
                "Runtime": "python3.11",
                "Timeout": 6,
            },
        },
    }
    template = package / "cloudformation-template-update-stack.json"
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    rie = start_rie(template=template)
    assert invoke(rie.client(), "shop-dev-orders").payload == "of the layer"
