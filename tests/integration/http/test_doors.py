"""Which operation answers, on which thread, behind which door; and that all doors answer the same."""

import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rie_server.api.exchange import Reply
from rie_server.app import RuntimeListeners, create_app
from rie_server.config import Settings
from tests.integration.http.conftest import RawClient, listening_socket
from tests.integration.http.fake_server import FakeServer

INVOKE = "/2015-03-31/functions/f/invocations"
NEXT = "/2018-06-01/runtime/invocation/next"
PING = "/2018-06-01/ping"


def test_hot_operations_and_the_runtime_api_run_on_the_loop_and_the_rest_on_the_pool(front: Any) -> None:
    client, runtime = front.client(), front.runtime_client()
    client.request("POST", INVOKE, b"x")
    client.reply()
    client.request("GET", "/2015-03-31/functions")
    client.reply()
    runtime.request("GET", PING)
    runtime.reply()
    invoke, control, ping = front.server.threads
    assert (invoke, ping) == ("front", "front")
    assert control.startswith("lambda-api")


def test_a_blocked_control_plane_does_not_hold_invocations_up(front: Any) -> None:
    for _ in range(12):
        front.client().request("GET", "/block")
    client = front.client()
    client.request("POST", INVOKE, b"through")
    assert client.reply()[2] == b"through"


def test_a_reply_completed_on_another_thread_arrives(front: Any) -> None:
    client = front.runtime_client()
    client.request("GET", NEXT)
    deferred = front.parked()
    threading.Thread(target=deferred.complete, args=(Reply(200, (), b"event"),)).start()
    assert client.reply()[2] == b"event"


def test_a_deferred_reply_passes_through_flask_without_blocking_a_thread(front: Any) -> None:
    client = front.client()
    client.request("GET", "/deferred")
    assert client.reply()[2] == b"later"


@pytest.mark.parametrize("path", [INVOKE, "/anything", "/"])
def test_lambda_paths_are_404_on_the_runtime_listener(front: Any, path: str) -> None:
    client = front.runtime_client()
    client.request("POST", path, b"x")
    status, _, body = client.reply()
    assert (status, json.loads(body)["errorType"]) == (404, "ResourceNotFound")
    assert not front.server.requests


@pytest.mark.parametrize("path", [NEXT, PING, "/2020-01-01/extension/register"])
def test_runtime_paths_are_404_on_the_lambda_listener(front: Any, path: str) -> None:
    client = front.client()
    client.request("GET", path)
    status, headers, body = client.reply()
    assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    assert json.loads(body) == {"Message": f"The Lambda API has no GET {path}"}
    assert not front.server.requests


@pytest.mark.parametrize("path", [INVOKE, "/2015-03-31/functions"], ids=["fast door", "Flask door"])
def test_strange_hosts_and_origins_are_refused_at_both_doors(front: Any, path: str) -> None:
    client = front.client()
    client.send(f"POST {path} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    status, headers, body = client.reply()
    assert (status, headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert "evil.example" in json.loads(body)["message"]
    client.request("POST", path, b"{}", "Origin: https://evil.example")
    assert client.reply()[0] == 403
    assert not front.server.requests


@pytest.mark.parametrize("path", [INVOKE, "/2015-03-31/functions"], ids=["fast door", "Flask door"])
def test_an_allowed_origin_gets_its_preflight_and_its_reply(start: Any, path: str) -> None:
    origin = "http://dashboard.example"
    client = start(cors_origins=(origin,)).client()
    client.request("OPTIONS", path, b"", f"Origin: {origin}", "Access-Control-Request-Method: POST")
    status, headers, _ = client.reply()
    assert (status, headers["access-control-allow-origin"]) == (204, origin)
    assert "POST" in headers["access-control-allow-methods"]
    client.request("POST", path, b"{}", f"Origin: {origin}")
    status, headers, _ = client.reply()
    assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, origin, "Origin")


def test_the_runtime_api_answers_to_any_host(front: Any) -> None:
    client = front.runtime_client()
    client.send(f"GET {PING} HTTP/1.1\r\nHost: 5f3a.internal:9001\r\n\r\n".encode())
    assert client.reply()[2] == b"pong"


@pytest.mark.parametrize("path", ["/2015-03-31/functions/crash/invocations", "/crash"])
def test_an_unexpected_exception_is_a_500_and_a_traceback_in_the_log(
    front: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = front.client()
    client.request("POST", path, b"x")
    status, headers, body = client.reply()
    assert (status, headers["x-amzn-errortype"]) == (500, "ServiceException")
    assert json.loads(body)["Type"] == "Server"
    assert "as asked" in caplog.text
    client.request("POST", INVOKE, b"still there")
    assert client.reply()[2] == b"still there"


def test_an_unexpected_exception_of_the_runtime_api_has_its_shape(front: Any) -> None:
    client = front.runtime_client()
    client.request("GET", "/2018-06-01/crash")
    status, _, body = client.reply()
    assert (status, json.loads(body)["errorType"]) == (500, "InternalServerError")


def test_a_line_break_in_a_header_does_not_make_another_header(front: Any) -> None:
    client = front.client()
    client.request("POST", "/2015-03-31/functions/split/invocations", b"x")
    _, headers, _ = client.reply()
    assert headers["x-split"] == "a  X-Injected: b"
    assert "x-injected" not in headers


def test_an_environment_listener_opens_and_closes_from_any_thread(front: Any) -> None:
    listener = listening_socket("127.1.2.3")
    address = listener.getsockname()
    close = front.server.listen(listener)
    client = front.client(address)
    client.request("GET", NEXT)
    assert front.parked().is_connected()
    assert front.server.requests[-1].connection.local_address == address
    close()
    close()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            RawClient(address).close()
        except ConnectionRefusedError:
            break
        time.sleep(0.01)
    else:
        pytest.fail("the listener is still open")


def test_a_listener_closed_before_the_loop_came_to_it_does_not_stay(front: Any) -> None:
    listener = listening_socket()
    address = listener.getsockname()

    def open_and_close() -> None:
        front.server.listen(listener)()

    front.loop.call_soon_threadsafe(open_and_close)
    time.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        RawClient(address)


# --- ordinary WSGI servers --------------------------------------------------------------------------------------------


@pytest.fixture
def wsgi_server(tmp_path: Any) -> FakeServer:
    return FakeServer(Settings(data_dir=tmp_path, cors_origins=("http://ok.example",)), lambda _socket: lambda: None)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", INVOKE, b'{"a": 1}', {}),
        ("POST", "/2015-03-31/functions/slow/invocations", b"0.05", {}),
        ("POST", "/2015-03-31/functions/crash/invocations", b"", {}),
        ("GET", "/2015-03-31/functions/?x=%20y", b"", {}),
        ("GET", "/double//slash/", b"", {}),
        ("PROPFIND", "/a%20b", b"", {}),
        ("GET", "/deferred", b"", {}),
        ("GET", "/x", b"", {"Origin": "http://evil.example"}),
        ("GET", "/x", b"", {"Origin": "http://ok.example"}),
        ("POST", INVOKE, b"1", {"Origin": "http://ok.example"}),
        ("OPTIONS", INVOKE, b"", {"Origin": "http://ok.example", "Access-Control-Request-Method": "POST"}),
        ("GET", "/x", b"", {"Host": "evil.example"}),
    ],
)
def test_both_doors_give_the_same_reply(
    start: Any, wsgi_server: FakeServer, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    client = start(cors_origins=("http://ok.example",)).client()
    host = headers.pop("Host", "localhost")
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    client.send(
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body
    )
    status, worker_headers, worker_body = client.reply()
    flask_client = create_app(server=wsgi_server).test_client()
    reply = flask_client.open(path, method=method, data=body, headers={"Host": host, **headers})
    assert (reply.status_code, reply.data) == (status, worker_body)
    ignored = {"date", "content-length"}
    flask_headers = {name.lower(): value for name, value in reply.headers.items()}
    assert {k: v for k, v in flask_headers.items() if k not in ignored} == {
        k: v for k, v in worker_headers.items() if k not in ignored
    }


def test_one_ordinary_port_serves_both_apis(wsgi_server: FakeServer) -> None:
    client = create_app(server=wsgi_server).test_client()
    assert client.get(PING).data == b"pong"
    assert client.post(INVOKE, data=b"x").data == b"x"
    assert client.post("/2018-06-01/runtime/invocation/1/response", data=b"x").status_code == 202


def test_environments_of_an_ordinary_server_have_listeners_of_their_own(wsgi_server: FakeServer) -> None:
    listeners = RuntimeListeners()
    listeners.application = create_app(server=wsgi_server).wsgi_app
    listener = listening_socket("127.3.2.1")
    address = listener.getsockname()
    close = listeners.listen(listener)
    with closing(RawClient(address)) as client:
        client.request("GET", NEXT)
        deadline = time.monotonic() + 5
        while not wsgi_server.parked and time.monotonic() < deadline:
            time.sleep(0.01)
        assert wsgi_server.requests[-1].connection.local_address == address
        assert any(thread.name == "runtime-api-127.3.2.1" for thread in threading.enumerate())
        wsgi_server.parked[0].complete(Reply(200, (("Content-Type", "application/json"),), b"event"))
        assert client.reply()[2] == b"event"
    with closing(RawClient(address)) as client:
        client.request("POST", INVOKE, b"x")
        assert client.reply()[0] == 404
    close()
    listeners.close()
    assert not any(thread.name.startswith("runtime-api") for thread in threading.enumerate())


def test_an_app_that_built_its_own_server_stops_it_before_the_interpreter_takes_the_thread_pools_away(
    tmp_path: Path,
) -> None:
    code = f"""
from pathlib import Path
from rie_server.app import create_app
from rie_server.config import Settings
app = create_app(Settings(executor="process", data_dir=Path({str(tmp_path)!r})))
print(app.test_client().get("/2015-03-31/functions").status_code)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "200" in ended.stdout.split()
