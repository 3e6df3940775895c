"""What an ARN points at, and which targets AWS allows where."""

import pytest

from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import FunctionArn
from rie_server.model.destination_arn import (
    DestinationKind,
    check_dead_letter,
    check_destinations,
    destination_kind,
    destination_target,
)

ORDERS = FunctionArn(region="us-east-1", account="111111111111", name="orders")
QUEUE = "arn:aws:sqs:us-east-1:111111111111:failed"
TOPIC = "arn:aws:sns:us-east-1:111111111111:failed"
BUS = "arn:aws:events:us-east-1:111111111111:event-bus/default"
OTHER = "arn:aws:lambda:us-east-1:111111111111:function:other"
BUCKET = "arn:aws:s3:::failed-orders"
TABLE = "arn:aws:dynamodb:us-east-1:111111111111:table/failed"


def check(
    *, on_success: str | None = None, on_failure: str | None = None, existing: tuple[str, ...] = (OTHER,)
) -> None:
    check_destinations(
        ORDERS.qualified("live"),
        on_success=on_success,
        on_failure=on_failure,
        function_exists=lambda function: str(function) in existing,
    )


def refusal(**config: str) -> str:
    with pytest.raises(InvalidParameterValueException) as refused:
        check(**config)
    return refused.value.message


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        (QUEUE, DestinationKind.SQS, "failed"),
        (TOPIC, DestinationKind.SNS, "failed"),
        (BUS, DestinationKind.EVENTBRIDGE, "default"),
        (
            "arn:aws-cn:events:cn-north-1:111111111111:event-bus/shop/a.b_c-d",
            DestinationKind.EVENTBRIDGE,
            "shop/a.b_c-d",
        ),
        (OTHER, DestinationKind.LAMBDA, "other"),
        (f"{OTHER}:live", DestinationKind.LAMBDA, "other"),
        (BUCKET, DestinationKind.S3, "failed-orders"),
    ],
)
def test_an_arn_tells_service_and_name(arn: str, kind: DestinationKind, name: str) -> None:
    target = destination_target(arn)

    assert target is not None
    assert (target.kind, target.name, target.arn) == (kind, name, arn)


@pytest.mark.parametrize("qualifier", [None, "live", "7", "$LATEST"])
def test_a_function_keeps_its_qualifier(qualifier: str | None) -> None:
    arn = OTHER if qualifier is None else f"{OTHER}:{qualifier}"
    target = destination_target(arn)

    assert target is not None
    assert target.function == FunctionArn(region="us-east-1", account="111111111111", name="other", qualifier=qualifier)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "failed",
        TABLE,
        "kafka://failed",
        "arn:aws:sqs:us-east-1:111111111111:",
        "arn:aws:sqs:us-east-1::failed",
        "arn:aws:sqs::111111111111:failed",
        "arn:aws:sqs:us-east-1:111111111111:" + "x" * 81,
        "arn:aws:sns:us-east-1:111111111111:failed:2f1a",
        "arn:aws:events:us-east-1:111111111111:rule/default",
        "arn:aws:lambda:us-east-1:111111111111:other",
        "arn:aws:lambda:us-east-1:111111111111:layer:other:1",
        "arn:aws:s3:::failed/orders",
        "arn:aws:s3:us-east-1:111111111111:accesspoint/failed",
        QUEUE + "\n",
    ],
)
def test_what_takes_no_records_is_no_target(arn: str) -> None:
    assert destination_target(arn) is None


def test_the_kind_of_a_malformed_resource_is_still_its_service() -> None:
    assert destination_kind("arn:aws:events:us-east-1:111111111111:rule/default") is DestinationKind.EVENTBRIDGE
    assert destination_kind(TABLE) is None


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, BUS, OTHER])
def test_a_queue_a_topic_a_bus_and_a_function_take_successes_and_failures(arn: str) -> None:
    check(on_success=arn)
    check(on_failure=arn)
    check(on_success=arn, on_failure=arn)


def test_no_destination_is_always_allowed() -> None:
    check()
    check(on_success="", on_failure="")


def test_a_bucket_takes_failures_alone() -> None:
    check(on_failure=BUCKET)
    assert refusal(on_success=BUCKET, on_failure=QUEUE) == (
        f"The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={BUCKET}), "
        f"onFailure=OnFailure(destination={QUEUE})) is invalid."
    )


@pytest.mark.parametrize("arn", [TABLE, "kafka://failed"])
def test_any_other_service_is_refused_with_the_whole_config(arn: str) -> None:
    assert refusal(on_failure=arn) == (
        f"The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination={arn})) "
        "is invalid."
    )


@pytest.mark.parametrize(
    "arn",
    [
        f"{QUEUE}.fifo",
        "arn:aws:sqs:us-east-1::failed",
        "arn:aws:events:us-east-1:111111111111:rule/default",
        "arn:aws:lambda:us-east-1:111111111111:function:gone",
        f"{OTHER}:no-such-alias",
    ],
)
def test_an_arn_that_leads_nowhere_is_invalid(arn: str) -> None:
    assert refusal(on_failure=arn) == f"The destination ARN {arn} is invalid."
    assert refusal(on_success=arn) == f"The destination ARN {arn} is invalid."


def test_a_fifo_topic_is_refused_in_words_of_its_own() -> None:
    assert refusal(on_failure=f"{TOPIC}.fifo") == "FIFO-type Amazon SNS topics aren't supported as a destination."


@pytest.mark.parametrize("qualifier", ["", ":live", ":1"])
def test_a_function_is_no_destination_for_itself(qualifier: str) -> None:
    assert refusal(on_success=f"{ORDERS}{qualifier}") == "You can't specify the function as a destination for itself."


def test_a_function_of_the_same_name_in_another_region_is_another() -> None:
    elsewhere = "arn:aws:lambda:eu-west-1:111111111111:function:orders"
    check(on_success=elsewhere, existing=(elsewhere,))


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, "", None])
def test_a_queue_and_a_topic_take_dead_letters(arn: str | None) -> None:
    check_dead_letter(ORDERS, arn)


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        (f"{QUEUE}.fifo", "FIFO SQS queue is not supported for dead letter configuration"),
        (f"{TOPIC}.fifo", "FIFO SNS topic is not supported for dead letter configuration"),
        (BUS, "The service specified by the TargetArn is not supported for dead letter configuration."),
        (BUCKET, "The service specified by the TargetArn is not supported for dead letter configuration."),
        (OTHER, "The service specified by the TargetArn is not supported for dead letter configuration."),
        (
            "arn:aws:sqs:eu-west-1:111111111111:failed",
            (
                "The resource specified by the TargetArn must be in the same region as the Lambda function it's "
                "associated with."
            ),
        ),
    ],
)
def test_other_targets_of_dead_letters_are_refused_with_the_reason(arn: str, reason: str) -> None:
    with pytest.raises(InvalidParameterValueException) as refused:
        check_dead_letter(ORDERS, arn)
    assert refused.value.message == f"Invalid dead letter queue ARN: {reason}"
