"""Servers for the tests of this folder, and functions behind URLs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import RieServer
from tests.integration.invoke.deploying import create

PROBE = """
    import base64, json, time
    def handler(event, context):
        path = event["rawPath"]
        if path == "/fail":
            raise ValueError("not today")
        if path == "/bare":
            return {"bare": [1, 2]}
        if path == "/text":
            return "just a text"
        if path == "/binary":
            return {"statusCode": 200, "headers": {"content-type": "image/png"}, "isBase64Encoded": True,
                    "body": base64.b64encode(bytes(range(256))).decode()}
        if path == "/wrong":
            return {"statusCode": "many"}
        if path == "/cookies":
            return {"statusCode": "201", "headers": {"X-Count": 3, "X-Yes": True, "content-length": 9999,
                    "Access-Control-Allow-Origin": "https://own.example"},
                    "cookies": ["a=1; HttpOnly", "b=2"], "body": "made"}
        return {"statusCode": 200, "body": json.dumps(event)}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RieServer]:
    server = RieServer(tmp_path_factory.mktemp("rie"))
    server.wait_ready()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(shared: RieServer) -> Any:
    client = shared.client()
    create(client, "probe", PROBE)
    return client
