"""A streamed response out of a container: over the bridge, piece by piece."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import RieServer
from tests.docker_engine import runtime_image
from tests.integration.invoke.streaming_runtime import create_streamer, steps, stream

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
