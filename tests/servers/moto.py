"""A moto server of the test's own: SQS, SNS, S3 and EventBridge in one child process on a free loopback port.

``with MotoServer() as moto:`` starts it, waits until it answers, and ends it by its process id. ``moto.environ`` is
what a server or a test sets so that botocore's clients find it.
"""

import json
import sys
import urllib.request
from importlib.util import find_spec
from typing import Any

from tests.conftest import require
from tests.servers.emulator import Emulator

REGION = "eu-west-1"
ACCOUNT = "123456789012"


class MotoServer(Emulator):
    region = REGION
    endpoint_variable = "AWS_ENDPOINT_URL"

    def __init__(self) -> None:
        if find_spec("moto") is None:
            require("moto", "moto is not installed")
        super().__init__("moto")

    def client(self, service: str) -> Any:
        return self.service(service)

    def create_queue(self, name: str) -> str:
        """A queue's ARN."""
        self.client("sqs").create_queue(QueueName=name)
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def create_topic(self, name: str) -> str:
        """A topic's ARN; the queue of the same name gets its messages, raw."""
        topic = self.client("sns").create_topic(Name=name)["TopicArn"]
        self.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=self.create_queue(name),
            Attributes={"RawMessageDelivery": "true"},
        )
        return str(topic)

    def create_bus(self, name: str) -> str:
        """A bus's ARN; the queue of the same name gets its events, each as JSON."""
        events = self.client("events")
        bus = events.create_event_bus(Name=name)["EventBusArn"]
        pattern = json.dumps({"source": ["lambda"]})
        events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)
        queue = {"Id": "queue", "Arn": self.create_queue(name)}
        events.put_targets(Rule=name, EventBusName=name, Targets=[queue])
        return str(bus)

    def create_bucket(self, name: str) -> str:
        """A bucket's ARN."""
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return f"arn:aws:s3:::{name}"

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Takes what a queue holds, with attributes of both kinds."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        taken: list[dict[str, Any]] = []
        while batch := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            taken += batch
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def objects(self, bucket: str) -> dict[str, bytes]:
        """What a bucket holds, by key."""
        s3 = self.client("s3")
        found = {}
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            with s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"] as body:
                found[entry["Key"]] = body.read()
        return found

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def _ask(self) -> None:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/moto-api/", timeout=5).close()
