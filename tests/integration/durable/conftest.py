"""A server with durable functions: some speak the protocol by hand, so that a test says when; others use AWS's SDK."""

import json
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create

# Checkpoints the updates that the input names, then answers as it says; ``again`` for every invocation but the first.
BY_HAND = """
    import json, os, boto3
    lambda_ = boto3.client("lambda")
    def handler(event, context):
        operations = event["InitialExecutionState"]["Operations"]
        given = json.loads(operations[0]["ExecutionDetails"]["InputPayload"])
        if len(operations) > 1:
            return given.get("again", {"Status": "SUCCEEDED", "Result": json.dumps(operations[1:])})
        if given.get("updates"):
            lambda_.checkpoint_durable_execution(
                DurableExecutionArn=event["DurableExecutionArn"],
                CheckpointToken=event["CheckpointToken"],
                Updates=given["updates"],
            )
        if given.get("file"):
            with open(given["file"], "w") as file:
                json.dump(event, file)
            while os.path.exists(given["file"]):
                pass
        return given.get("answer", {"Status": "PENDING"})
"""


class DurableServer:
    """A server and a client of it."""

    def __init__(self, server: RieServer) -> None:
        self.server = server
        self.client = server.client()

    def create(self, name: str, source: str, *, execution_timeout: int = 60, **members: Any) -> None:
        config = {"ExecutionTimeout": execution_timeout}
        create(self.client, name, source, **{"DurableConfig": config, "Timeout": 20, **members})

    def reconnect(self) -> None:
        """After a restart."""
        self.client = self.server.client()

    def start(self, name: str, event: Any = None, **members: Any) -> str:
        """The ARN of an execution that begins; nobody waits for it."""
        reply = self.client.invoke(
            FunctionName=name,
            InvocationType="Event",
            Payload=json.dumps(event).encode(),
            **{"Qualifier": "$LATEST", **members},
        )
        assert reply["StatusCode"] == 202
        return str(reply["DurableExecutionArn"])

    def execute(self, name: str, event: Any = None, **members: Any) -> tuple[Any, dict[str, Any]]:
        """What an execution that somebody waits for has come to, and the whole reply."""
        reply = self.client.invoke(
            FunctionName=name, Payload=json.dumps(event).encode(), **{"Qualifier": "$LATEST", **members}
        )
        body = reply["Payload"].read()
        return json.loads(body) if body else None, reply

    def get(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_durable_execution(DurableExecutionArn=arn)
        return found

    def wait(self, arn: str, status: str = "SUCCEEDED", *, seconds: float = 30.0) -> dict[str, Any]:
        """The execution, once it has that status."""
        return wait_until(  # type: ignore[no-any-return]
            lambda: (found := self.get(arn))["Status"] == status and found,
            seconds=seconds,
            what=f"{arn} to be {status}",
        )

    def events(self, arn: str, **members: Any) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.client.get_durable_execution_history(
            DurableExecutionArn=arn, MaxItems=1000, **members
        )["Events"]
        return events

    def event_types(self, arn: str) -> list[str]:
        return [event["EventType"] for event in self.events(arn) if event["EventType"] != "InvocationCompleted"]

    def callback_id(self, arn: str) -> str:
        """The id of the callback that the execution waits for."""

        def find() -> Any:
            return [
                event["CallbackStartedDetails"]["CallbackId"]
                for event in self.events(arn)
                if event["EventType"] == "CallbackStarted"
            ]

        return str(wait_until(find, seconds=20, what="a callback")[-1])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server for the tests of a module that leave it as it is."""
    server = RieServer(tmp_path_factory.mktemp("durable"))
    server.wait_ready()
    durable = DurableServer(server)
    durable.create("by-hand", BY_HAND)
    yield durable
    server.stop()


@pytest.fixture
def start_durable(start_rie: Callable[..., RieServer]) -> Callable[..., DurableServer]:
    return lambda **settings: DurableServer(start_rie(**settings))


@pytest.fixture
def in_background() -> Iterator[Callable[..., "Future[Any]"]]:
    """Calls something on another thread, because it waits for what the test does meanwhile."""
    with ThreadPoolExecutor(8) as threads:
        yield threads.submit


def refusal(call: Callable[..., Any], **members: Any) -> tuple[int, str, str]:
    """Status, code and message of the refusal that a call must meet."""
    with pytest.raises(ClientError) as refused:
        call(**members)
    reply = refused.value.response
    return reply["ResponseMetadata"]["HTTPStatusCode"], reply["Error"]["Code"], reply["Error"]["Message"]


def update(name: str, kind: str, action: str, **members: Any) -> dict[str, Any]:
    return {"Id": name, "Type": kind, "Action": action, **members}


def workflow(body: str) -> str:
    """``body`` as a function of AWS's SDK: the statements of ``handler(event, context)``, with its names at hand."""
    return textwrap.dedent(
        """
        import json, os, time
        from aws_durable_execution_sdk_python import durable_execution, durable_step
        from aws_durable_execution_sdk_python.config import (
            CallbackConfig, CompletionConfig, Duration, MapConfig, ParallelConfig, StepConfig, StepSemantics,
            WaitForCallbackConfig,
        )
        from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy

        def note(event, text):
            with open(event["journal"], "a") as journal:
                journal.write(text + "\\n")
            return text

        @durable_execution
        def handler(event, context):
        """
    ) + textwrap.indent(textwrap.dedent(body), "    ")
