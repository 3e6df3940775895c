"""What the tests' emulators of AWS have in common: one child process on a free loopback port, and clients of it.

``with`` starts it, waits until it answers, and ends it by its process id. ``environ`` is what a server or a test sets
so that botocore's clients find it.
"""

import contextlib
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, wait_until

LOOK_SECONDS = 0.05
STOP_SECONDS = 10.0


class Emulator(ABC):
    """
    Args:
        port: to stand where another one was.

    Attributes:
        url: of every service that it has.
    """

    start_seconds = 30.0
    region: ClassVar[str]
    # What tells botocore's clients where it is: of one service, or of all of them.
    endpoint_variable: ClassVar[str]

    def __init__(self, name: str, port: int | None = None) -> None:
        self._name = name
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._clients: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """For a process whose clients are to find this server. It needs no credentials."""
        return {self.endpoint_variable: self.url, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}

    def service(self, name: str) -> Any:
        """A client of one service, made once, closed with the server."""
        if name not in self._clients:
            self._clients[name] = boto3.client(
                name,
                endpoint_url=self.url,
                region_name=self.region,
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(
                    retries={"max_attempts": 0}, proxies={}, max_pool_connections=50, s3={"addressing_style": "path"}
                ),
            )
        return self._clients[name]

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _ask(self) -> None:
        """Raises anything where it does not answer yet."""

    def _folder(self) -> Path | None:
        """Where it runs; None for anywhere."""
        return None

    def _variables(self) -> Mapping[str, str]:
        """Environment variables beside the tests' own."""
        return {}

    def __enter__(self) -> Self:
        self._process = process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder(),
            env={**os.environ, **self._variables()},
        )
        deadline = time.monotonic() + self.start_seconds
        while True:
            if process.poll() is not None:
                pytest.fail(f"{self._name} ended with {process.returncode} at start")
            try:
                self._ask()
            except Exception:
                if time.monotonic() > deadline:
                    self.close()
                    pytest.fail(f"{self._name} was not ready after {self.start_seconds:g} s")
                time.sleep(LOOK_SECONDS)
            else:
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


class KinesisEmulator(Emulator):
    region = "us-east-1"
    account = "000000000000"
    endpoint_variable = "AWS_ENDPOINT_URL_KINESIS"

    def client(self) -> Any:
        return self.service("kinesis")

    def create_stream(self, name: str, shards: int = 1) -> str:
        """An active stream's ARN."""
        self.client().create_stream(StreamName=name, ShardCount=shards)
        self.wait_active(name)
        return f"arn:aws:kinesis:{self.region}:{self.account}:stream/{name}"

    def wait_active(self, name: str) -> None:
        def is_active() -> bool:
            summary = self.client().describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            return bool(summary["StreamStatus"] == "ACTIVE")

        wait_until(is_active, what=f"the stream {name}")

    def _ask(self) -> None:
        self.client().list_streams()
