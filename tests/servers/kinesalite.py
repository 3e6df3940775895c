"""A Kinesis of the test's own: kinesalite in one child process on a free loopback port.

``with KinesaliteServer() as kinesis:`` starts it, waits until it answers, and ends it by its process id. It comes from
npm, once, into ``~/.cache/rie-server-tests``; it is fetched only where ``RIE_REQUIRE`` names ``kinesalite``.
"""

import subprocess
import time
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, wait_until
from tests.servers.npm import npm_package

VERSION = "3.3.3"
START_SECONDS = 20.0
REGION = "us-east-1"
ACCOUNT = "000000000000"
# Its own command line would listen on every interface.
_SCRIPT = """
const server = require('kinesalite')({createStreamMs: 20, deleteStreamMs: 20, updateStreamMs: 20, shardLimit: 100})
server.listen(Number(process.argv[1]), '127.0.0.1')
"""


class KinesaliteServer:
    """
    Args:
        port: to stand where another one was.

    Attributes:
        url: of the service.
    """

    def __init__(self, port: int | None = None) -> None:
        packages = npm_package("kinesalite", VERSION)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._clients: dict[str, Any] = {}
        self._process = subprocess.Popen(
            ["node", "-e", _SCRIPT, str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=packages,
        )

    @property
    def environ(self) -> dict[str, str]:
        """For a process whose clients are to find this server. It needs no credentials."""
        return {"AWS_ENDPOINT_URL_KINESIS": self.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}

    def client(self) -> Any:
        if "kinesis" not in self._clients:
            self._clients["kinesis"] = boto3.client(
                "kinesis",
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(retries={"max_attempts": 0}, proxies={}, max_pool_connections=20),
            )
        return self._clients["kinesis"]

    def create_stream(self, name: str, shards: int = 1) -> str:
        """An active stream's ARN."""
        self.client().create_stream(StreamName=name, ShardCount=shards)
        self.wait_active(name)
        return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"

    def wait_active(self, name: str) -> None:
        def is_active() -> bool:
            summary = self.client().describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            return bool(summary["StreamStatus"] == "ACTIVE")

        wait_until(is_active, what=f"the stream {name}")

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                pytest.fail(f"kinesalite ended with {self._process.returncode} at start")
            try:
                self.client().list_streams()
            except Exception:
                if time.monotonic() > deadline:
                    self.close()
                    pytest.fail(f"kinesalite was not ready after {START_SECONDS:g} s")
                time.sleep(0.05)
            else:
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
