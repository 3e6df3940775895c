"""The server's own image: it runs functions in sibling containers through a mounted socket."""

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.conftest import free_port, wait_until
from tests.docker_engine import containers_of
from tests.e2e.test_docker_functions import create, invoke

pytestmark = pytest.mark.docker

IMAGE = "rie-server/server:latest"
SOCKET = "/var/run/docker.sock"


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    container: str
    client: Any

    @property
    def output(self) -> str:
        done = subprocess.run(["docker", "logs", self.container], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


@pytest.fixture
def server(docker_engine: Any, require: Callable[[str, str], Any]) -> Iterator[Server]:
    if not docker_engine.images.list(IMAGE):
        require("docker", f"there is no image {IMAGE}: runtime/make_images.sh server")
    if not Path(SOCKET).exists():
        require("docker", f"the engine has no socket at {SOCKET}")
    name, port = f"rie-test-{secrets.token_hex(4)}", free_port()
    docker(
        *("run", "--detach", "--init", "--name", name, "--publish", f"127.0.0.1:{port}:9000"),
        *("--volume", f"{name}:/var/lib/rie", "--volume", f"{SOCKET}:{SOCKET}"),
        *("--group-add", str(Path(SOCKET).stat().st_gid), IMAGE),
    )
    try:
        client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"max_attempts": 0}),
        )
        server = Server(container=name, client=client)
        wait_until(lambda: "ready" in server.output, seconds=30, what="the server in its container")
        yield server
        client.close()
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", "--force", name)


def test_a_zip_function_runs_in_a_sibling_container_which_ends_with_the_server(server: Server) -> None:
    create(server.client)
    for n in range(3):
        answer = invoke(server.client, {"n": n})
        body = answer["Payload"].read()
        assert "FunctionError" not in answer, body
        assert json.loads(body)["n"] == n
    assert "Docker containers" in server.output
    server_id = docker("exec", server.container, "cat", "/var/lib/rie/server-id")
    assert len(containers_of(server_id)) == 1
    docker("stop", "--time", "30", server.container)
    assert containers_of(server_id) == []


def test_the_server_in_its_container_is_not_root(server: Server) -> None:
    assert docker("exec", server.container, "id", "-u") == "10001"
