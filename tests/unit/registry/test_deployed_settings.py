"""Reservations, retries, ages and destinations of a template's functions: set, left as they are, and taken back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.event_invoke import EventInvokeConfig
from tests.unit.registry.test_deployment import IMAGE, TEMPLATE, Deployments

QUEUE = "arn:aws:sqs:us-east-1:000000000000:failed"
EVENTS = (
    ", EventInvokeConfig: {MaximumRetryAttempts: 1, DestinationConfig: {OnFailure: {Type: SQS, Destination: '%s'}}}"
)
OTHER = """
  Other:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: other, Handler: index.handler, Runtime: python3.12, InlineCode: x = 1%s}
"""


@pytest.fixture
def deployments(tmp_path: Path) -> Iterator[Deployments]:
    prepared = Deployments(tmp_path)
    yield prepared
    prepared.close()


def config(deployments: Deployments, name: str = "hello") -> EventInvokeConfig:
    return deployments.registry.event_invoke_config(deployments.record(name).arn)


def test_a_new_function_is_invoked_as_the_template_says(deployments: Deployments) -> None:
    more = f"{EVENTS % QUEUE}, ReservedConcurrentExecutions: 3, DeadLetterQueue: {{Type: SQS, TargetArn: '{QUEUE}'}}"
    (hello,) = deployments.deploy(TEMPLATE % more)
    assert (str(hello), hello.is_ready) == ("hello: created", True)
    assert deployments.record().reserved_concurrency == 3
    assert config(deployments) == EventInvokeConfig(maximum_retry_attempts=1, on_failure=QUEUE, dead_letter=QUEUE)


def test_what_is_set_already_is_not_touched(deployments: Deployments) -> None:
    more = EVENTS % QUEUE + ", ReservedConcurrentExecutions: 3"
    deployments.deploy(TEMPLATE % more)
    before = deployments.record()
    assert deployments.actions(TEMPLATE % more) == [("hello", "unchanged")]
    assert deployments.record() == before


@pytest.mark.parametrize(
    "more", ["", ", ReservedConcurrentExecutions: 0", ", EventInvokeConfig: {MaximumEventAgeInSeconds: 60}"]
)
def test_a_setting_that_changes_or_leaves_the_template_is_an_update_and_no_new_deployment(
    deployments: Deployments, more: str
) -> None:
    deployments.deploy(TEMPLATE % (EVENTS % QUEUE + ", ReservedConcurrentExecutions: 3"))
    deployment = deployments.record().current
    assert deployments.actions(TEMPLATE % more) == [("hello", "updated")]
    age_seconds = 60 if "Age" in more else 21_600
    assert config(deployments) == EventInvokeConfig(maximum_event_age_seconds=age_seconds)
    assert deployments.record().reserved_concurrency == (0 if "Reserved" in more else None)
    assert deployments.record().current == deployment
    assert deployments.actions(TEMPLATE % more) == [("hello", "unchanged")]


def test_what_was_set_by_hand_is_as_the_template_says_after_a_restart(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % ", ReservedConcurrentExecutions: 3")
    settings, hello = deployments.registry.invoke_settings, deployments.record().arn
    settings.reserve(hello, 1)
    settings.put_event_invoke(hello, {"MaximumRetryAttempts": 0})
    assert deployments.actions(TEMPLATE % ", ReservedConcurrentExecutions: 3") == [("hello", "updated")]
    assert deployments.record().reserved_concurrency == 3
    assert config(deployments) == EventInvokeConfig()


def test_a_function_further_down_may_be_the_destination_of_one_above(deployments: Deployments) -> None:
    above = TEMPLATE % (EVENTS % "arn:aws:lambda:us-east-1:000000000000:function:other").replace("SQS", "Lambda")
    assert [str(one) for one in deployments.deploy(above + OTHER % "")] == ["hello: created", "other: created"]
    assert str(config(deployments).on_failure).endswith(":other")


def test_a_function_that_is_not_there_is_refused_as_a_destination_and_the_rest_is_deployed(
    deployments: Deployments,
) -> None:
    absent = "arn:aws:lambda:us-east-1:000000000000:function:absent"
    (hello,) = deployments.deploy(TEMPLATE % (EVENTS % absent + ", ReservedConcurrentExecutions: 2"))
    assert str(hello) == f"hello: created, but: The destination ARN {absent} is invalid."
    assert hello.is_ready
    assert deployments.record().reserved_concurrency == 2


def test_more_than_the_account_has_is_refused_and_the_function_runs_nevertheless(deployments: Deployments) -> None:
    (hello,) = deployments.deploy(TEMPLATE % ", ReservedConcurrentExecutions: 9")
    assert str(hello).startswith("hello: created, but: Specified ReservedConcurrentExecutions for function decreases")
    assert deployments.record().reserved_concurrency is None
    assert deployments.registry.resolve(deployments.record().arn).handler == "app.handler"


def test_executions_move_from_one_function_to_another_in_one_deployment(deployments: Deployments) -> None:
    def template(first: int, second: int) -> str:
        return (TEMPLATE + OTHER) % tuple(f", ReservedConcurrentExecutions: {share}" for share in (first, second))

    deployments.deploy(template(1, 4))
    assert [one.refused for one in deployments.deploy(template(4, 1))] == [None, None]
    assert [deployments.record(name).reserved_concurrency for name in ("hello", "other")] == [4, 1]


def test_a_destination_that_can_be_none_stops_the_start_before_anything_is_deployed(deployments: Deployments) -> None:
    with pytest.raises(ConfigurationError, match=r"Hello: The destination ARN .*fifo is invalid"):
        deployments.deploy(TEMPLATE % (EVENTS % f"{QUEUE}.fifo"))
    assert not deployments.registry.list(region="us-east-1", account="000000000000")


def test_a_function_that_is_skipped_has_no_settings(deployments: Deployments) -> None:
    deployments.obstacle = "no Docker engine answers"
    (shop,) = deployments.deploy(IMAGE.replace("FunctionName", "ReservedConcurrentExecutions: 3, FunctionName"))
    assert str(shop) == "shop: skipped: no Docker engine answers"
