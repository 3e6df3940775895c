"""A streamed response out of a container: over the bridge, piece by piece."""

import secrets
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, require
from tests.docker_engine import connect, runtime_image
from tests.integration.invoke.other_clients import node_runtime
from tests.integration.invoke.streaming_runtime import NODE_HANDLER, create_streamer, steps, stream

pytestmark = pytest.mark.docker

MB = 1024 * 1024
FIRST_BYTE_SECONDS = 0.020


@pytest.fixture
def client(docker_engine: Any, start_rie: Callable[..., RieServer]) -> Any:
    server = start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine))
    client = server.client()
    create_streamer(client, "streamer", interpreter="/usr/bin/env python3")
    return client


def test_a_container_streams_while_its_handler_runs(client: Any) -> None:
    stream(client, "streamer", steps(("write", "warm")))
    late = []
    for _ in range(5):
        got = stream(client, "streamer", steps(("write", "@now"), ("sleep", 0.1), ("write", "@now")))
        late += [came - float(written) for written, came in zip(got.pieces, got.came_at, strict=True)]
        assert got.came_at[0] < float(got.pieces[1])
    assert sorted(late)[len(late) // 2] < FIRST_BYTE_SECONDS
    assert len(stream(client, "streamer", steps(("bytes", 20 * MB))).text) == 20 * MB


def test_a_container_that_ends_in_the_middle_ends_the_stream(client: Any) -> None:
    got = stream(client, "streamer", steps(("write", "half"), ("sleep", 0.05), ("exit", 3)))
    assert got.text == "half"
    assert got.error["errorType"] in ("Runtime.ExitError", "Runtime.TruncatedResponse")
    assert stream(client, "streamer", steps(("write", "anew"))).text == "anew"


@pytest.fixture
def node_image(tmp_path: Path) -> Iterator[str]:
    """An image with node and AWS's client for it, as a Dockerfile of a user's has them."""
    node = shutil.which("node")
    if node is None:
        require("node", "there is no node")
    package = node_runtime("aws-lambda-ric@4.0.2", require).parent
    shutil.copytree(package, tmp_path / "aws-lambda-ric")
    shutil.copy(node, tmp_path / "node")
    (tmp_path / "app.js").write_text(textwrap.dedent(NODE_HANDLER))
    engine = connect()
    base = runtime_image(engine)
    engine.close()
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base}\nCOPY node /usr/local/bin/node\nCOPY aws-lambda-ric /opt/aws-lambda-ric\nCOPY app.js /var/task/\n"
        'WORKDIR /var/task\nENTRYPOINT ["node", "/opt/aws-lambda-ric/index.mjs"]\nCMD ["app.stream"]\n'
    )
    tag = f"rie-test/node-{secrets.token_hex(6)}"
    subprocess.run(["docker", "build", "-q", "-t", tag, tmp_path], check=True, capture_output=True)
    yield tag
    subprocess.run(["docker", "rmi", "-f", tag], check=True, capture_output=True)


@pytest.mark.timeout(1200)
def test_an_image_with_aws_node_client_streams(
    docker_engine: Any, node_image: str, start_rie: Callable[..., RieServer]
) -> None:
    assert docker_engine.images.list(node_image)
    client = start_rie(executor="docker", runtime_host="").client()
    client.create_function(
        FunctionName="node",
        Role="arn:aws:iam::000000000000:role/lambda",
        PackageType="Image",
        Code={"ImageUri": f"{node_image}:latest"},
        Timeout=20,
        MemorySize=512,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="node", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    stream(client, "node", {"pieces": 1})
    got = stream(client, "node", {"pieces": 10})
    assert len(got.pieces) == 10, got
    late = [came - float(written) for written, came in zip(got.pieces, got.came_at, strict=True)]
    assert sorted(late)[5] < FIRST_BYTE_SECONDS
    assert stream(client, "node", {"pieces": 1, "fail": "after"}).error["errorMessage"] == "half way"
