"""An emulator of SQS for scenarios with queues: fauxqs, which answers faster than anybody here asks.

Not thread-safe.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.contenders.contender import Unavailable, ended_at_last, private_folder
from benchmarks.contenders.server import Server
from benchmarks.processes import LOOPBACK, ChildProcess, ContenderFailed, clean_environment, free_port
from tests.servers.fauxqs_program import FauxqsMissing, installed_program

REGION = "us-east-1"
ACCOUNT = "000000000000"
MAPPINGS_PATH = "/2015-03-31/event-source-mappings"
EMPTY_SECONDS_AT_MOST = 60.0
# Nobody looks at a bare loop while it is measured; this is rare enough to cost the server next to nothing.
LOOK_SECONDS = 0.05
# Longer than the functions may run.
LONG = {"VisibilityTimeout": "120"}
_BODY = json.dumps({"order": 4711, "lines": ["a line of an order"] * 4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """A running emulator and a client of it."""

    url: str
    sqs: Any

    @property
    def variables(self) -> dict[str, str]:
        """For a server that is to find it."""
        return {"AWS_ENDPOINT_URL_SQS": self.url, "AWS_EC2_METADATA_DISABLED": "true"}

    def create(self, name: str) -> str:
        """The URL of a queue."""
        return str(self.sqs.create_queue(QueueName=name, Attributes=LONG)["QueueUrl"])

    def fill(self, queue_url: str, messages: int) -> None:
        """Sends as many messages, a multiple of 10."""
        entries = [{"Id": str(number), "MessageBody": _BODY} for number in range(10)]
        for _ in range(messages // 10):
            self.sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)

    def left(self, queue_url: str) -> int:
        """Messages that are there, hidden or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def drain_by_hand(self, queue_url: str, *, at_once: int = 10) -> int:
        """The bare loop: receives as many ``at_once`` and deletes them until nothing comes; how many messages came."""
        count = 0
        while got := self.sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=at_once,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            entries = [{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in enumerate(got)]
            self.sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)
            count += len(got)
        return count

    def wait_below(self, queue_url: str, messages: int, *, look_seconds: float = LOOK_SECONDS) -> None:
        """Returns once fewer messages are left.

        Args:
            look_seconds: how long it waits between two looks; each costs this machine about a millisecond.

        Raises:
            ContenderFailed: that took too long.
        """
        deadline = time.monotonic() + EMPTY_SECONDS_AT_MOST
        while self.left(queue_url) >= messages:
            if time.monotonic() > deadline:
                raise ContenderFailed(f"{messages} messages or more are still in {queue_url}")
            time.sleep(look_seconds)


@contextmanager
def running_queues() -> Iterator[Queues]:
    """
    Raises:
        Unavailable: there is no emulator here.
    """
    try:
        program = installed_program()
    except FauxqsMissing as missing:
        raise Unavailable(f"fauxqs: {missing}") from missing
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    config = Config(retries={"max_attempts": 0}, proxies={})
    sqs = boto3.client(
        "sqs",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=config,
    )
    with private_folder() as folder, ended_at_last() as processes:
        command = [*program, str(port), REGION]
        process = ChildProcess(command, environment=clean_environment(), folder=folder)
        processes.append(process)
        queues = Queues(url=url, sqs=sqs)
        process.wait_until(lambda: _answers(queues))
        yield queues
        sqs.close()


def _answers(queues: Queues) -> bool:
    try:
        queues.sqs.list_queues()
    except Exception:
        return False
    return True


def create_mapping(server: Server, queue: str, *, function: str, enabled: bool, **members: Any) -> str:
    """The UUID of a new mapping."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
    wanted = {"FunctionName": function, "EventSourceArn": arn, "Enabled": enabled, **members}
    uuid = str(server.call("POST", MAPPINGS_PATH, wanted)["UUID"])
    wait_for_state(server, uuid, "Enabled" if enabled else "Disabled")
    return uuid


def wait_for_state(server: Server, uuid: str, state: str) -> None:
    server.process.wait_until(lambda: server.call("GET", f"{MAPPINGS_PATH}/{uuid}")["State"] == state)


def set_enabled(server: Server, uuid: str, *, enabled: bool) -> None:
    """Returns at once when it begins to poll, and after its last poll when it ends."""
    server.call("PUT", f"{MAPPINGS_PATH}/{uuid}", {"Enabled": enabled})
    if not enabled:
        wait_for_state(server, uuid, "Disabled")
