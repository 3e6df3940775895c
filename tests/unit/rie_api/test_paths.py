"""The server's own paths, from request to reply, without a server."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.rie_api.clock import ClockOperations
from rie_server.api.rie_api.events import EventOperations
from rie_server.api.rie_api.mappings import MappingOperations
from rie_server.api.rie_api.paths import RieApi
from rie_server.clock.server_time import ServerTime
from rie_server.config import Settings
from rie_server.errors import (
    InvalidParameterValueException,
    InvalidRequestContentException,
    LambdaError,
    ResourceConflictException,
    ResourceNotFoundException,
)
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding
from rie_server.model.event_progress import DeliveryOutcome, EventFilter, EventProgress, EventState
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.model.invocation import InvokeRequest
from rie_server.telemetry.event_log import EventLog
from tests.fakes.clock import FakeClock
from tests.unit.event_sources.mappings import mapping_of

OTHER_UUID = "22222222-2222-4222-8222-222222222222"
FUNCTION = FunctionArn(region="us-east-1", account="000000000000", name="orders", qualifier="live")


class Connection:
    local_address = ("127.0.0.1", 9000)
    peer_address = "127.0.0.1"

    def is_alive(self) -> bool:
        return True


class Queue:
    """Fills ``observing.EventSurvey`` with one event."""

    def __init__(self) -> None:
        self.live = [
            EventProgress(
                request_id="r",
                function=FUNCTION,
                state=EventState.RETRYING,
                enqueued_at=1_767_225_600.0,
                attempts=1,
                refusals=0,
                due_at=1_767_225_660.5,
            )
        ]
        self.limits: list[int] = []

    def live_events(self, wanted: EventFilter, *, limit: int) -> Sequence[EventProgress]:
        self.limits.append(limit)
        return [one for one in self.live if wanted.takes(one)]


class Mappings:
    """Fills what ``MappingOperations`` asks for, with what a test puts in."""

    def __init__(self) -> None:
        self.all: list[EventSourceMapping] = []
        self.described: dict[str, dict[str, Any]] = {}

    def everything(self) -> Sequence[EventSourceMapping]:
        return self.all

    def last_result(self, mapping: EventSourceMapping) -> str | None:
        return f"last result of {mapping.function.name}"

    def describe(self, uuid: str) -> dict[str, Any]:
        return self.described.get(uuid, {})

    def counts(self, uuid: str) -> dict[str, int]:
        return {"invoked": len(self.described.get(uuid, {}))}


class Api:
    def __init__(self, tmp_path: Path, clock: str) -> None:
        self.real = FakeClock()
        self.queue = Queue()
        self.time = ServerTime(Settings(clock=clock, data_dir=tmp_path), self.real)
        self.mappings = Mappings()
        self.log = EventLog(survey=self.queue, clock=self.time.clock)
        self._api = RieApi(
            clock=ClockOperations(self.time),
            events=EventOperations(events=self.log, real=self.real),
            mappings=MappingOperations(
                mappings=self.mappings, describe=self.mappings.describe, counts=self.mappings.counts
            ),
            function_urls=lambda request: Reply(200, (), request.path.encode()),
            metrics=lambda accept: (f"text/plain; for={accept}", b"Invocations_total 1\n"),
        )

    def __call__(self, method: str, path: str, *, query: str = "", body: Any = None) -> Reply | Deferred | None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self._api(Request(method, path, query, {"accept": "x"}, data, Connection()))

    def json(self, *arguments: str, **more: Any) -> dict[str, Any]:
        reply = self(*arguments, **more)
        assert isinstance(reply, Reply)
        assert reply.status == 200
        assert dict(reply.headers)["Content-Type"] == "application/json"
        return json.loads(reply.body)

    def wait(self, **body: Any) -> Deferred:
        deferred = self("POST", "/_rie/events/r/wait", body=body)
        assert isinstance(deferred, Deferred)
        return deferred

    def end(self, ending: EventEnding, *outcomes: DeliveryOutcome) -> None:
        request = InvokeRequest(function=FUNCTION, payload=b"{}", request_id="r")
        self.log.ended(QueuedEvent(request=request, enqueued_at=1_767_225_600.0, attempts=1), ending, outcomes)
        self.queue.live.clear()


@pytest.fixture
def api(tmp_path: Path) -> Api:
    return Api(tmp_path, "manual")


def body_of(deferred: Deferred) -> tuple[int, dict[str, Any]]:
    reply = deferred.wait(0)
    assert reply is not None, "nobody has answered"
    return reply.status, json.loads(reply.body)


def test_health_and_metrics_are_told_to_whoever_asks(api: Api) -> None:
    assert api.json("GET", "/_rie/health") == {"status": "ok"}
    reply = api("GET", "/metrics")
    assert isinstance(reply, Reply)
    assert (reply.headers, reply.body) == ((("Content-Type", "text/plain; for=x"),), b"Invocations_total 1\n")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_rie"),
        ("POST", "/_rie/health"),
        ("PUT", "/_rie/clock"),
        ("GET", "/_rie/events/r"),
        ("GET", "/_rie/events/r/wait"),
        ("POST", "/_rie/events"),
        ("POST", "/metrics"),
    ],
)
def test_other_paths_are_not_its_own(api: Api, method: str, path: str) -> None:
    assert api(method, path) is None


# --- the clock ----------------------------------------------------------------------------------------------------


def test_the_clock_is_read_and_moved(api: Api) -> None:
    before = api.json("GET", "/_rie/clock")
    assert before == {
        "now": "2026-01-01T00:00:00.000Z",
        "epoch_seconds": 1_767_225_600.0,
        "mode": "manual",
        "speed": 1.0,
    }
    fired: list[float] = []
    api.time.clock.call_later(60, lambda: fired.append(api.time.clock.now()))
    moved = api.json("POST", "/_rie/clock", body={"advance_seconds": 90.5})
    assert fired == [1_767_225_660.0]
    assert moved == {**before, "now": "2026-01-01T00:01:30.500Z", "epoch_seconds": 1_767_225_690.5, "settled": True}
    assert api.json("POST", "/_rie/clock", body={"advance_seconds": 0})["now"] == moved["now"]


def test_work_that_does_not_end_is_told(api: Api) -> None:
    class Busy:
        def is_settled(self) -> bool:
            return False

    api.time.wait_for(Busy())
    moved = api.json("POST", "/_rie/clock", body={"advance_seconds": 60})
    assert (moved["settled"], moved["now"]) == (False, "2026-01-01T00:01:00.000Z")


def test_the_systems_clock_is_read_and_not_moved(tmp_path: Path) -> None:
    api = Api(tmp_path, "system")
    assert api.json("GET", "/_rie/clock")["mode"] == "system"
    with pytest.raises(ResourceConflictException, match="RIE_CLOCK=manual"):
        api("POST", "/_rie/clock", body={"advance_seconds": 60})


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"advance_seconds": -1},
        {"advance_seconds": "60"},
        {"advance_seconds": True},
        {"advance_seconds": None},
        {"advance_seconds": 1e300},
        b'{"advance_seconds": NaN}',
        b'{"advance_seconds": Infinity}',
        {"advance_seconds": 60, "seconds": 60},
        {"seconds": 60},
        [],
        b"sixty",
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_move_that_makes_no_sense_moves_nothing(api: Api, body: Any) -> None:
    with pytest.raises((InvalidParameterValueException, InvalidRequestContentException)):
        api("POST", "/_rie/clock", body=body)
    assert api.time.clock.monotonic() == 0


# --- events -------------------------------------------------------------------------------------------------------


def test_a_live_event_says_when_it_is_due(api: Api) -> None:
    (event,) = api.json("GET", "/_rie/events")["events"]
    assert event == {
        "request_id": "r",
        "function": "arn:aws:lambda:us-east-1:000000000000:function:orders:live",
        "state": "retrying",
        "enqueued_at": "2026-01-01T00:00:00.000Z",
        "due_at": "2026-01-01T00:01:00.500Z",
        "attempts": 1,
        "refusals": 0,
        "ended_at": None,
        "condition": None,
        "status_code": None,
        "invoke_count": None,
        "function_error": None,
        "executed_version": None,
        "error_message": None,
        "response": None,
        "deliveries": [],
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("function=orders", 1),
        ("function=payments", 0),
        ("function=orders:live", 1),
        ("function=orders:$LATEST", 0),
        ("function=arn:aws:lambda:us-east-1:000000000000:function:orders", 1),
        ("function=000000000000:function:orders:live", 1),
        ("request_id=r", 1),
        ("request_id=s", 0),
        ("state=retrying", 1),
        ("state=queued", 0),
        ("state=dropped", 0),
        ("function=orders&request_id=r&state=retrying&limit=5", 1),
        ("function=", 1),
    ],
)
def test_events_are_filtered(api: Api, query: str, found: int) -> None:
    assert len(api.json("GET", "/_rie/events", query=query)["events"]) == found


def test_the_limit_reaches_the_queue(api: Api) -> None:
    api("GET", "/_rie/events", query="limit=7")
    api("GET", "/_rie/events")
    assert api.queue.limits == [7, 1000]


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "limit=0",
        "limit=10001",
        "limit=ten",
        "limit=-1",
        "limit=%C2%B2",
        "name=orders",
        "state=queued&state=dropped",
    ],
)
def test_a_question_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    with pytest.raises(InvalidParameterValueException):
        api("GET", "/_rie/events", query=query)


def test_whoever_waits_gets_the_record_when_the_event_ends(api: Api) -> None:
    deferred = api.wait(timeout_seconds=30)
    assert deferred.wait(0) is None
    ending = EventEnding(
        condition=EndingCondition.RETRIES_EXHAUSTED,
        status_code=200,
        invoke_count=3,
        function_error="Unhandled",
        executed_version="$LATEST",
        response_payload=b'{"errorMessage": "no"}',
    )
    api.end(
        ending,
        DeliveryOutcome(kind=DeliveryKind.ON_FAILURE, target_arn="arn:q", attempts=1),
        DeliveryOutcome(kind=DeliveryKind.DEAD_LETTER, target_arn="arn:d", attempts=5, error="gone"),
    )
    status, event = body_of(deferred)
    assert status == 200
    assert event["state"] == "delivered"
    assert event["condition"] == "RetriesExhausted"
    assert event["response"] == {"errorMessage": "no"}
    assert (event["status_code"], event["invoke_count"], event["function_error"]) == (200, 3, "Unhandled")
    assert event["due_at"] is None
    assert event["ended_at"] == "2026-01-01T00:00:00.000Z"
    assert event["deliveries"] == [
        {"kind": "OnFailure", "target": "arn:q", "attempts": 1, "error": None},
        {"kind": "DeadLetter", "target": "arn:d", "attempts": 5, "error": "gone"},
    ]
    assert body_of(api.wait()) == (200, event), "one that comes late gets the same"
    assert api.json("GET", "/_rie/events", query="state=delivered")["events"] == [event]
    api.real.advance(3600)
    assert body_of(deferred) == (200, event)


def test_whoever_waits_for_too_long_is_told_so_in_real_time(api: Api) -> None:
    deferred = api.wait(timeout_seconds=2)
    api.json("POST", "/_rie/clock", body={"advance_seconds": 3600})
    api.real.advance(1.9)
    assert deferred.wait(0) is None
    api.real.advance(0.1)
    status, refusal = body_of(deferred)
    assert (status, refusal) == (408, {"message": "Event r has not ended within 2 s."})


def test_an_event_that_nobody_knows_is_not_waited_for(api: Api) -> None:
    with pytest.raises(ResourceNotFoundException, match="No event nobody"):
        api("POST", "/_rie/events/nobody/wait")


@pytest.mark.parametrize("timeout", [-1, 3601, "30", False])
def test_a_timeout_that_makes_no_sense_is_refused(api: Api, timeout: Any) -> None:
    with pytest.raises(LambdaError, match="timeout_seconds must be a number of seconds from 0 to 3600"):
        api.wait(timeout_seconds=timeout)


@pytest.mark.parametrize(
    ("payload", "response"),
    [
        (b"null", None),
        (b"not json", "not json"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"NaN", "NaN"),
        (b"[1e999]", "[1e999]"),
        (b'"\\ud800"', "\ud800"),
        ("\u00e9".encode(), "\u00e9"),
    ],
)
def test_an_answer_that_is_no_json_is_shown_as_text(api: Api, payload: bytes, response: Any) -> None:
    api.end(EventEnding(condition=EndingCondition.SUCCESS, status_code=200, invoke_count=1, response_payload=payload))
    status, event = body_of(api.wait())
    assert status == 200
    assert event["response"] == (response if response != "\ud800" else "?")


def test_an_answer_nested_too_deeply_is_shown_as_text(api: Api) -> None:
    payload = b"[" * 200_000
    api.end(EventEnding(condition=EndingCondition.SUCCESS, status_code=200, invoke_count=1, response_payload=payload))
    assert body_of(api.wait())[1]["response"] == payload.decode()


# --- mappings ---------------------------------------------------------------------------------------------------------


def test_mappings_are_listed_with_what_their_pollers_say(api: Api) -> None:
    queue, topic = mapping_of(SourceKind.SQS), mapping_of(SourceKind.SELF_MANAGED_KAFKA, uuid=OTHER_UUID)
    api.mappings.all = [queue, topic]
    api.mappings.described = {queue.uuid: {"backlog": 7, "pollers": 5, "in_flight": 2}}

    first, second = api.json("GET", "/_rie/mappings")["mappings"]

    assert first == {
        "uuid": queue.uuid,
        "function": str(queue.function),
        "kind": "sqs",
        "source": queue.source_arn,
        "part": None,
        "state": "Creating",
        "state_transition_reason": "USER_INITIATED",
        "last_modified": "2026-01-01T00:00:00.000Z",
        "last_processing_result": "last result of orders",
        "backlog": 7,
        "behind_seconds": None,
        "pollers": 5,
        "in_flight": 2,
        "counts": {"invoked": 3},
    }
    assert (second["source"], second["part"], second["pollers"]) == ("127.0.0.1:9092", "orders", 0)


def test_mappings_can_be_those_of_one_function(api: Api) -> None:
    api.mappings.all = [mapping_of(SourceKind.SQS)]
    assert api.json("GET", "/_rie/mappings", query="function=bills") == {"mappings": []}
    assert len(api.json("GET", "/_rie/mappings", query="function=orders")["mappings"]) == 1
    with pytest.raises(InvalidParameterValueException):
        api("GET", "/_rie/mappings", query="uuid=1")


def test_what_is_below_the_urls_path_is_for_function_urls(tmp_path: Path) -> None:
    answer = Api(tmp_path, "system")("DELETE", "/_rie/urls/abc/any/path")
    assert isinstance(answer, Reply)
    assert answer.body == b"/_rie/urls/abc/any/path"
