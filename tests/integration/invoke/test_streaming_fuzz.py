"""Runtimes that send anything at all where a streamed response is due: their caller's stream ends, and nothing else
suffers. A real server, raw bytes.
"""

import base64
import json
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import RieServer
from tests.integration.invoke.deploying import create, invoke
from tests.integration.invoke.streaming_runtime import create_program, stream

# Sends what its event holds in the place of a response, and the rest as the event's pieces say; ID is the request's.
_RAW = """\
    #!{python}
    import base64, http.client, json, os, socket, time

    HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    while True:
        connection = http.client.HTTPConnection(HOST, int(PORT))
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        reply = connection.getresponse()
        event = json.loads(reply.read())
        request_id = reply.headers["Lambda-Runtime-Aws-Request-Id"].encode()
        connection.close()
        with socket.create_connection((HOST, int(PORT))) as wire:
            wire.settimeout(event["patience"])
            try:
                for piece in event["pieces"]:
                    wire.sendall(base64.b64decode(piece).replace(b"ID", request_id))
                    time.sleep(0.001)
                if event["shuts"]:
                    wire.shutdown(socket.SHUT_WR)
                while wire.recv(65536):
                    pass
            except OSError:
                pass
        # A response that was none leaves the invocation open: it is answered now, or was.
        connection = http.client.HTTPConnection(HOST, int(PORT))
        connection.request("POST", f"/2018-06-01/runtime/invocation/{{request_id.decode()}}/error", "{{}}")
        connection.getresponse().read()
        connection.close()
    """

_HEAD = (
    b"POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: here\r\n"
    b"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
)
_CHUNK = st.binary(min_size=1, max_size=300).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data))
_TRAILER = st.sampled_from(
    [
        b"Lambda-Runtime-Function-Error-Type: Function.X\r\n",
        b"Lambda-Runtime-Function-Error-Body: bm8gSlNPTg==\r\n",
        b"Lambda-Runtime-Function-Error-Body: %%%\r\n",
        b"Lambda-Runtime-Function-Error-Body:\r\n",
        b"\xff\xfe: x\r\n",
        b"no trailer\r\n",
    ]
)
_HEADER = st.sampled_from(
    [
        b"",
        b"Content-Type: text/\xe9\r\n",
        b"Content-Type:\r\n",
        b"Content-Length: 5\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n",
    ]
)


@st.composite
def wires(draw: st.DrawFn) -> bytes:
    """A streamed response, or what is left of one after something has gone wrong on its way."""
    data = _HEAD + draw(_HEADER) + b"\r\n" + b"".join(draw(st.lists(_CHUNK, max_size=4)))
    data += b"0\r\n" + b"".join(draw(st.lists(_TRAILER, max_size=2))) + b"\r\n"
    for _ in range(draw(st.integers(min_value=0, max_value=2))):
        at = draw(st.integers(min_value=0, max_value=len(data)))
        kind = draw(st.sampled_from(["cut", "insert", "drop", "repeat"]))
        if kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + draw(st.binary(min_size=1, max_size=5)) + data[at:]
        elif kind == "drop":
            data = data[:at] + data[at + 3 :]
        else:
            data = data + data[at:]
    return data


@pytest.fixture(scope="module")
def fuzzed(shared: RieServer) -> Any:
    client = shared.client()
    create_program(client, "raw", textwrap.dedent(_RAW.format(python=sys.executable)), Timeout=20)
    create(client, "echo", "def handler(event, context):\n    return event\n")
    return shared


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wire=wires(),
    cuts=st.lists(st.integers(min_value=1, max_value=200), max_size=3),
    shuts=st.booleans(),
    plain=st.booleans(),
)
def test_whatever_comes_as_a_streamed_response_ends_the_invocation(
    fuzzed: RieServer, wire: bytes, cuts: list[int], shuts: bool, plain: bool
) -> None:
    client = fuzzed.client()
    pieces, start = [], 0
    for cut in [*cuts, len(wire)]:
        pieces.append(base64.b64encode(wire[start : start + cut]).decode())
        start += cut
    event = {"pieces": pieces, "shuts": shuts, "patience": 0.05}
    if plain:
        reply = client.invoke(FunctionName="raw", Payload=json.dumps(event).encode())
        assert reply["StatusCode"] == 200
        reply["Payload"].read()
    else:
        assert stream(client, "raw", event).complete is not None
    trouble = fuzzed.output.partition("Traceback")[2]
    assert not trouble, trouble[:3000]


def test_afterwards_everybody_is_served_as_before(fuzzed: RieServer) -> None:
    client = fuzzed.client()
    for number in range(5):
        assert invoke(client, "echo", {"n": number}).payload == {"n": number}
