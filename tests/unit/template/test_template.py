"""From a SAM or CloudFormation template to inputs of CreateFunction."""

from pathlib import Path

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template import TemplateFunction, template_functions
from rie_server.model.template_code import InlineCode, LocalCode, RemoteCode

PATH = Path("/project/template.yaml")


def functions(text: str) -> tuple[TemplateFunction, ...]:
    return template_functions(text, path=PATH, region="us-east-1", account_id="000000000000")


def function(properties: str, *, kind: str = "AWS::Serverless::Function", rest: str = "") -> TemplateFunction:
    (only,) = functions(f"Resources:\n  Work:\n    Type: {kind}\n    Properties: {{{properties}}}\n{rest}")
    return only


def test_a_serverless_function_becomes_inputs_of_create_function() -> None:
    work = function(
        "FunctionName: work, Runtime: python3.13, Handler: app.handler, CodeUri: src/, Timeout: 7, MemorySize: 512, "
        "Description: Does it, Architectures: [arm64], EphemeralStorage: {Size: 1024}, Tags: {team: blue}, "
        "Tracing: Active, DeadLetterQueue: {Type: SQS, TargetArn: 'arn:aws:sqs:us-east-1:000000000000:dead'}, "
        "Environment: {Variables: {PORT: 0080, DEBUG: true}}, Role: 'arn:aws:iam::000000000000:role/r', "
        "KmsKeyArn: 'arn:aws:kms:us-east-1:000000000000:key/k', Layers: ['arn:aws:lambda:us-east-1:1:layer:l:1']"
    )
    assert work.members == {
        "FunctionName": "work",
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Timeout": 7,
        "MemorySize": 512,
        "Description": "Does it",
        "Architectures": ["arm64"],
        "EphemeralStorage": {"Size": 1024},
        "Tags": {"team": "blue"},
        "TracingConfig": {"Mode": "Active"},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"},
        "Environment": {"Variables": {"PORT": "0080", "DEBUG": "true"}},
        "Role": "arn:aws:iam::000000000000:role/r",
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k",
        "Layers": ["arn:aws:lambda:us-east-1:1:layer:l:1"],
        "PackageType": "Zip",
    }
    assert work.code == LocalCode(path=Path("/project/src"))


def test_globals_fill_in_what_a_function_leaves_out() -> None:
    work = function(
        "Handler: a.b, Runtime: python3.12, Timeout: 9, Environment: {Variables: {A: own}}, Layers: [two]",
        rest="Globals: {Function: {Timeout: 3, MemorySize: 256, Layers: [one], "
        "Environment: {Variables: {A: shared, B: shared}}}}",
    )
    assert work.members["Timeout"] == 9
    assert work.members["MemorySize"] == 256
    assert work.members["Layers"] == ["one", "two"]
    assert work.members["Environment"] == {"Variables": {"A": "own", "B": "shared"}}


def test_a_durable_function_has_its_times_in_numbers_wherever_they_are_written() -> None:
    for properties, rest in (
        ("DurableConfig: {ExecutionTimeout: '3600', RetentionPeriodInDays: 7}", ""),
        (
            "DurableConfig: {ExecutionTimeout: 3600}",
            "Globals: {Function: {DurableConfig: {ExecutionTimeout: 60, RetentionPeriodInDays: 7}}}",
        ),
    ):
        work = function(f"Handler: a.b, Runtime: python3.12, {properties}", rest=rest)

        assert work.members["DurableConfig"] == {"ExecutionTimeout": 3600, "RetentionPeriodInDays": 7}


def test_globals_are_none_of_a_plain_lambda_functions_business() -> None:
    work = function(
        "Handler: a.b, Runtime: python3.12, Role: r, Code: ./src",
        kind="AWS::Lambda::Function",
        rest="Globals: {Function: {Timeout: 30}}",
    )
    assert "Timeout" not in work.members


def test_a_function_without_a_name_is_called_as_in_the_template_and_one_without_a_role_gets_one() -> None:
    work = function("Handler: a.b, Runtime: python3.12")
    assert work.name == "Work"
    assert work.members["Role"] == "arn:aws:iam::000000000000:role/lambda-function"
    assert work.code == LocalCode(path=Path("/project"))


def test_a_role_of_the_template_becomes_its_arn() -> None:
    work = function(
        "Handler: a.b, Runtime: python3.12, Role: !GetAtt Rights.Arn", rest="  Rights: {Type: AWS::IAM::Role}\n"
    )
    assert work.members["Role"] == "arn:aws:iam::000000000000:role/Rights"


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ("CodeUri: ./out.zip", LocalCode(path=Path("/project/out.zip"))),
        ("CodeUri: /elsewhere", LocalCode(path=Path("/elsewhere"))),
        ("CodeUri: s3://bucket/a/b.zip", RemoteCode(members={"S3Bucket": "bucket", "S3Key": "a/b.zip"})),
        (
            "CodeUri: {Bucket: b, Key: k, Version: v}",
            RemoteCode(members={"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "v"}),
        ),
        ("InlineCode: 'x = 1'", InlineCode(file_name="index.py", text="x = 1")),
    ],
)
def test_code_of_a_serverless_function_is_found(properties: str, code: object) -> None:
    assert function(f"Handler: a.b, Runtime: python3.12, {properties}").code == code


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ("Code: src", LocalCode(path=Path("/project/src"))),
        ("Code: {S3Bucket: b, S3Key: k}", RemoteCode(members={"S3Bucket": "b", "S3Key": "k"})),
        ("Code: {ZipFile: 'x = 1'}", InlineCode(file_name="index.py", text="x = 1")),
    ],
)
def test_code_of_a_lambda_function_is_found(properties: str, code: object) -> None:
    work = function(f"Handler: a.b, Runtime: python3.12, Role: r, {properties}", kind="AWS::Lambda::Function")
    assert work.code == code


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::Serverless::Function", "PackageType: Image, ImageUri: 'shop:1', ImageConfig: {Command: [a.b]}"),
        (
            "AWS::Lambda::Function",
            "PackageType: Image, Role: r, Code: {ImageUri: 'shop:1'}, ImageConfig: {Command: [a.b]}",
        ),
    ],
)
def test_a_container_image_needs_no_runtime(kind: str, properties: str) -> None:
    work = function(properties, kind=kind)
    assert work.code == RemoteCode(members={"ImageUri": "shop:1"})
    assert work.members["PackageType"] == "Image"
    assert work.members["ImageConfig"] == {"Command": ["a.b"]}


def test_an_image_that_sam_builds_is_called_as_sam_calls_it() -> None:
    work = function("PackageType: Image", rest="    Metadata: {DockerTag: v1, Dockerfile: Dockerfile}\n")
    assert work.code == RemoteCode(members={"ImageUri": "work:v1"})


def test_code_that_cdk_has_put_beside_its_template_is_taken_from_there() -> None:
    work = function(
        "Handler: a.b, Runtime: python3.12, Role: r, Code: {S3Bucket: !Sub 'a-${AWS::AccountId}', S3Key: k}",
        kind="AWS::Lambda::Function",
        rest="    Metadata: {aws:asset:path: asset.0a1b, aws:asset:is-bundled: false, aws:asset:property: Code}\n",
    )
    assert work.code == LocalCode(path=Path("/project/asset.0a1b"))


def test_node_code_in_the_template_becomes_a_js_file() -> None:
    work = function("Handler: index.handler, Runtime: nodejs22.x, InlineCode: 'exports.handler = 1'")
    assert work.code == InlineCode(file_name="index.js", text="exports.handler = 1")


def test_what_is_not_carried_out_is_named_and_may_hold_anything() -> None:
    work = function(
        "Handler: a.b, Runtime: python3.12, Events: {Api: {Type: Api, Properties: {RestApiId: !Ref Elsewhere}}}, "
        "DeploymentPreference: {Role: !Ref Elsewhere}, Policies: [!Ref Elsewhere]"
    )
    assert work.ignored == ("DeploymentPreference", "Events.Api")


def test_resources_that_are_no_functions_and_functions_whose_condition_fails_are_left_out() -> None:
    text = """
Conditions: {Never: !Equals [a, b]}
Resources:
  Table: {Type: AWS::DynamoDB::Table}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: !ImportValue x}}
  Off: {Type: AWS::Serverless::Function, Condition: Never, Properties: {Handler: !Ref Unknown}}
  On: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12}}
"""
    assert [found.name for found in functions(text)] == ["On"]


def test_a_template_in_json_works() -> None:
    text = '{"Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {"Handler": "a.b", "Runtime": "python3.12", "Timeout": 4}}}}'  # noqa: E501
    assert functions(text)[0].members["Timeout"] == 4


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ("Runtime: python3.12", "Work.Handler: is required"),
        ("Handler: a.b", "Work.Runtime: is required"),
        ("Handler: a.b, Runtime: python3.12, Timeout: soon", "Work.Timeout: 'soon' is not a whole number"),
        ("Handler: a.b, Runtime: python3.12, EphemeralStorage: {Size: big}", "Work.Size: 'big' is not a whole number"),
        ("Handler: a.b, Runtime: python3.12, Environment: [x]", "Work.Environment: must be a mapping"),
        ("Handler: a.b, Runtime: python3.12, Environment: {Variables: {A: [1]}}", "Work.Environment: A must be text"),
        ("Handler: a.b, Runtime: python3.12, MemorySize: !Ref Big", "Work.MemorySize: Big is neither"),
        ("Handler: a.b, Runtime: python3.12, CodeUri: {Bucket: b}", "Work.CodeUri: needs a path"),
        ("Handler: a.b, Runtime: java21, InlineCode: x", "Work.InlineCode: is for Python"),
        ("ImageUri: 'a:1', Handler: a.b", "Work.Handler: does not go with a container image"),
    ],
)
def test_a_bad_property_is_named_with_its_file_and_resource(properties: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        function(properties)
    assert str(caught.value).startswith(f"{PATH}: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Resources: [", "line 1"),
        ("Description: none", "it has no Resources"),
        ("Resources: [a]", "Resources must be a mapping"),
        ("Globals: {Function: x}\nResources: {F: {Type: AWS::Serverless::Function}}", "F: Globals.Function must be"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Properties: x}}", "F.Properties: must be a mapping"),
        ("Resources: {F: {Type: AWS::Lambda::Function, Properties: {Role: r}}}", "F.Code: is required"),
        ("Resources: {F: {Type: AWS::Serverless::Function, Condition: C}}", "F: condition C is not defined"),
    ],
)
def test_a_bad_template_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        functions(text)
    assert str(caught.value).startswith(f"{PATH}: {words}")
    assert "\n" not in str(caught.value)


def test_two_functions_of_one_name_are_refused() -> None:
    one = "{Type: AWS::Serverless::Function, Properties: {FunctionName: work, Handler: a.b, Runtime: python3.12}}"
    with pytest.raises(ConfigurationError, match=r"B\.FunctionName: A is named work"):
        functions(f"Resources:\n  A: {one}\n  B: {one}")


def test_the_examples_are_described_by_their_template() -> None:
    path = Path(__file__).parents[3] / "functions" / "template.yaml"
    found = template_functions(path.read_text(), path=path, region="us-east-1", account_id="000000000000")
    assert [example.name for example in found] == ["hello", "orders", "thumbnail", "fails", "slow"]
    assert all(example.code.path.is_dir() for example in found if isinstance(example.code, LocalCode))
    assert not any(example.ignored for example in found)
