"""Runtimes that stream, as people use them: AWS's Node runtime interface client, and a shell script with curl."""

import json
import shutil
import textwrap
from typing import Any

import pytest

from tests.conftest import RieServer, require
from tests.integration.invoke.deploying import create, invoke, zip_of
from tests.integration.invoke.other_clients import node_runtime
from tests.integration.invoke.streaming_runtime import NODE_HANDLER, create_program, stream

FIRST_BYTE_SECONDS = 0.020

# The first time, the runtime interface client is built.
pytestmark = pytest.mark.timeout(1000)


@pytest.fixture(scope="module")
def node(shared: RieServer) -> Any:
    """A client of a server whose functions ``node-NAME`` run under aws-lambda-ric."""
    if shutil.which("node") is None:
        require("node", "there is no node")
    program = node_runtime("aws-lambda-ric@4.0.2", require)
    client = shared.client()
    code = zip_of(
        {"bootstrap": f'#!/bin/sh\nexec node {program} "$_HANDLER"\n', "app.js": textwrap.dedent(NODE_HANDLER)}
    )
    for name in ("stream", "web", "many", "plain"):
        create(client, f"node-{name}", code, Runtime="provided.al2023", Handler=f"app.{name}", Timeout=20)
    return client


def test_node_streams_piece_by_piece(node: Any) -> None:
    stream(node, "node-stream", {"pieces": 1})
    got = stream(node, "node-stream", {"pieces": 10})
    assert len(got.pieces) == 10
    late = [came - float(written) for written, came in zip(got.pieces, got.came_at, strict=True)]
    assert sorted(late)[5] < FIRST_BYTE_SECONDS
    assert got.headers["x-amzn-remapped-content-type"] == "text/plain"
    assert got.complete == {}


def test_an_exception_of_node_in_the_middle_is_the_end_of_the_stream(node: Any) -> None:
    got = stream(node, "node-stream", {"pieces": 2, "fail": "after"})
    assert len(got.pieces) == 2
    assert (got.error["errorType"], got.error["errorMessage"]) == ("TypeError", "half way")
    assert len(stream(node, "node-stream", {"pieces": 1}).pieces) == 1


def test_an_exception_of_node_before_the_first_byte_is_told(node: Any) -> None:
    got = stream(node, "node-stream", {"fail": "before"})
    assert got.pieces == []
    assert got.error["errorMessage"] == "as asked"


def test_a_prelude_of_node_is_passed_on(node: Any) -> None:
    got = stream(node, "node-web")
    assert got.headers["x-amzn-remapped-content-type"] == "application/vnd.awslambda.http-integration-response"
    prelude, body = got.text.split("\0" * 8)
    assert json.loads(prelude) == {"statusCode": 201, "headers": {"Content-Type": "text/html"}, "cookies": ["a=b"]}
    assert body == "<p>"


def test_node_streams_many_megabytes(node: Any) -> None:
    got = stream(node, "node-many", {"blocks": 320})
    assert len(got.text) == 320 * 65536


def test_node_answers_a_plain_invoke(node: Any) -> None:
    assert invoke(node, "node-plain", {"a": 1}).payload == {"a": 1, "plain": True}
    answer = node.invoke(FunctionName="node-stream", Payload=b'{"pieces": 2}')
    assert len(answer["Payload"].read().split()) == 2


_SHELL_STREAMER = """\
    #!/bin/bash
    api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
    while true; do
      curl -sS -D "$TMPDIR/head" -o "$TMPDIR/event" "$api/next"
      id=$(tr -d '\\r' < "$TMPDIR/head" | awk 'tolower($1) == "lambda-runtime-aws-request-id:" { print $2 }')
      { for n in 1 2 3; do date +%s.%N; sleep 0.1; done; } | curl -sS -X POST -T - -o /dev/null \\
        -H "Lambda-Runtime-Function-Response-Mode: streaming" -H "Transfer-Encoding: chunked" \\
        -H "Content-Type: text/plain" "$api/$id/response"
    done
    """


def test_a_shell_script_with_curl_streams(shared: RieServer) -> None:
    if shutil.which("curl") is None:
        require("curl", "there is no curl")
    client = shared.client()
    create_program(client, "shell-streamer", textwrap.dedent(_SHELL_STREAMER), Timeout=20)
    stream(client, "shell-streamer")
    got = stream(client, "shell-streamer")
    assert len(got.pieces) == 3
    late = [came - float(written) for written, came in zip(got.pieces, got.came_at, strict=True)]
    # curl looks at its input ten times a second, at worst.
    assert sorted(late)[1] < FIRST_BYTE_SECONDS + 0.1
    assert got.came_at[2] - got.came_at[0] > 0.15
