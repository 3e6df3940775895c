"""Telemetry delivered into containers: an external extension of an image listens under its own host name."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.docker_engine import build_image, runtime_image
from tests.e2e.test_docker_extensions import create, invoke
from tests.extension_programs import LISTENER

pytestmark = pytest.mark.docker

APP = """
import logging

def handler(event, context):
    logging.getLogger().error("two\\nlines")
    print("printed")
    return "done"
"""


@pytest.fixture
def image(docker_engine: Any) -> Iterator[str]:
    base = runtime_image(docker_engine)
    files = {
        "extensions/listener": (LISTENER, 0o755),
        "app.py": (APP, 0o644),
        "Dockerfile": (
            f'FROM {base}\nCOPY extensions /opt/extensions\nCOPY app.py /var/task/\nCMD ["app.handler"]',
            0o644,
        ),
    }
    tag = build_image(files)
    yield tag
    docker_engine.images.remove(tag, force=True)


def received(server: RieServer) -> list[Any]:
    """What the extension has printed of what it got."""
    lines = [line.partition("GOT ")[2] for line in server.output.splitlines() if "GOT {" in line]
    return [json.loads(line) for line in lines]


def test_an_extension_of_an_image_is_told_of_its_container(
    docker_engine: Any, start_rie: Callable[..., RieServer], image: str
) -> None:
    server = start_rie(executor="docker", runtime_host="", runtime_image=runtime_image(docker_engine))
    create(server.client(), image)
    requests = []
    for _ in range(3):
        payload, error, request_id = invoke(server.client(), {})
        assert (payload, error) == ("done", None)
        requests.append(request_id)
    reports = [("report", request_id) for request_id in requests]

    def told() -> list[tuple[str, str]]:
        return [
            (event["type"].removeprefix("platform."), event["record"]["requestId"])
            for event in received(server)
            if "requestId" in event["record"]
        ]

    wait_until(lambda: reports[-1] in told(), what="the last report")
    assert told() == [(kind, request) for request in requests for kind in ("start", "runtimeDone", "report")]
    kinds = [event["type"] for event in received(server)]
    assert kinds[0] == "platform.initStart"
    assert "platform.extension" in kinds
    printed = [event["record"] for event in received(server) if event["type"] == "function"]
    assert "printed" in printed
    assert any(record.endswith("two\nlines") for record in printed), "a record of two lines is one event"
    assert "SUBSCRIBED OK" in server.output
