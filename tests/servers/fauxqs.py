"""A fauxqs server of the test's own: SQS in one node process on a free loopback port, fast enough for volume.

``with FauxqsServer() as fauxqs:`` starts it, waits until it answers, and ends it by its process id. npm installs it
once into a cache folder. ``fauxqs.environ`` is what a server or a test sets so that botocore's clients find it.

Faults of its own: a message that a receive of a dead client was waiting for is hidden until its visibility timeout;
a receive brings one message of a FIFO group.
"""

import contextlib
import fcntl
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, require

VERSION = "2.4"
START_SECONDS = 30.0
INSTALL_SECONDS = 300.0
REGION = "eu-west-1"
ACCOUNT = "000000000000"
CACHE = Path.home() / ".cache" / "rie-server-tests" / f"fauxqs-{VERSION}"

# It keeps messages in SQLite if it is told to, with a module that older nodes have not; here it is not told to.
_WITHOUT_SQLITE = "export class DatabaseSync {}"
_HOOK = f"""
export const resolve = (name, context, next) => name === "node:sqlite"
    ? {{url: "data:text/javascript,{_WITHOUT_SQLITE}", shortCircuit: true}}
    : next(name, context);
"""
_PROGRAM = """
import {register} from "node:module";
register("./hook.mjs", import.meta.url);
const {buildApp} = await import("fauxqs");
const app = buildApp({logger: false, host: "127.0.0.1", defaultRegion: process.argv[3]});
await app.listen({host: "127.0.0.1", port: Number(process.argv[2])});
"""


class FauxqsServer:
    """
    Attributes:
        url: of the service.
    """

    def __init__(self) -> None:
        program = _installed()
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._client: Any = None
        self._process = subprocess.Popen(
            ["node", str(program), str(self._port), REGION],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=program.parent,
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


def _installed() -> Path:
    """The program that starts it; several test runs may want it at the same time."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        require("fauxqs", "node and npm are not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    program, package = CACHE / "serve.mjs", CACHE / "node_modules" / "fauxqs" / "package.json"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not package.exists():
            _install()
        (CACHE / "hook.mjs").write_text(_HOOK, encoding="utf-8")
        program.write_text(_PROGRAM, encoding="utf-8")
    return program


def _install() -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"fauxqs@{VERSION}"]
    reason = f"npm did not end within {INSTALL_SECONDS:g} s"
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        if done.returncode == 0:
            return
        reason = done.stderr.strip() or f"npm ended with {done.returncode}"
    shutil.rmtree(CACHE / "node_modules", ignore_errors=True)
    require("fauxqs", reason)
