"""A moto server of the test's own: SQS, SNS, S3 and EventBridge in one child process on a free loopback port.

``with MotoServer() as moto:`` starts it, waits until it answers, and ends it by its process id. ``moto.environ`` is
what a server or a test sets so that botocore's clients find it.
"""

import json
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, require

START_SECONDS = 30.0
REGION = "eu-west-1"
ACCOUNT = "123456789012"


class MotoServer:
    """
    Attributes:
        url: of every service.
    """

    def __init__(self) -> None:
        if find_spec("moto") is None:
            require("moto", "moto is not installed")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._clients: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def environ(self) -> dict[str, str]:
        """For a process whose clients are to find this server. It needs no credentials."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}

    def client(self, service: str) -> Any:
        """A client of one service, made once, closed with the server."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(retries={"max_attempts": 0}, proxies={}, s3={"addressing_style": "path"}),
            )
        return self._clients[service]

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

    def __enter__(self) -> Self:
        try:
            self._wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_ready(self) -> None:
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                pytest.fail(f"moto ended with {self._process.returncode} at start")
            try:
                with without_proxy.open(f"{self.url}/moto-api/", timeout=5):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    pytest.fail(f"moto was not ready after {START_SECONDS:g} s")
                time.sleep(0.05)
