"""What every adapter of Destinations promises, against a real moto server, this server's own queue, and the fake; and
what each target gets to see.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from rie_server.destinations.dispatch import DestinationDispatcher
from rie_server.errors import DeliveryError, ResourceConflictException, ResourceNotFoundException
from rie_server.limits import ASYNC_PAYLOAD_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.destination_record import deliveries
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvokeRequest
from rie_server.ports import Destinations
from tests.conftest import free_port, wait_until
from tests.fakes.destinations import MemoryDestinations
from tests.servers.moto import ACCOUNT, REGION, MotoServer

ORDERS = FunctionArn(region=REGION, account=ACCOUNT, name="orders")
NEW_YEAR = 1_767_225_600.0
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:3"
PAYLOAD = '{"id": 7, "name": "Zoë \U0001f600", "price": 1.10}'.encode()
KINDS = ["sqs", "sns", "events", "s3", "lambda", "fake"]
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class FunctionQueue:
    """The catalog and the event queue of a server that has one function, ``after``."""

    def __init__(self) -> None:
        self.submitted: list[InvokeRequest] = []
        self.trouble: Exception | None = None
        self.refusal: Exception | None = None

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        if self.refusal is not None:
            raise self.refusal
        if function.name != "after":
            raise ResourceNotFoundException(f"Function not found: {function}")
        return None  # type: ignore[return-value]  # nobody looks at it

    def submit(self, request: InvokeRequest, on_durable: Callable[[Exception | None], None]) -> None:
        if self.trouble is None:
            self.submitted.append(request)
        on_durable(self.trouble)


class Setting:
    """One kind of target, with a way to look into it.

    Attributes:
        arn: of a target that exists.
        missing: the ARN of one that does not.
    """

    def __init__(self, kind: str, moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self._kind = kind
        self._moto = moto
        self._monkeypatch = monkeypatch
        self._name = f"{kind}-{uuid.uuid4().hex[:12]}"
        self.functions = FunctionQueue()
        self.fake = MemoryDestinations()
        self.arn, self.missing = self._targets()
        self._messages: list[dict[str, Any]] = []
        self._dispatchers: list[DestinationDispatcher] = []
        self.fake.refuse(self.missing, passes=False)

    def _targets(self) -> tuple[str, str]:
        if self._kind == "lambda":
            base = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"
            return f"{base}:after:live", f"{base}:gone"
        if self._kind == "fake":
            base = f"arn:aws:sqs:{REGION}:{ACCOUNT}"
            return f"{base}:{self._name}", f"{base}:gone"
        create = {
            "sqs": self._moto.create_queue,
            "sns": self._moto.create_topic,
            "events": self._moto.create_bus,
            "s3": self._moto.create_bucket,
        }
        arn = create[self._kind](self._name)
        return arn, arn.replace(self._name, f"gone-{self._name}")

    def destinations(self) -> Destinations:
        """Made anew, as by a server that starts."""
        if self._kind == "fake":
            return self.fake
        dispatcher = DestinationDispatcher(catalog=self.functions, submit=self.functions.submit)
        self._dispatchers.append(dispatcher)
        return dispatcher

    def cut_off(self) -> None:
        """The target cannot be reached until ``mend``."""
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        self.functions.trouble = OSError("disk full")
        self.fake.refuse(self.arn, passes=True)

    def mend(self) -> None:
        self._monkeypatch.setenv("AWS_ENDPOINT_URL", self._moto.url)
        self.functions.trouble = None
        self.fake.accept(self.arn)

    def received(self) -> list[Any]:
        """All records that have arrived so far, parsed."""
        if self._kind == "fake":
            records = [delivery.body for delivery in self.fake.delivered]
        elif self._kind == "lambda":
            records = [request.payload for request in self.functions.submitted]
        elif self._kind == "s3":
            records = list(self.objects().values())
        else:
            records = [message["Body"].encode() for message in self.messages()]
        parsed = [json.loads(record) for record in records]
        return [event["detail"] for event in parsed] if self._kind == "events" else parsed

    def messages(self) -> list[dict[str, Any]]:
        """All messages of the queue that is, or stands behind, the target."""
        self._messages += self._moto.messages(self._name)
        return self._messages

    def objects(self) -> dict[str, bytes]:
        return self._moto.objects(self._name)

    def delete_queue(self) -> None:
        self._moto.client("sqs").delete_queue(QueueUrl=f"{self._moto.url}/{ACCOUNT}/{self._name}")

    def create_queue(self) -> None:
        self._moto.create_queue(self._name)

    def close(self) -> None:
        for dispatcher in self._dispatchers:
            dispatcher.close()


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
def make_setting(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Setting]]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    settings: list[Setting] = []

    def make(kind: str) -> Setting:
        settings.append(Setting(kind, moto, monkeypatch))
        return settings[-1]

    yield make
    for setting in settings:
        setting.close()


@pytest.fixture(params=KINDS)
def setting(request: pytest.FixtureRequest, make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting(request.param)


def ended(
    config: EventInvokeConfig, *, succeeded: bool = False, payload: bytes = PAYLOAD, request_id: str | None = None
) -> tuple[Delivery, ...]:
    """The deliveries of an event of ``orders`` that has ended now."""
    request = InvokeRequest(
        function=ORDERS, payload=payload, request_id=request_id or str(uuid.uuid4()), trace_header=TRACE
    )
    ending = EventEnding(
        condition=EndingCondition.SUCCESS if succeeded else EndingCondition.RETRIES_EXHAUSTED,
        status_code=200,
        invoke_count=1 if succeeded else 3,
        function_error=None if succeeded else "Unhandled",
        executed_version="$LATEST",
        response_payload=b'"well"' if succeeded else b'{"errorMessage":"no stock","errorType":"ValueError"}',
    )
    return deliveries(QueuedEvent(request=request, enqueued_at=NEW_YEAR - 60), ending, config, now=NEW_YEAR)


def failure(target_arn: str, **event: Any) -> Delivery:
    (delivery,) = ended(EventInvokeConfig(on_failure=target_arn), **event)
    return delivery


def success(target_arn: str, **event: Any) -> Delivery:
    (delivery,) = ended(EventInvokeConfig(on_success=target_arn), succeeded=True, **event)
    return delivery


def dead_letter(target_arn: str, **event: Any) -> Delivery:
    (delivery,) = ended(EventInvokeConfig(dead_letter=target_arn), **event)
    return delivery


def refusal(destinations: Destinations, delivery: Delivery) -> DeliveryError:
    with pytest.raises(DeliveryError) as refused:
        destinations.deliver(delivery)
    return refused.value


def arrived(setting: Setting, count: int = 1) -> list[Any]:
    """What has arrived once there are ``count`` records: a topic and a bus hand on in their own time."""
    found: list[Any] = []

    def look() -> bool:
        found[:] = setting.received()
        return len(found) >= count

    wait_until(look, what=f"{count} records at {setting.arn}")
    return found


# --- every target -----------------------------------------------------------------------------------------------------


def test_a_record_arrives_as_it_is(setting: Setting) -> None:
    delivery = failure(setting.arn)

    setting.destinations().deliver(delivery)

    assert arrived(setting) == [json.loads(delivery.body)]


def test_a_target_that_does_not_exist_is_not_worth_another_try(setting: Setting) -> None:
    refused = refusal(setting.destinations(), failure(setting.missing))

    assert not refused.passes
    assert setting.missing in str(refused)


def test_a_target_that_cannot_be_reached_is_worth_another_try(setting: Setting) -> None:
    setting.cut_off()
    assert refusal(setting.destinations(), failure(setting.arn)).passes

    setting.mend()
    delivery = failure(setting.arn)
    setting.destinations().deliver(delivery)
    assert arrived(setting) == [json.loads(delivery.body)]


def test_many_threads_deliver_at_once_from_a_cold_start(setting: Setting) -> None:
    destinations = setting.destinations()
    sent = [failure(setting.arn) for _ in range(24)]

    with ThreadPoolExecutor(8, thread_name_prefix="deliver") as threads:
        list(threads.map(destinations.deliver, sent))

    found = arrived(setting, len(sent))
    assert sorted(record["requestContext"]["requestId"] for record in found) == sorted(
        delivery.request_id for delivery in sent
    )


# --- what each target gets to see -------------------------------------------------------------------------------------


@pytest.fixture
def queue(make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting("sqs")


@pytest.fixture
def topic(make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting("sns")


@pytest.fixture
def bus(make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting("events")


@pytest.fixture
def bucket(make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting("s3")


@pytest.fixture
def function(make_setting: Callable[[str], Setting]) -> Setting:
    return make_setting("lambda")


def only_message(setting: Setting) -> Mapping[str, Any]:
    messages: list[dict[str, Any]] = wait_until(setting.messages, what="a message")
    assert len(messages) == 1
    return messages[0]


def test_a_queue_gets_the_record_and_the_trace_header(queue: Setting) -> None:
    delivery = success(queue.arn)
    queue.destinations().deliver(delivery)

    message = only_message(queue)
    assert message["Body"] == delivery.body.decode()
    assert message["Attributes"]["AWSTraceHeader"] == delivery.trace_header
    assert "MessageAttributes" not in message


def test_a_queue_gets_a_dead_letter_with_its_attributes(queue: Setting) -> None:
    delivery = dead_letter(queue.arn)
    queue.destinations().deliver(delivery)

    message = only_message(queue)
    assert message["Body"].encode() == PAYLOAD
    assert message["Attributes"]["AWSTraceHeader"] == delivery.trace_header
    assert message["MessageAttributes"] == {
        "RequestID": {"DataType": "String", "StringValue": delivery.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "no stock"},
    }


def test_an_event_without_a_trace_is_delivered_without_one(queue: Setting) -> None:
    queue.destinations().deliver(replace(failure(queue.arn), trace_header=""))

    assert "AWSTraceHeader" not in only_message(queue).get("Attributes", {})


def test_a_queue_that_was_deleted_and_made_again_gets_records_again(queue: Setting) -> None:
    destinations = queue.destinations()
    destinations.deliver(failure(queue.arn))
    queue.delete_queue()
    assert not refusal(destinations, failure(queue.arn)).passes

    queue.create_queue()
    delivery = failure(queue.arn)
    destinations.deliver(delivery)
    assert arrived(queue) == [json.loads(delivery.body)]


def test_a_topic_gets_a_dead_letter_with_its_attributes(topic: Setting) -> None:
    delivery = dead_letter(topic.arn)
    topic.destinations().deliver(delivery)

    message = only_message(topic)
    assert message["Body"].encode() == PAYLOAD
    assert {name: one["StringValue"] for name, one in message["MessageAttributes"].items()} == {
        "RequestID": delivery.request_id,
        "ErrorCode": "200",
        "ErrorMessage": "no stock",
    }


def test_a_message_too_large_for_a_topic_is_not_worth_another_try(topic: Setting) -> None:
    delivery = success(topic.arn, payload=json.dumps("x" * 300_000).encode())

    assert not refusal(topic.destinations(), delivery).passes


def test_a_failure_too_large_for_a_topic_still_arrives(topic: Setting) -> None:
    delivery = failure(topic.arn, payload=json.dumps("x" * 300_000).encode())
    topic.destinations().deliver(delivery)

    assert arrived(topic)[0]["requestContext"]["requestId"] == delivery.request_id


@pytest.mark.parametrize(("send", "word"), [(success, "Success"), (failure, "Failure")])
def test_a_bus_gets_an_event_of_lambda(bus: Setting, send: Callable[[str], Delivery], word: str) -> None:
    delivery = send(bus.arn)
    bus.destinations().deliver(delivery)

    event = json.loads(only_message(bus)["Body"])
    assert event["source"] == "lambda"
    assert event["detail-type"] == f"Lambda Function Invocation Result - {word}"
    assert event["detail"] == json.loads(delivery.body)
    assert event["resources"] == [bus.arn, f"{ORDERS}:$LATEST"]
    assert event["time"] == "2026-01-01T00:00:00Z"


def test_a_bucket_gets_an_object_under_awss_key(bucket: Setting) -> None:
    delivery = failure(bucket.arn)
    bucket.destinations().deliver(delivery)

    ((key, body),) = bucket.objects().items()
    assert re.fullmatch(rf"aws/lambda/async/orders/2026/01/01/2026-01-01T00\.00\.00-{UUID}", key)
    assert body == delivery.body


def test_events_that_ended_together_are_objects_of_their_own(bucket: Setting) -> None:
    destinations = bucket.destinations()
    for _ in range(3):
        destinations.deliver(failure(bucket.arn))

    assert len(bucket.objects()) == 3


def test_a_repeated_delivery_writes_the_same_object(bucket: Setting) -> None:
    delivery = failure(bucket.arn)
    for destinations in (bucket.destinations(), bucket.destinations()):
        destinations.deliver(delivery)

    assert len(bucket.objects()) == 1


def test_a_function_is_invoked_with_the_record_and_its_lineage(function: Setting) -> None:
    delivery = success(function.arn)
    function.destinations().deliver(delivery)

    (request,) = function.functions.submitted
    assert str(request.function) == function.arn
    assert request.payload == delivery.body
    assert request.trace_header == delivery.trace_header
    assert re.fullmatch(UUID, request.request_id)
    assert request.request_id != delivery.request_id


def test_a_function_that_is_not_ready_is_worth_another_try(function: Setting) -> None:
    function.functions.refusal = ResourceConflictException("Pending")

    assert refusal(function.destinations(), failure(function.arn)).passes


def test_a_record_too_large_for_a_function_is_not_worth_another_try(function: Setting) -> None:
    delivery = failure(function.arn, payload=json.dumps("x" * ASYNC_PAYLOAD_BYTES).encode())

    assert not refusal(function.destinations(), delivery).passes
    assert function.functions.submitted == []


@pytest.mark.parametrize("arn", ["", "gone", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/ended"])
def test_what_is_no_target_gets_nothing(queue: Setting, arn: str) -> None:
    assert not refusal(queue.destinations(), replace(failure(queue.arn), target_arn=arn)).passes


def test_a_dead_letter_goes_to_queues_and_topics_alone(bus: Setting) -> None:
    delivery = replace(failure(bus.arn), kind=DeliveryKind.DEAD_LETTER)

    assert not refusal(bus.destinations(), delivery).passes


def test_a_failure_goes_to_the_destination_and_to_the_dead_letter_queue(queue: Setting, topic: Setting) -> None:
    destinations = queue.destinations()
    for delivery in ended(EventInvokeConfig(on_failure=topic.arn, dead_letter=queue.arn)):
        destinations.deliver(delivery)

    assert only_message(queue)["Body"].encode() == PAYLOAD
    assert json.loads(only_message(topic)["Body"])["requestContext"]["condition"] == "RetriesExhausted"
