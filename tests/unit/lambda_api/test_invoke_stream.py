"""The event stream that a caller of InvokeWithResponseStream gets, for every way in which an invocation can end."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from rie_server.api.exchange import Deferred, Reply, StreamedReply
from rie_server.api.lambda_api.invoke_stream import EventStreamAnswer
from rie_server.errors import ServiceException, TooManyRequestsException
from rie_server.model.arn import FunctionArn
from rie_server.model.invocation import InvokeRequest, InvokeResult

REQUEST = InvokeRequest(
    function=FunctionArn(region="us-east-1", account="000000000000", name="f"),
    payload=b"{}",
    request_id="r",
    trace_header="Root=1",
)


class Client:
    """The connection of a caller, and what comes over it."""

    local_address = ("127.0.0.1", 9000)
    peer_address = "127.0.0.1"

    def __init__(self) -> None:
        self.body = b""
        self.is_over = False
        self.reply: Reply | None = None
        self.answer = EventStreamAnswer(Deferred(self), REQUEST)
        self.answer.deferred.attach(self.take)

    def is_alive(self) -> bool:
        return True

    def take(self, reply: Reply) -> None:
        self.reply = reply
        if isinstance(reply, StreamedReply):
            reply.stream.attach(self)

    def write(self, data: bytes) -> None:
        self.body += data

    def finish(self, _trailers: Any) -> None:
        self.is_over = True

    def break_off(self) -> None:
        raise AssertionError("an event stream always ends as it should")

    def events(self) -> list[tuple[str, bytes]]:
        buffer = EventStreamBuffer()
        buffer.add_data(self.body)
        return [(event.headers[":event-type"], event.payload) for event in buffer]


def result(payload: bytes = b"", **members: Any) -> InvokeResult:
    return InvokeResult(
        **{"payload": payload, "function_error": None, "executed_version": "$LATEST", **members}  # type: ignore[arg-type]
    )


@pytest.fixture
def client() -> Client:
    return Client()


def begin(client: Client, hold: Callable[[bool], None] = lambda _: None) -> None:
    client.answer.begin(content_type="text/plain", executed_version="3", hold=hold)


def test_the_head_leaves_when_the_runtime_begins(client: Client) -> None:
    assert client.reply is None
    begin(client)
    assert client.reply is not None
    assert dict(client.reply.headers) == {
        "Content-Type": "application/vnd.amazon.eventstream",
        "x-amzn-RequestId": "r",
        "X-Amz-Executed-Version": "3",
        "X-Amzn-Trace-Id": "Root=1",
        "x-amzn-Remapped-Content-Type": "text/plain",
    }
    assert client.body == b""


def test_pieces_are_events_and_the_end_is_one(client: Client) -> None:
    begin(client)
    client.answer.write(b"1")
    assert client.events() == [("PayloadChunk", b"1")]
    client.answer.complete(result())
    client.answer.write(b"late")
    assert client.events() == [("PayloadChunk", b"1"), ("InvokeComplete", b"{}")]
    assert client.is_over


def test_a_buffered_response_is_a_stream_of_its_own(client: Client) -> None:
    client.answer.complete(result(b'{"a":1}', log_tail=b"END"))
    assert client.reply is not None
    assert dict(client.reply.headers)["x-amzn-Remapped-Content-Type"] == "application/json"
    assert client.events() == [("PayloadChunk", b'{"a":1}'), ("InvokeComplete", b'{"LogResult":"RU5E"}')]


def test_an_error_is_in_the_last_event(client: Client) -> None:
    client.answer.complete(result(b'{"errorType":"X"}', function_error="Unhandled", log_tail=b"END"))
    [(name, payload)] = client.events()
    assert name == "InvokeComplete"
    assert json.loads(payload) == {
        "ErrorCode": "Unhandled",
        "ErrorDetails": '{"errorType":"X"}',
        "LogResult": "RU5E",
    }


def test_a_refusal_before_the_first_byte_is_an_error_of_the_api(client: Client) -> None:
    client.answer.complete(result(refusal=TooManyRequestsException("ConcurrentInvocationLimitExceeded")))
    assert client.reply is not None
    assert client.reply.status == 429


def test_a_refusal_after_the_first_byte_is_in_the_last_event(client: Client) -> None:
    begin(client)
    client.answer.complete(result(refusal=ServiceException("The server is stopping.")))
    [(_, payload)] = client.events()
    assert json.loads(payload) == {"ErrorCode": "ServiceException", "ErrorDetails": "The server is stopping."}


def test_a_client_that_is_slow_holds_the_runtime(client: Client) -> None:
    held: list[bool] = []
    begin(client, held.append)
    assert isinstance(client.reply, StreamedReply)
    client.reply.stream.hold(True)
    client.reply.stream.hold(False)
    assert held == [True, False]
