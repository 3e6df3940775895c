"""Function URLs of a SAM or CloudFormation template."""

from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template import template_functions
from rie_server.model.template_urls import TemplateUrl, template_urls

PATH = Path("/project/template.yaml")
FUNCTION = "{Type: AWS::Serverless::Function, Properties: {FunctionName: hello, Handler: a.b, Runtime: python3.12%s}}"


def read(resources: str, rest: str = "") -> tuple[TemplateUrl, ...]:
    text = f"Resources:\n{resources}\n{rest}"
    return template_urls(text, path=PATH, region="us-east-1", account_id="000000000000")


def of_function(more: str, rest: str = "") -> TemplateUrl:
    (url,) = read(f"  Hello: {FUNCTION % more}", rest)
    return url


def test_a_function_without_one_has_none() -> None:
    assert read(f"  Hello: {FUNCTION % ''}") == ()


def test_sam_s_property_is_the_url_of_the_function() -> None:
    cors = "{AllowOrigins: ['*'], AllowMethods: [GET], AllowCredentials: false, MaxAge: 300}"
    url = of_function(f", FunctionUrlConfig: {{AuthType: NONE, InvokeMode: RESPONSE_STREAM, Cors: {cors}}}")
    assert (url.name, url.opens) == ("hello", True)
    assert url.members == {
        "FunctionName": "hello",
        "AuthType": "NONE",
        "InvokeMode": "RESPONSE_STREAM",
        "Cors": {"AllowOrigins": ["*"], "AllowMethods": ["GET"], "AllowCredentials": False, "MaxAge": 300},
    }


def test_a_function_that_publishes_an_alias_has_its_url_there() -> None:
    url = of_function(", AutoPublishAlias: live, FunctionUrlConfig: {AuthType: AWS_IAM}")
    assert (url.name, url.opens) == ("hello:live", False)
    assert url.members == {"FunctionName": "hello", "Qualifier": "live", "AuthType": "AWS_IAM"}


def test_globals_give_every_function_a_url() -> None:
    rest = "Globals: {Function: {FunctionUrlConfig: {AuthType: NONE, Cors: {MaxAge: 5}}}}"
    url = of_function(", FunctionUrlConfig: {AuthType: AWS_IAM}", rest)
    assert url.members == {"FunctionName": "hello", "AuthType": "AWS_IAM", "Cors": {"MaxAge": 5}}
    assert of_function("", rest).opens


def test_a_resource_names_its_function_and_does_not_open_it() -> None:
    resource = "{Type: AWS::Lambda::Url, Properties: {TargetFunctionArn: !GetAtt Hello.Arn, AuthType: NONE%s}}"
    (url,) = read(f"  Hello: {FUNCTION % ''}\n  Address: {resource % ', Qualifier: live'}")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:hello"
    assert (url.name, url.opens) == ("Address", False)
    assert url.members == {"FunctionName": arn, "Qualifier": "live", "AuthType": "NONE"}


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (FUNCTION % ", FunctionUrlConfig: yes", "A: FunctionUrlConfig must be a mapping"),
        ("{Type: AWS::Lambda::Url, Properties: {AuthType: NONE}}", "A: TargetFunctionArn is required"),
        ("{Type: AWS::Lambda::Url, Properties: [1]}", "A.Properties must be a mapping"),
    ],
)
def test_a_mistake_is_one_line(resource: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read(f"  A: {resource}")


def test_a_condition_that_is_not_met_makes_no_url() -> None:
    resource: Any = "{Type: AWS::Lambda::Url, Condition: No, Properties: {TargetFunctionArn: f, AuthType: NONE}}"
    assert read(f"  A: {resource}", "Conditions: {No: !Equals [a, b]}") == ()


def test_the_property_is_carried_out() -> None:
    text = f"Resources:\n  Hello: {FUNCTION % ', FunctionUrlConfig: {AuthType: NONE}'}"
    (function,) = template_functions(text, path=PATH, region="us-east-1", account_id="000000000000")
    assert function.ignored == ()
