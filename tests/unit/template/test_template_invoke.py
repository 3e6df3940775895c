"""How a template's functions are invoked: what SAM and CloudFormation say, and what they must not say."""

from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template import TemplateFunction, template_functions

PATH = Path("/project/template.yaml")
SAM, LAMBDA = "AWS::Serverless::Function", "AWS::Lambda::Function"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:Failed"


def function(properties: str, *, kind: str = SAM, rest: str = "") -> TemplateFunction:
    usual = "Handler: a.b, Runtime: python3.12, " + ("" if kind == SAM else "Role: r, Code: src, ")
    text = f"Resources:\n  Work:\n    Type: {kind}\n    Properties: {{{usual}{properties}}}\n{rest}"
    return template_functions(text, path=PATH, region="us-east-1", account_id="000000000000")[0]


@pytest.mark.parametrize("kind", [SAM, LAMBDA])
def test_reserved_concurrency_is_a_number_and_zero_is_one_too(kind: str) -> None:
    assert function("ReservedConcurrentExecutions: 5", kind=kind).invocation.reserved_concurrency == 5
    assert function("ReservedConcurrentExecutions: 0", kind=kind).invocation.reserved_concurrency == 0
    assert function("Timeout: 3", kind=kind).invocation.reserved_concurrency is None


def test_an_event_invoke_config_becomes_inputs_of_put_function_event_invoke_config() -> None:
    work = function(
        "EventInvokeConfig: {MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60, DestinationConfig: {"
        "OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}, OnSuccess: {Type: SNS, Destination: !Ref Done}}}",
        rest="  Failed: {Type: AWS::SQS::Queue}\n  Done: {Type: AWS::SNS::Topic, Properties: {TopicName: done}}\n",
    )
    assert work.invocation.event_invoke == {
        "MaximumRetryAttempts": 0,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {
            "OnFailure": {"Destination": QUEUE},
            "OnSuccess": {"Destination": "arn:aws:sns:us-east-1:000000000000:done"},
        },
    }
    assert work.ignored == ()


def test_globals_fill_in_what_an_event_invoke_config_leaves_out() -> None:
    work = function(
        "EventInvokeConfig: {MaximumRetryAttempts: 1}",
        rest="Globals: {Function: {ReservedConcurrentExecutions: 2, "
        "EventInvokeConfig: {MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 90}}}",
    )
    assert work.invocation.event_invoke == {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 90}
    assert work.invocation.reserved_concurrency == 2


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        (SAM, "DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Failed.Arn}"),
        (LAMBDA, "DeadLetterConfig: {TargetArn: !GetAtt Failed.Arn}"),
    ],
)
def test_a_dead_letter_queue_is_part_of_the_configuration(kind: str, properties: str) -> None:
    work = function(properties, kind=kind, rest="  Failed: {Type: AWS::SQS::Queue}\n")
    assert work.members["DeadLetterConfig"] == {"TargetArn": QUEUE}


def test_a_topic_is_referred_to_by_its_arn_and_a_bus_has_one() -> None:
    work = function(
        "DeadLetterQueue: {Type: SNS, TargetArn: !Ref Dead}, EventInvokeConfig: {DestinationConfig: "
        "{OnSuccess: {Type: EventBridge, Destination: !GetAtt Bus.Arn}}}",
        rest="  Dead: {Type: AWS::SNS::Topic}\n  Bus: {Type: AWS::Events::EventBus, Properties: {Name: bus}}\n",
    )
    assert work.members["DeadLetterConfig"] == {"TargetArn": "arn:aws:sns:us-east-1:000000000000:Dead"}
    destinations = work.invocation.event_invoke["DestinationConfig"]
    assert destinations == {"OnSuccess": {"Destination": "arn:aws:events:us-east-1:000000000000:event-bus/bus"}}


def test_a_queue_that_sam_would_make_is_named_as_not_carried_out() -> None:
    work = function("EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS}}}")
    assert work.ignored == ("EventInvokeConfig.DestinationConfig.OnFailure",)
    assert work.invocation.event_invoke == {}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ("ReservedConcurrentExecutions: some", "ReservedConcurrentExecutions: 'some' is not a whole number"),
        ("ReservedConcurrentExecutions: -1", "ReservedConcurrentExecutions: '-1' is not a whole number"),
        ("EventInvokeConfig: [x]", "EventInvokeConfig: must be a mapping"),
        (
            "EventInvokeConfig: {MaximumRetryAttempts: 3}",
            "EventInvokeConfig.MaximumRetryAttempts: 3 is not from 0 to 2",
        ),
        (
            "EventInvokeConfig: {MaximumEventAgeInSeconds: 59}",
            "EventInvokeConfig.MaximumEventAgeInSeconds: 59 is not from 60 to 21600",
        ),
        (
            "EventInvokeConfig: {DestinationConfig: x}",
            "EventInvokeConfig.DestinationConfig: must be a mapping",
        ),
        (
            "EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: Kafka, Destination: x}}}",
            "EventInvokeConfig.DestinationConfig.OnFailure.Type: 'Kafka' is none of SQS, SNS, Lambda",
        ),
        (
            "EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: Lambda}}}",
            "EventInvokeConfig.DestinationConfig.OnSuccess.Destination: is required for Lambda",
        ),
        ("DeadLetterQueue: {TargetArn: x}", "DeadLetterQueue: needs Type and TargetArn"),
        ("DeadLetterQueue: {Type: Lambda, TargetArn: x}", "DeadLetterQueue.Type: 'Lambda' is none of SQS, SNS"),
    ],
)
def test_what_aws_would_refuse_is_refused_in_one_line(properties: str, words: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        function(properties)
    assert str(caught.value).startswith(f"{PATH}: Work.{words}")
    assert "\n" not in str(caught.value)
