"""What a template's intrinsic functions mean when nothing has been deployed to AWS."""

import pytest

from rie_server.model.cloudformation import NO_VALUE, Resolver, TemplateValueError, read_document

TEMPLATE = """
Parameters:
  Stage: {Type: String, Default: dev}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
  Secret: {Type: String}
Mappings:
  Sizes: {dev: {memory: 256}, prod: {memory: 1024}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsDev: !Not [!Condition IsProd]
  Both: !And [!Condition IsProd, !Condition IsDev]
  Either: !Or [!Condition IsProd, !Condition IsDev]
  Loop: !Not [!Condition Loop]
Resources:
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub "orders-${Stage}"}}
  Queue: {Type: AWS::SQS::Queue}
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: news}}
  Bucket: {Type: AWS::S3::Bucket, Properties: {BucketName: pictures}}
  Work: {Type: AWS::Serverless::Function, Properties: {FunctionName: work}}
  Cycle: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Cycle}}
"""


def resolved(expression: str) -> object:
    resolver = Resolver(document=read_document(TEMPLATE), region="eu-west-1", account_id="111122223333")
    return resolver.resolve(read_document(f"value: {expression}")["value"])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!Ref Stage", "dev"),
        ("{Ref: Stage}", "dev"),
        ("!Ref Zones", ["a", "b"]),
        ("!Ref AWS::Region", "eu-west-1"),
        ("!Ref AWS::AccountId", "111122223333"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref Table", "orders-dev"),
        ("!Ref Queue", "Queue"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:eu-west-1:111122223333:Queue"),
        ("!GetAtt [Queue, Arn]", "arn:aws:sqs:eu-west-1:111122223333:Queue"),
        ("!GetAtt Topic.TopicArn", "arn:aws:sns:eu-west-1:111122223333:news"),
        ("!GetAtt Bucket.Arn", "arn:aws:s3:::pictures"),
        ("!GetAtt Work.Arn", "arn:aws:lambda:eu-west-1:111122223333:function:work"),
        ('!Sub "${AWS::Region}/${Stage}/${!Stage}/${Table.Arn}"', None),
        ('!Sub ["${a}-${Stage}", {a: !Ref AWS::AccountId}]', "111122223333-dev"),
        ('!Join ["-", [a, !Ref Stage]]', "a-dev"),
        ('!Join [",", !Ref Zones]', "a,b"),
        ('!Split [",", "x,y"]', ["x", "y"]),
        ("!Select [1, [x, y]]", "y"),
        ("!Select [0, !Ref Zones]", "a"),
        ("!FindInMap [Sizes, !Ref Stage, memory]", "256"),
        ("!If [IsProd, 10, 20]", "20"),
        ("!If [IsDev, yes, no]", "yes"),
        ("!If [Both, 1, 2]", "2"),
        ("!If [Either, 1, 2]", "1"),
        ("!Sub 5x${", "5x${"),
        ("!Base64 abc", "YWJj"),
        ("[1, !If [IsProd, 2, !Ref AWS::NoValue], 3]", ["1", "3"]),
        ("{a: !Ref AWS::NoValue, b: 1}", {"b": "1"}),
    ],
)
def test_intrinsic_functions_are_resolved(expression: str, value: object) -> None:
    if value is None:
        value = "eu-west-1/dev/${Stage}/arn:aws:dynamodb:eu-west-1:111122223333:table/orders-dev"
    assert resolved(expression) == value


@pytest.mark.parametrize("text", ["012", "1.10", "on", "true", "2020-01-01", "null", "0x1F", "1_000"])
def test_scalars_stay_as_they_were_written(text: str) -> None:
    assert resolved(text) == text


def test_no_value_at_the_top_means_that_the_property_is_absent() -> None:
    assert resolved("!Ref AWS::NoValue") is NO_VALUE


def test_yaml_anchors_and_merge_keys_work() -> None:
    document = read_document("base: &base {a: 1}\nother: {<<: *base, b: 2}")
    assert document["other"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("!Ref Nothing", "Nothing is neither a parameter nor a resource"),
        ("!Ref Secret", "parameter Secret has no Default"),
        ("!GetAtt Queue.QueueName", "known only after a deployment"),
        ("!GetAtt Queue", "a resource and an attribute"),
        ("!ImportValue other-stack", "Fn::ImportValue is not resolved"),
        ("!Select [7, [x]]", "Fn::Select does not take these arguments"),
        ("!Join text", "Fn::Join does not take"),
        ("!Join [a, b]", "Fn::Join needs a list"),
        ("!FindInMap [Sizes, test, memory]", "no Sizes.test.memory"),
        ("!If [Unknown, 1, 2]", "condition Unknown is not defined"),
        ("!If [Loop, 1, 2]", "condition Loop depends on itself"),
        ("!Ref Cycle", "name of Cycle depends on itself"),
    ],
)
def test_what_cannot_be_known_here_is_said_in_one_line(expression: str, words: str) -> None:
    with pytest.raises(TemplateValueError, match=words) as caught:
        resolved(expression)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["Resources: [", "a: b: c", "- 1", "just text", "", "!!python/object:os.system {}"])
def test_what_is_no_template_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(TemplateValueError) as caught:
        read_document(text)
    assert "\n" not in str(caught.value)
