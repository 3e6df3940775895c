"""A fauxqs server of the test's own: SQS in one node process on a free loopback port, fast enough for volume.

``with FauxqsServer() as fauxqs:`` starts it, waits until it answers, and ends it by its process id. ``fauxqs.environ``
is what a server or a test sets so that botocore's clients find it.

Faults of its own: a message that a receive of a dead client was waiting for is hidden until its visibility timeout;
a receive brings one message of a FIFO group.
"""

import subprocess
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, require
from tests.servers.fauxqs_program import FauxqsMissing, installed_program

START_SECONDS = 30.0
REGION = "eu-west-1"
ACCOUNT = "000000000000"


class FauxqsServer:
    """
    Attributes:
        url: of the service.
    """

    def __init__(self) -> None:
        try:
            program = installed_program()
        except FauxqsMissing as missing:
            require("fauxqs", str(missing))
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._client: Any = None
        self._process = subprocess.Popen(
            [*program, str(self._port), REGION],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def environ(self) -> dict[str, str]:
        """For a process whose clients are to find this server. It needs no credentials."""
        return {"AWS_ENDPOINT_URL_SQS": self.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}

    @property
    def sqs(self) -> Any:
        """A client, made once, closed with the server."""
        if self._client is None:
            self._client = boto3.client(
                "sqs",
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(retries={"max_attempts": 0}, proxies={}, max_pool_connections=50),
            )
        return self._client

    def create_queue(self, name: str, **attributes: str) -> str:
        """A queue's ARN."""
        self.sqs.create_queue(QueueName=name, Attributes=attributes)
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def queue_url(self, name: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

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
        if self._client is not None:
            self._client.close()
            self._client = None
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
                pytest.fail(f"fauxqs ended with {self._process.returncode} at start")
            try:
                with without_proxy.open(f"{self.url}/health", timeout=5):
                    return
            except urllib.error.HTTPError as answer:
                answer.close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    pytest.fail(f"fauxqs was not ready after {START_SECONDS:g} s")
                time.sleep(0.05)
