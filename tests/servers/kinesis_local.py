"""A Kinesis with enhanced fan-out, of the test's own: kinesis-local in one child process on a free loopback port.

``with KinesisLocalServer() as kinesis:`` starts it, waits until it answers, and ends it by its process id. It comes
from npm, once, into ``~/.cache/rie-server-tests``; it is fetched only where ``RIE_REQUIRE`` names ``kinesis-local``.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, wait_until
from tests.servers.npm import npm_package

VERSION = "0.6.2"
START_SECONDS = 40.0
REGION = "us-east-1"
ACCOUNT = "000000000000"
_DURATIONS = (
    "CREATE_STREAM",
    "DELETE_STREAM",
    "REGISTER_STREAM_CONSUMER",
    "DEREGISTER_STREAM_CONSUMER",
    "MERGE_SHARDS",
    "SPLIT_SHARD",
)
# It would listen on every interface.
_LOOPBACK_ALONE = """
const net = require('net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (place, ...rest) {
  if (place !== null && typeof place === 'object') place.host = '127.0.0.1'
  else if (typeof rest[0] === 'string') rest[0] = '127.0.0.1'
  else rest.unshift('127.0.0.1')
  return listen.call(this, place, ...rest)
}
"""


class KinesisLocalServer:
    """
    Attributes:
        url: of the service.
    """

    def __init__(self, port: int | None = None) -> None:
        package = npm_package("kinesis-local", VERSION) / "node_modules" / "kinesis-local"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._made: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="kinesis-local-")
        preload = Path(self._folder.name) / "loopback.js"
        preload.write_text(_LOOPBACK_ALONE)
        ports = {"KINESIS_MOCK_PLAIN_PORT": str(self.port), "KINESIS_MOCK_TLS_PORT": str(free_port())}
        durations = {f"{name}_DURATION": "20ms" for name in _DURATIONS}
        self._process = subprocess.Popen(
            ["node", "-r", str(preload), "main.js"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=package,
            env={**os.environ, **ports, **durations, "LOG_LEVEL": "ERROR"},
        )

    @property
    def environ(self) -> dict[str, str]:
        """For a process whose clients are to find this server. It needs no credentials."""
        return {"AWS_ENDPOINT_URL_KINESIS": self.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}

    def client(self) -> Any:
        if self._made is None:
            self._made = boto3.client(
                "kinesis",
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(retries={"max_attempts": 0}, proxies={}),
            )
        return self._made

    def create_stream(self, name: str, shards: int = 1) -> str:
        """An active stream's ARN."""
        self.client().create_stream(StreamName=name, ShardCount=shards)
        self.wait_active(name)
        return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"

    def create_consumer(self, stream_arn: str, name: str = "fan-out") -> str:
        """An active consumer's ARN."""
        made = self.client().register_stream_consumer(StreamARN=stream_arn, ConsumerName=name)
        arn = str(made["Consumer"]["ConsumerARN"])

        def is_active() -> bool:
            described = self.client().describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]
            return bool(described["ConsumerStatus"] == "ACTIVE")

        wait_until(is_active, what=f"the consumer {name}")
        return arn

    def wait_active(self, name: str) -> None:
        def is_active() -> bool:
            summary = self.client().describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            return bool(summary["StreamStatus"] == "ACTIVE")

        wait_until(is_active, what=f"the stream {name}")

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                pytest.fail(f"kinesis-local ended with {self._process.returncode} at start")
            try:
                self.client().list_streams()
            except Exception:
                if time.monotonic() > deadline:
                    self.close()
                    pytest.fail(f"kinesis-local was not ready after {START_SECONDS:g} s")
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
