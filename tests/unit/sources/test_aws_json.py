"""What goes over the wire, against a listener that answers as it is told."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from rie_server.aws_clients import ServiceClients
from rie_server.aws_json import JsonCalls


class Service:
    """Answers every request alike, and keeps the last one."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, dict[str, str](), b"{}"
        self.got: dict[str, str] = {}
        self.got_body = b""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                service.got = {name.lower(): value for name, value in self.headers.items()}
                service.got_body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(service.status)
                for name, value in {**service.headers, "Content-Length": str(len(service.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(service.body)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as made:
        yield made


@pytest.fixture
def calls(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[JsonCalls]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", service.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with contextlib.closing(ServiceClients()) as clients:
        yield clients.json_calls("sqs", "eu-west-1")


def refusal(calls: JsonCalls) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        calls.call("ReceiveMessage", {})
    error = refused.value.response["Error"]
    return refused.value.response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


def test_a_call_is_signed_json_for_its_operation(service: Service, calls: JsonCalls) -> None:
    service.body = json.dumps({"Messages": [{"Body": "Zoë"}]}).encode()
    assert calls.call("ReceiveMessage", {"QueueUrl": "http://queue"}) == {"Messages": [{"Body": "Zoë"}]}
    assert json.loads(service.got_body) == {"QueueUrl": "http://queue"}
    assert service.got["x-amz-target"] == "AmazonSQS.ReceiveMessage"
    assert service.got["content-type"] == "application/x-amz-json-1.0"
    assert service.got["x-amz-security-token"] == "token"
    assert service.got["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/sqs/aws4_request" in service.got["authorization"]


def test_an_empty_answer_has_no_members(service: Service, calls: JsonCalls) -> None:
    service.body = b""
    assert calls.call("DeleteMessageBatch", {}) == {}


def test_a_refusal_carries_the_code_of_the_service(service: Service, calls: JsonCalls) -> None:
    service.status = 400
    service.body = b'{"__type": "com.amazonaws.sqs#OverLimit", "message": "Too many"}'
    assert refusal(calls) == (400, "OverLimit", "Too many")


def test_the_code_of_the_query_protocol_goes_first(service: Service, calls: JsonCalls) -> None:
    service.status, service.headers = 400, {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
    service.body = b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}'
    assert refusal(calls) == (400, "AWS.SimpleQueueService.NonExistentQueue", "none")


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"[]", b""])
def test_a_refusal_that_is_no_json_is_told_by_its_status(service: Service, calls: JsonCalls, body: bytes) -> None:
    service.status, service.body = 502, body
    assert refusal(calls) == (502, "502", "")


def test_an_answer_of_another_service_is_no_answer(service: Service, calls: JsonCalls) -> None:
    service.body = b"<html>Welcome</html>"
    with pytest.raises(ValueError, match="Expecting value"):
        calls.call("ReceiveMessage", {})


def test_where_nobody_listens_botocore_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with Service() as gone:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", gone.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with contextlib.closing(ServiceClients()) as clients, pytest.raises(EndpointConnectionError):
        clients.json_calls("sqs", "eu-west-1").call("ReceiveMessage", {})


def test_without_credentials_each_call_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", service.url)
    with contextlib.closing(ServiceClients()) as clients:
        client = clients.client("sqs", "eu-west-1")
        made = JsonCalls(client, None, verify=True, connections=1)
        with contextlib.closing(made) as calls, pytest.raises(NoCredentialsError):
            calls.call("ReceiveMessage", {})
    assert not service.got
