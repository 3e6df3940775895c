"""What becomes of a delivery when the target answers badly, late or not at all, and with whose keys it is signed.

The target is a small HTTP server of the test's own that answers whatever it is told to.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rie_server import aws_clients
from rie_server.destinations import function
from rie_server.destinations.dispatch import DestinationDispatcher
from rie_server.destinations.refusals import answered
from rie_server.errors import DeliveryError
from rie_server.model.arn import FunctionArn
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest

SCOPE = "eu-west-1:123456789012"
QUEUE = f"arn:aws:sqs:{SCOPE}:ended"
TOPIC = f"arn:aws:sns:{SCOPE}:ended"
BUS = f"arn:aws:events:{SCOPE}:event-bus/ended"
AFTER = f"arn:aws:lambda:{SCOPE}:function:after"
BUCKET = "arn:aws:s3:::ended"
HANG = -1
BREAK_OFF = -2


@dataclass(kw_only=True)
class BadTarget:
    """
    Attributes:
        status: of every answer, or HANG or BREAK_OFF.
        seen: the headers of every request.
    """

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    seen: list[Mapping[str, str]] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)

    def answers(self, status: int, error: str | None = None, **members: Any) -> None:
        self.status = status
        self.body = json.dumps(members if error is None else {"__type": error, "message": "no", **members}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        target: BadTarget = self.server.target  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        target.seen.append(dict(self.headers.items()))
        if target.status == HANG:
            target.end.wait(30)
        if target.status < 0:
            self.close_connection = True
            return
        self.send_response(target.status)
        self.send_header("Content-Length", str(len(target.body)))
        self.end_headers()
        self.wfile.write(target.body)

    do_PUT = do_GET = do_POST  # noqa: N815 - the names that http.server asks for

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadTarget]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bad = BadTarget(url=f"http://127.0.0.1:{server.server_address[1]}")
    server.target = bad  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, name="target", kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", bad.url)
    yield bad
    bad.end.set()
    server.shutdown()
    thread.join()
    server.server_close()


class OneFunction:
    """A catalog in which every function is there, and a queue that never says that an event is durable."""

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        return None  # type: ignore[return-value]  # nobody looks at it

    def submit(self, request: InvokeRequest, on_durable: Callable[[Exception | None], None]) -> None: ...


@pytest.fixture
def destinations() -> Iterator[DestinationDispatcher]:
    functions = OneFunction()
    dispatcher = DestinationDispatcher(catalog=functions, submit=functions.submit)
    yield dispatcher
    dispatcher.close()


def record(target_arn: str) -> Delivery:
    return Delivery(
        kind=DeliveryKind.ON_FAILURE,
        target_arn=target_arn,
        request_id="6d4a1b34-23b4-4d0c-9c4c-3d2f3a5d9d10",
        function=FunctionArn(region="eu-west-1", account="123456789012", name="orders", qualifier="$LATEST"),
        body=b"{}",
        trace_header="",
        at=1_767_225_600.0,
    )


def refusal(destinations: DestinationDispatcher, target_arn: str = QUEUE) -> DeliveryError:
    with pytest.raises(DeliveryError) as refused:
        destinations.deliver(record(target_arn))
    assert target_arn in str(refused.value)
    return refused.value


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, BUS, BUCKET])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_target_in_trouble_is_asked_once_and_worth_another_try(
    target: BadTarget, destinations: DestinationDispatcher, arn: str, status: int
) -> None:
    target.status, target.body = status, b"<html>Bad Gateway</html>"

    assert refusal(destinations, arn).passes
    assert len(target.seen) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "RequestThrottled", "OverLimit", "KmsThrottled"])
def test_a_throttle_is_worth_another_try(target: BadTarget, destinations: DestinationDispatcher, code: str) -> None:
    target.answers(400, f"com.amazonaws.sqs#{code}")

    assert refusal(destinations).passes


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "AccessDeniedException"), (400, "InvalidMessageContents"), (400, "KmsAccessDenied"), (404, "NotFound")],
)
def test_an_answer_is_not_worth_another_try(
    target: BadTarget, destinations: DestinationDispatcher, status: int, code: str
) -> None:
    target.answers(status, f"com.amazonaws.sqs#{code}")

    refused = refusal(destinations)
    assert not refused.passes
    assert code in str(refused)


@pytest.mark.parametrize(
    ("code", "passes"),
    [("ThrottlingException", True), ("InternalFailure", True), ("AccessDeniedException", False), (None, False)],
)
def test_an_event_that_a_bus_does_not_take_is_a_failure(
    target: BadTarget, destinations: DestinationDispatcher, code: str | None, passes: bool
) -> None:
    entry = {} if code is None else {"ErrorCode": code, "ErrorMessage": "no"}
    target.answers(200, FailedEntryCount=1, Entries=[entry])

    assert refusal(destinations, BUS).passes is passes


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, BUS, BUCKET])
def test_a_target_that_does_not_answer_costs_its_timeout_and_is_worth_another_try(
    target: BadTarget, destinations: DestinationDispatcher, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_clients, "READ_TIMEOUT_SECONDS", 0.3)
    target.status = HANG
    started = time.monotonic()

    assert refusal(destinations, arn).passes
    assert time.monotonic() - started < 5
    assert len(target.seen) == 1


def test_the_longest_delivery_fits_into_what_the_port_promises() -> None:
    addresses_of_a_name, calls = 2, 2
    one_call = addresses_of_a_name * aws_clients.CONNECT_TIMEOUT_SECONDS + aws_clients.READ_TIMEOUT_SECONDS
    assert calls * one_call <= 30
    assert function.DURABLE_SECONDS <= 30


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, BUS, BUCKET])
def test_a_connection_that_breaks_off_is_worth_another_try(
    target: BadTarget, destinations: DestinationDispatcher, arn: str
) -> None:
    target.status = BREAK_OFF

    assert refusal(destinations, arn).passes


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, BUS, BUCKET])
def test_a_page_instead_of_an_answer_is_no_success(
    target: BadTarget, destinations: DestinationDispatcher, arn: str
) -> None:
    target.status, target.body = 200, b"<html>Log in to the network</html>"

    assert refusal(destinations, arn).passes


def test_a_queue_is_asked_for_its_url_once_and_again_after_a_failure(
    target: BadTarget, destinations: DestinationDispatcher
) -> None:
    def asked() -> list[str]:
        operations = [headers["X-Amz-Target"].removeprefix("AmazonSQS.") for headers in target.seen]
        target.seen.clear()
        return operations

    target.answers(200, QueueUrl=f"{target.url}/123456789012/ended", MessageId="1")
    destinations.deliver(record(QUEUE))
    destinations.deliver(record(QUEUE))
    assert asked() == ["GetQueueUrl", "SendMessage", "SendMessage"]

    target.status = 503
    assert refusal(destinations).passes
    target.status = 200
    destinations.deliver(record(QUEUE))
    assert asked() == ["SendMessage", "GetQueueUrl", "SendMessage"]


def test_an_endpoint_that_is_no_url_is_not_worth_another_try(
    target: BadTarget, destinations: DestinationDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://no host:x")

    assert not refusal(destinations).passes


def test_a_queue_of_this_server_that_does_not_answer_is_worth_another_try(
    destinations: DestinationDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "DURABLE_SECONDS", 0.05)

    assert refusal(destinations, AFTER).passes


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "SlowDown", "RequestTimeout"])
def test_what_somebody_puts_right_is_worth_another_try(code: str) -> None:
    assert answered(QUEUE, {"Code": code, "Message": "no"}, 400).passes


# --- keys -------------------------------------------------------------------------------------------------------------


def signed_by(target: BadTarget) -> set[str]:
    return {headers["Authorization"].split("Credential=")[1].split("/")[0] for headers in target.seen}


def test_an_emulator_needs_no_keys_and_no_cloud_instance_is_asked_for_them(
    target: BadTarget, destinations: DestinationDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", target.url)
    target.answers(200, FailedEntryCount=0, Entries=[])

    destinations.deliver(record(BUS))

    assert len(target.seen) == 1
    assert signed_by(target) == {"local"}


def test_keys_that_are_configured_are_used(
    target: BadTarget, destinations: DestinationDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    target.answers(200, FailedEntryCount=0, Entries=[])

    destinations.deliver(record(BUS))

    assert signed_by(target) == {"theirs"}


@pytest.mark.parametrize("arn", [QUEUE, TOPIC, BUS, BUCKET])
def test_aws_never_sees_keys_that_are_made_up(
    target: BadTarget, destinations: DestinationDispatcher, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    refused = refusal(destinations, arn)

    assert "NoCredentialsError" in str(refused)
    assert not refused.passes


@pytest.mark.parametrize(
    ("url", "is_aws"),
    [
        ("https://sqs.eu-west-1.amazonaws.com", True),
        ("https://sqs.cn-north-1.amazonaws.com.cn", True),
        ("https://vpce-1a2b-sqs.sqs.eu-west-1.vpce.amazonaws.com", True),
        ("https://sqs.eu-west-1.api.aws", True),
        ("http://localhost:4566", False),
        ("http://amazonaws.com.example.org", False),
        ("http://notamazonaws.com", False),
        ("http://[::1]:4566", False),
    ],
)
def test_aws_is_told_from_an_emulator_by_its_domain(url: str, is_aws: bool) -> None:
    assert aws_clients.is_aws(url) is is_aws


class CountedClient:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_all_threads_share_a_client_and_the_others_that_were_made_meanwhile_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[CountedClient] = []
    all_are_making = threading.Barrier(6)

    def make(_clients: aws_clients.ServiceClients, service: str, region: str) -> tuple[CountedClient, None, None]:
        all_are_making.wait(10)
        made.append(CountedClient())
        return made[-1], None, None

    monkeypatch.setattr(aws_clients.ServiceClients, "_make", make)
    service_clients = aws_clients.ServiceClients()
    with ThreadPoolExecutor(6, thread_name_prefix="look") as threads:
        found = [threads.submit(service_clients.client, "sqs", "eu-west-1") for _ in range(6)]
        (shared,) = {future.result() for future in found}
    assert len(made) == 6
    assert [client.closed for client in made if client is not shared] == [1] * 5
    assert shared.closed == 0

    service_clients.close()
    service_clients.close()
    assert shared.closed == 1


def test_each_region_has_a_client_of_its_own_and_a_closed_one_is_made_anew(target: BadTarget) -> None:
    service_clients = aws_clients.ServiceClients()
    first = service_clients.client("sqs", "eu-west-1")
    assert service_clients.client("sqs", "eu-west-1") is first
    assert service_clients.client("sqs", "us-east-1").meta.region_name == "us-east-1"

    service_clients.close()
    assert service_clients.client("sqs", "eu-west-1") is not first
    service_clients.close()
