"""Event source mappings of a template: SAM's events and CloudFormation's resources."""

from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template_mappings import TemplateMapping, template_mappings

PATH = Path("/project/template.yaml")
QUEUE = "arn:aws:sqs:us-east-1:000000000000:Orders"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/clicks"
RESOURCES = """
  Orders: {Type: AWS::SQS::Queue}
  Clicks: {Type: AWS::Kinesis::Stream, Properties: {Name: clicks}}
  Table: {Type: AWS::DynamoDB::Table}
"""


def read(resources: str, rest: str = "") -> tuple[TemplateMapping, ...]:
    text = f"Resources:{RESOURCES}\n{resources}\n{rest}"
    return template_mappings(text, path=PATH, region="us-east-1", account_id="000000000000")


def event(event: str, rest: str = "") -> TemplateMapping:
    (mapping,) = read(
        "  Work:\n    Type: AWS::Serverless::Function\n"
        f"    Properties: {{FunctionName: work, Events: {{In: {event}}}}}\n",
        rest,
    )
    return mapping


def resource(properties: str) -> TemplateMapping:
    (mapping,) = read(f"  Mapping: {{Type: AWS::Lambda::EventSourceMapping, Properties: {{{properties}}}}}\n")
    return mapping


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (
            (
                "{Type: SQS, Properties: {Queue: !GetAtt Orders.Arn, BatchSize: 5, Enabled: false, "
                "FunctionResponseTypes: [ReportBatchItemFailures], ScalingConfig: {MaximumConcurrency: 7}, "
                "FilterCriteria: {Filters: [{Pattern: '{\"body\": [1]}'}]}}}"
            ),
            {
                "EventSourceArn": QUEUE,
                "BatchSize": 5,
                "Enabled": False,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "ScalingConfig": {"MaximumConcurrency": 7},
                "FilterCriteria": {"Filters": [{"Pattern": '{"body": [1]}'}]},
            },
        ),
        (
            (
                "{Type: Kinesis, Properties: {Stream: !GetAtt Clicks.Arn, StartingPosition: AT_TIMESTAMP, "
                "StartingPositionTimestamp: 1767225600.5, BisectBatchOnFunctionError: true, MaximumRetryAttempts: -1, "
                "KmsKeyArn: key, DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Orders.Arn}}}}"
            ),
            {
                "EventSourceArn": STREAM,
                "StartingPosition": "AT_TIMESTAMP",
                "StartingPositionTimestamp": 1_767_225_600.5,
                "BisectBatchOnFunctionError": True,
                "MaximumRetryAttempts": -1,
                "KMSKeyArn": "key",
                "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
            },
        ),
        (
            "{Type: DynamoDB, Properties: {Stream: 'arn:aws:dynamodb:r:1:table/t/stream/1', StartingPosition: LATEST}}",
            {"EventSourceArn": "arn:aws:dynamodb:r:1:table/t/stream/1", "StartingPosition": "LATEST"},
        ),
        (
            "{Type: MSK, Properties: {Stream: cluster, Topics: [t], ConsumerGroupId: g}}",
            {
                "EventSourceArn": "cluster",
                "Topics": ["t"],
                "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": "g"},
            },
        ),
        (
            "{Type: SelfManagedKafka, Properties: {KafkaBootstrapServers: ['k:9092'], Topics: [t]}}",
            {
                "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["k:9092"]}},
                "SourceAccessConfigurations": [],
                "Topics": ["t"],
            },
        ),
        (
            (
                "{Type: MQ, Properties: {Broker: broker, Queues: [q], DynamicPolicyName: true, "
                "SourceAccessConfigurations: [{Type: BASIC_AUTH, URI: secret}]}}"
            ),
            {
                "EventSourceArn": "broker",
                "Queues": ["q"],
                "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": "secret"}],
            },
        ),
        (
            (
                "{Type: DocumentDB, Properties: {Cluster: c, DatabaseName: d, CollectionName: e, "
                "SecretsManagerKmsKeyId: !GetAtt Key.KeyId, "
                "SourceAccessConfigurations: [{Type: BASIC_AUTH, URI: secret}]}}"
            ),
            {
                "EventSourceArn": "c",
                "DocumentDBEventSourceConfig": {"DatabaseName": "d", "CollectionName": "e"},
                "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": "secret"}],
            },
        ),
    ],
)
def test_every_type_of_event_that_is_polled_becomes_a_mapping(text: str, members: dict[str, Any]) -> None:
    assert event(text) == TemplateMapping(name="Work.In", members={**members, "FunctionName": "work"})


def test_resources_of_cloudformation_have_the_apis_members_but_for_a_few_spellings() -> None:
    assert resource(
        "FunctionName: work, BatchSize: 5, Tags: [{Key: team, Value: shop}], Topics: [t], "
        "SelfManagedEventSource: {Endpoints: {KafkaBootstrapServers: ['k:9092']}}, KmsKeyArn: key"
    ) == TemplateMapping(
        name="Mapping",
        members={
            "FunctionName": "work",
            "BatchSize": 5,
            "Tags": {"team": "shop"},
            "Topics": ["t"],
            "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["k:9092"]}},
            "KMSKeyArn": "key",
        },
    )


def test_intrinsic_functions_and_parameters_are_resolved() -> None:
    mapping = event(
        "{Type: SQS, Properties: {Queue: !Sub 'arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:${Name}', "
        "BatchSize: !Ref Size, KmsKeyArn: !Ref AWS::NoValue}}",
        "Parameters: {Name: {Type: String, Default: Orders}, Size: {Type: Number, Default: 3}}",
    )
    assert mapping.members == {"FunctionName": "work", "EventSourceArn": QUEUE, "BatchSize": 3}


@pytest.mark.parametrize(
    ("text", "obstacle"),
    [
        (
            "{Type: DynamoDB, Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST}}",
            "Stream: Table.StreamArn is known only after a deployment to AWS",
        ),
        (
            "{Type: SQS, Properties: {Queue: !ImportValue other}}",
            "Queue: Fn::ImportValue is not resolved by this server",
        ),
        (
            "{Type: Kinesis, Properties: {Stream: s, DestinationConfig: {OnFailure: {Type: SQS}}}}",
            "DestinationConfig.OnFailure needs a Destination",
        ),
        ("{Type: SQS, Properties: [1]}", "Properties must be a mapping"),
    ],
)
def test_what_nobody_here_can_know_is_named(text: str, obstacle: str) -> None:
    assert event(text) == TemplateMapping(name="Work.In", members={}, obstacle=obstacle)


def test_other_events_and_conditions_that_do_not_hold_make_no_mapping() -> None:
    assert (
        read(
            "  Work: {Type: AWS::Serverless::Function, Properties: {Events: {Web: {Type: Api}, Odd: 1}}}\n"
            "  Off: {Type: AWS::Lambda::EventSourceMapping, Condition: No, Properties: {FunctionName: w}}\n"
            "  Plain: {Type: AWS::Lambda::Function, Properties: {}}\n",
            "Conditions: {No: !Equals [a, b]}",
        )
        == ()
    )


def test_a_template_that_cannot_be_read_is_one_line() -> None:
    with pytest.raises(ConfigurationError) as wrong:
        template_mappings("Resources: [", path=PATH, region="r", account_id="1")
    assert str(wrong.value).startswith(f"{PATH}: line ")
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("alias", "rest"), [(", AutoPublishAlias: !Ref Live", ""), ("", "Globals: {Function: {AutoPublishAlias: live}}")]
)
def test_events_of_a_function_that_publishes_an_alias_go_to_the_alias(alias: str, rest: str) -> None:
    (mapping,) = read(
        "  Work:\n    Type: AWS::Serverless::Function\n"
        f"    Properties: {{Events: {{In: {{Type: SQS, Properties: {{Queue: q}}}}}}{alias}}}\n",
        f"Parameters: {{Live: {{Type: String, Default: live}}}}\n{rest}",
    )
    assert mapping.members["FunctionName"] == "Work:live"
