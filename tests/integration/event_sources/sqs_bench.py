"""What the tests of SQS mappings share: a server that finds the emulator, and functions that note what they got."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create
from tests.servers.fauxqs import FauxqsServer
from tests.written import JsonLines

# One line for each invocation, appended in one write: ["body", ...]. What a body asks for, it gets.
NOTE = """
    import json, os, time
    def handler(event, context):
        bodies = [record["body"] for record in event["Records"]]
        file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (json.dumps(bodies) + "\\n").encode())
        os.close(file)
        if any(body.startswith("fail") for body in bodies):
            raise ValueError("as asked")
        failed = [record["messageId"] for record in event["Records"] if record["body"].startswith("name")]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
"""


class SqsBench:
    """One server, one function ``notes``, and mappings to queues of an emulator."""

    def __init__(self, server: RieServer, fauxqs: FauxqsServer, notes: Path) -> None:
        self.server = server
        self.fauxqs = fauxqs
        self.client = server.client()
        self._lines = JsonLines(notes)
        create(self.client, "notes", NOTE, Environment={"Variables": {"NOTES": str(notes)}}, Timeout=1)

    def map(self, queue_arn: str, *, function: str = "notes", **members: Any) -> str:
        """The UUID of a new mapping that is Enabled (or Disabled, if that was asked for)."""
        mapping = self.client.create_event_source_mapping(FunctionName=function, EventSourceArn=queue_arn, **members)
        uuid = str(mapping["UUID"])
        self.wait_state(uuid, "Enabled" if members.get("Enabled", True) else "Disabled")
        return uuid

    def wait_state(self, uuid: str, state: str) -> Mapping[str, Any]:
        def look() -> Any:
            got = self.client.get_event_source_mapping(UUID=uuid)
            return got if got["State"] == state else None

        found: Mapping[str, Any] = wait_until(look, seconds=20, what=f"the mapping to be {state}")
        return found

    def send(self, queue: str, *bodies: str, **members: Any) -> None:
        url = self.fauxqs.queue_url(queue)
        for body in bodies:
            self.fauxqs.sqs.send_message(QueueUrl=url, MessageBody=body, **members)

    def batches(self) -> list[list[str]]:
        """What the function got, one list for each invocation."""
        return self._lines.documents()

    def bodies(self) -> list[str]:
        return [body for batch in self.batches() for body in batch]

    def wait_bodies(self, *bodies: str) -> None:
        wait_until(lambda: set(bodies) <= set(self.bodies()), seconds=20, what=f"{bodies} to arrive")

    def left(self, queue: str) -> int:
        """Messages in the queue, hidden or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.fauxqs.queue_url(queue)
        got = self.fauxqs.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(got[name]) for name in names)

    def wait_empty(self, queue: str) -> None:
        wait_until(lambda: self.left(queue) == 0, seconds=20, what=f"{queue} to be empty")
