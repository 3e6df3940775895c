"""Logs of functions in CloudWatch Logs, as a user of boto3 finds them there."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke
from tests.servers.moto import MotoServer

TELLS_ITS_STREAM = """
    import logging
    def handler(event, context):
        logging.getLogger().error("two\\nlines")
        print("printed")
        return [context.log_group_name, context.log_stream_name]
"""


@pytest.mark.parametrize("logging_config", [{}, {"LogFormat": "JSON", "LogGroup": "/teams/orders"}])
def test_an_invocation_is_found_in_the_stream_that_the_handler_is_told(
    start_rie: Callable[..., RieServer], logging_config: dict[str, Any]
) -> None:
    with MotoServer() as moto:
        server = start_rie(environ=moto.environ, log_delivery="cloudwatch", region="eu-west-1")
        create(server.client(), "orders", TELLS_ITS_STREAM, LoggingConfig=logging_config)
        answer = invoke(server.client(), "orders")
        group, stream = answer.payload
        server.stop()  # sends what is left
        events = moto.client("logs").get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
        messages = [event["message"] for event in events["events"]]
        assert group == logging_config.get("LogGroup", "/aws/lambda/orders")
        assert any("two\nlines" in message or "two\\nlines" in message for message in messages)
        assert "printed\n" in messages
        ends = [
            message
            for message in messages
            if answer.request_id in message and ("REPORT" in message or "platform.report" in message)
        ]
        assert len(ends) == 1


def test_without_the_service_functions_run_as_ever(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie(environ={"AWS_ENDPOINT_URL_LOGS": "http://127.0.0.1:9"}, log_delivery="cloudwatch")
    create(server.client(), "orders", TELLS_ITS_STREAM)
    assert invoke(server.client(), "orders").error is None
    wait_until(lambda: "CloudWatch Logs does not take lines for /aws/lambda/orders" in server.output)
