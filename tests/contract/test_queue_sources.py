"""What every adapter of QueueSource promises to its poller: SQS over two emulators, and the fake."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import SqsModel

from rie_server.aws_clients import ServiceClients
from rie_server.clock.system import SystemClock
from rie_server.errors import InvalidParameterValueException, SourceError
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import SourceKind, SourceRecord
from rie_server.pollers.queue_pollers import HidingQueue
from rie_server.sources.sqs import SqsSource
from rie_server.sources.sqs_inspector import SqsInspector
from tests.conftest import free_port, wait_until
from tests.fakes.queue_source import FakeQueue
from tests.servers.fauxqs import FauxqsServer
from tests.servers.moto import MotoServer
from tests.unit.event_sources.mappings import mapping_of

EMULATORS = ["moto", "fauxqs"]
VISIBILITY = 1
MISSING = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
    "SQS Error Message: The specified queue does not exist."
)


class Emulators:
    """Started when they are first asked for."""

    def __init__(self) -> None:
        self._started: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        if name not in self._started:
            server = MotoServer() if name == "moto" else FauxqsServer()
            self._started[name] = server.__enter__()
        return self._started[name]

    def close(self) -> None:
        for server in self._started.values():
            server.close()


@pytest.fixture(scope="module")
def emulators() -> Iterator[Emulators]:
    started = Emulators()
    yield started
    started.close()


class Setting:
    """One queue with somebody who sends to it.

    Attributes:
        source: under test.
    """

    def __init__(self, kind: str, emulators: Emulators, *, fifo: bool, clients: ServiceClients) -> None:
        self.is_fake = kind == "fake"
        self._fifo = fifo
        self.name = f"{kind}-{uuid.uuid4().hex[:12]}" + (".fifo" if fifo else "")
        self.source: HidingQueue
        if self.is_fake:
            self.source = FakeQueue(visibility_seconds=VISIBILITY)
            return
        server = emulators.get(kind)
        self.sqs = server.sqs if kind == "fauxqs" else server.client("sqs")
        self.arn = ""
        self.create()
        self.source = SqsSource(self.arn, clients=clients, real=SystemClock())

    def create(self) -> None:
        attributes = {"VisibilityTimeout": str(VISIBILITY)}
        if self._fifo:
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        self.url = self.sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]
        got = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn = got["Attributes"]["QueueArn"]

    def delete(self) -> None:
        self.sqs.delete_queue(QueueUrl=self.url)

    def send(self, *bodies: str, group: str | None = None, **members: Any) -> None:
        if isinstance(self.source, FakeQueue):
            self.source.put(*bodies, lane=group)
            return
        for body in bodies:
            grouped = {"MessageGroupId": group} if group else {}
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **grouped, **members)

    def receive_all(self, count: int, *, seconds: float = 10.0) -> list[SourceRecord]:
        """Receives until there are ``count`` messages."""
        got: list[SourceRecord] = []

        def look() -> bool:
            got.extend(self.source.receive(10, 1))
            return len(got) >= count

        wait_until(look, seconds=seconds, what=f"{count} messages")
        return got


Make = Callable[..., Setting]


@pytest.fixture
def clients() -> Iterator[ServiceClients]:
    made = ServiceClients(long_poll_seconds=20)
    yield made
    made.close()


@pytest.fixture
def make(emulators: Emulators, clients: ServiceClients, monkeypatch: pytest.MonkeyPatch) -> Make:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    def setting(kind: str, *, fifo: bool = False) -> Setting:
        if kind != "fake":
            monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", emulators.get(kind).url)
        return Setting(kind, emulators, fifo=fifo, clients=clients)

    return setting


@pytest.fixture(params=[*EMULATORS, "fake"])
def setting(request: pytest.FixtureRequest, make: Make) -> Setting:
    return make(request.param)


@pytest.fixture(params=[*EMULATORS, "fake"])
def fifo(request: pytest.FixtureRequest, make: Make) -> Setting:
    return make(request.param, fifo=True)


@pytest.fixture(params=EMULATORS)
def sqs(request: pytest.FixtureRequest, make: Make) -> Setting:
    return make(request.param)


def bodies(records: Any) -> list[str]:
    return [record.document["body"] for record in records]


# --- every queue ------------------------------------------------------------------------------------------------------


def test_messages_are_received_hidden_and_deleted(setting: Setting) -> None:
    setting.send("a", "b")

    records = setting.receive_all(2)
    assert sorted(bodies(records)) == ["a", "b"]
    assert len({record.identifier for record in records}) == 2
    assert not setting.source.receive(10, 0), "they are hidden"
    assert not setting.source.acknowledge(records)

    time.sleep(VISIBILITY + 0.2)
    assert not setting.source.receive(10, 0), "they are deleted"


def test_messages_that_are_not_deleted_come_again(setting: Setting) -> None:
    setting.send("a")
    records = setting.receive_all(1)
    setting.source.release(records)

    again = setting.receive_all(1)

    assert again[0].identifier == records[0].identifier
    assert again[0].document["attributes"]["ApproximateReceiveCount"] == "2"


def test_no_more_messages_come_than_were_asked_for(setting: Setting) -> None:
    setting.send(*"abcde")

    assert 1 <= len(setting.source.receive(2, 1)) <= 2
    assert len(setting.source.receive(100, 1)) <= 10


def test_an_empty_queue_is_listened_to_until_a_message_comes(setting: Setting) -> None:
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        listening = pool.submit(setting.source.receive, 10, 5)
        time.sleep(0.3)
        setting.send("a")
        assert bodies(listening.result(10)) == ["a"]
    assert time.monotonic() - began < 4


def test_listening_ends_when_nothing_comes(setting: Setting) -> None:
    began = time.monotonic()

    assert not setting.source.receive(10, 1)
    assert 0.9 <= time.monotonic() - began < 4


def test_the_backlog_is_what_waits(setting: Setting) -> None:
    setting.send(*"abc")

    wait_until(lambda: setting.source.backlog() == 3)


def test_a_queue_says_for_how_long_it_hides_messages(setting: Setting) -> None:
    setting.source.receive(1, 0)

    assert setting.source.hold_seconds() == VISIBILITY


def test_several_threads_receive_at_a_time_and_none_gets_what_another_has(setting: Setting) -> None:
    setting.send(*[str(number) for number in range(30)])

    def drain() -> list[str]:
        mine: list[str] = []
        while got := setting.source.receive(10, 0):
            mine += bodies(got)
            assert not setting.source.acknowledge(got)
        return mine

    with ThreadPoolExecutor(3) as pool:
        shares = [pool.submit(drain) for _ in range(3)]
        everything = [body for share in shares for body in share.result(30)]
    assert sorted(everything, key=int) == [str(number) for number in range(30)]


def test_messages_of_a_group_come_in_order_and_wait_for_one_another(fifo: Setting) -> None:
    fifo.send("a0", "a1", "a2", group="a")
    fifo.send("b0", group="b")
    got: list[SourceRecord] = []
    seen: list[str] = []

    def look() -> bool:
        records = fifo.source.receive(10, 1)
        got.extend(records)
        seen.extend(bodies(records))
        assert not fifo.source.acknowledge(records)
        return len(seen) >= 4

    wait_until(look, seconds=20)
    assert [body for body in seen if body.startswith("a")] == ["a0", "a1", "a2"]
    assert {record.lane for record in got} == {"a", "b"}


# --- SQS --------------------------------------------------------------------------------------------------------------


def test_records_are_what_aws_hands_to_functions(sqs: Setting) -> None:
    attributes = {
        "Author": {"DataType": "String", "StringValue": "Zoë"},
        "Count": {"DataType": "Number", "StringValue": "3"},
        "Bin": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sqs.send("plain")
    sqs.send('{"name": "Zoë"}', MessageAttributes=attributes)
    records = sorted(sqs.receive_all(2), key=lambda record: record.document["body"])

    event = json.loads(json.dumps(sqs.source.event(records)))
    SqsModel.model_validate(event)
    plain, full = event["Records"]
    assert set(plain) == {
        *("messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfMessageAttributes"),
        *("md5OfBody", "eventSource", "eventSourceARN", "awsRegion"),
    }
    assert plain["md5OfMessageAttributes"] is None
    assert plain["messageAttributes"] == {}
    assert plain["body"] == "plain"
    assert {"ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(
        plain["attributes"]
    )
    assert (plain["eventSource"], plain["eventSourceARN"]) == ("aws:sqs", sqs.arn)
    assert plain["awsRegion"] == sqs.arn.split(":")[3]
    empty = {"stringListValues": [], "binaryListValues": []}
    assert full["messageAttributes"] == {
        "Author": {"stringValue": "Zoë", **empty, "dataType": "String"},
        "Count": {"stringValue": "3", **empty, "dataType": "Number"},
        "Bin": {"binaryValue": base64.b64encode(b"\x00\xff").decode(), **empty, "dataType": "Binary"},
    }
    assert len(full["md5OfMessageAttributes"]) == 32
    for record in records:
        assert record.size_bytes == len(json.dumps(record.document, ensure_ascii=False, separators=(",", ":")).encode())


def test_records_of_a_fifo_queue_carry_group_and_sequence(make: Make) -> None:
    fifo = make("fauxqs", fifo=True)  # moto has no sequence numbers
    fifo.send("a", group="g")

    record = fifo.receive_all(1)[0]

    assert record.lane == "g"
    SqsModel.model_validate(fifo.source.event([record]))
    assert {"MessageGroupId", "MessageDeduplicationId", "SequenceNumber"} <= set(record.document["attributes"])


def test_more_than_ten_messages_are_deleted_at_once(sqs: Setting) -> None:
    sqs.send(*[str(number) for number in range(23)])
    records = sqs.receive_all(23)

    assert not sqs.source.acknowledge(records)
    wait_until(lambda: sqs.source.backlog() == 0)


def test_a_missing_queue_is_said_in_the_words_of_aws(sqs: Setting) -> None:
    sqs.delete()

    with pytest.raises(SourceError) as refused:
        sqs.source.receive(1, 0)
    assert "SQS Error Code: AWS.SimpleQueueService.NonExistentQueue" in str(refused.value)
    assert not refused.value.passes


def test_a_queue_that_was_made_anew_is_found_again(sqs: Setting) -> None:
    sqs.source.receive(1, 0)
    sqs.delete()
    sqs.create()
    sqs.send("new")

    assert bodies(sqs.receive_all(1)) == ["new"]


def test_a_queue_that_cannot_be_reached_is_a_trouble_that_passes(
    make: Make, clients: ServiceClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{free_port()}")
    queue = SqsSource("arn:aws:sqs:eu-west-1:000000000000:gone", clients=clients, real=SystemClock())

    with pytest.raises(SourceError) as refused:
        queue.receive(1, 0)
    assert refused.value.passes


# --- the inspector ----------------------------------------------------------------------------------------------------


class OneFunction:
    """A catalog whose every function may run for ``timeout_seconds``."""

    def __init__(self, timeout_seconds: int) -> None:
        self.timeout_seconds = timeout_seconds

    def resolve(self, function: FunctionArn) -> Any:
        return self

    def allows_recursion(self, function: FunctionArn) -> bool:
        return False


def refusal(sqs: Setting, clients: ServiceClients, *, timeout_seconds: int) -> str | None:
    inspector = SqsInspector(clients=clients, catalog=OneFunction(timeout_seconds), real=SystemClock())
    try:
        inspector.check(mapping_of(SourceKind.SQS, EventSourceArn=sqs.arn))
    except InvalidParameterValueException as refused:
        return refused.message
    return None


def test_a_queue_that_is_there_may_be_mapped(sqs: Setting, clients: ServiceClients) -> None:
    assert refusal(sqs, clients, timeout_seconds=VISIBILITY) is None


def test_a_missing_queue_may_not_be_mapped(sqs: Setting, clients: ServiceClients) -> None:
    sqs.delete()

    assert refusal(sqs, clients, timeout_seconds=1) == MISSING


def test_a_queue_that_hides_messages_for_less_than_the_function_runs_may_not_be_mapped(
    sqs: Setting, clients: ServiceClients
) -> None:
    expected = "Queue visibility timeout: 1 seconds is less than Function timeout: 3 seconds"
    assert refusal(sqs, clients, timeout_seconds=3) == expected
