"""What destinations and dead-letter queues are told."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.destination_record import deliveries
from rie_server.model.event_invoke import EndingCondition, EventEnding, EventInvokeConfig
from rie_server.model.invocation import InvokeRequest
from rie_server.model.recursion import hop

ORDERS = FunctionArn(region="us-east-1", account="111111111111", name="orders")
QUEUE = "arn:aws:sqs:us-east-1:111111111111:ended"
TOPIC = "arn:aws:sns:us-east-1:111111111111:ended"
DEAD = "arn:aws:sqs:us-east-1:111111111111:dead"
ALL = EventInvokeConfig(on_success=f"{QUEUE}-well", on_failure=QUEUE, dead_letter=DEAD)
NEW_YEAR = 1_767_225_600.0
REQUEST_ID = "6d4a1b34-23b4-4d0c-9c4c-3d2f3a5d9d10"
FAILURES = [condition for condition in EndingCondition if condition is not EndingCondition.SUCCESS]

ERROR = b'{"errorMessage":"no stock","errorType":"ValueError","requestId":"r","stackTrace":["  File ..."]}'
SUCCESS = EventEnding(
    condition=EndingCondition.SUCCESS,
    status_code=200,
    invoke_count=1,
    executed_version="$LATEST",
    response_payload=b'{"ok": true}',
)
EXHAUSTED = EventEnding(
    condition=EndingCondition.RETRIES_EXHAUSTED,
    status_code=200,
    invoke_count=3,
    function_error="Unhandled",
    executed_version="$LATEST",
    response_payload=ERROR,
)
THROTTLED = EventEnding(
    condition=EndingCondition.EVENT_AGE_EXCEEDED, status_code=429, invoke_count=0, error_message="Rate Exceeded."
)
GONE = EventEnding(
    condition=EndingCondition.RETRIES_EXHAUSTED,
    status_code=404,
    invoke_count=0,
    error_message=f"Function not found: {ORDERS}:$LATEST",
)
STOPPED = EventEnding(
    condition=EndingCondition.ZERO_RESERVED_CONCURRENCY,
    status_code=None,
    invoke_count=0,
    error_message="Function not invoked. Function isconfigured with zero reserved concurrent executions",
)
RECURSIVE = EventEnding(condition=EndingCondition.RECURSIVE_INVOCATION, status_code=400, invoke_count=0)


def event(payload: bytes = b'{"id": 7}', function: FunctionArn = ORDERS) -> QueuedEvent:
    request = InvokeRequest(
        function=function, payload=payload, request_id=REQUEST_ID, trace_header="Root=1-2-3;Lineage=1:a:2"
    )
    return QueuedEvent(request=request, enqueued_at=NEW_YEAR - 60)


def sent(
    ending: EventEnding, config: EventInvokeConfig = ALL, of: QueuedEvent | None = None, now: float = NEW_YEAR
) -> dict[DeliveryKind, Delivery]:
    return {delivery.kind: delivery for delivery in deliveries(of or event(), ending, config, now=now)}


def record(ending: EventEnding, of: QueuedEvent | None = None, now: float = NEW_YEAR) -> dict[str, Any]:
    told = sent(ending, of=of, now=now)
    kind = DeliveryKind.ON_SUCCESS if ending is SUCCESS else DeliveryKind.ON_FAILURE
    return json.loads(told[kind].body)


def attributes(ending: EventEnding) -> dict[str, tuple[str, str]]:
    return dict(sent(ending)[DeliveryKind.DEAD_LETTER].attributes)


def failed_with(payload: bytes) -> EventEnding:
    return EventEnding(
        condition=EndingCondition.RETRIES_EXHAUSTED,
        status_code=200,
        invoke_count=1,
        function_error="Unhandled",
        executed_version="1",
        response_payload=payload,
    )


# --- which targets ----------------------------------------------------------------------------------------------------


def test_a_success_goes_to_the_success_destination_alone() -> None:
    told = sent(SUCCESS)
    assert list(told) == [DeliveryKind.ON_SUCCESS]
    assert told[DeliveryKind.ON_SUCCESS].target_arn == f"{QUEUE}-well"


@pytest.mark.parametrize("condition", FAILURES)
def test_every_failure_goes_to_the_destination_and_to_the_dead_letter_queue(condition: EndingCondition) -> None:
    told = sent(EventEnding(condition=condition, status_code=429, invoke_count=0))
    assert {kind: delivery.target_arn for kind, delivery in told.items()} == {
        DeliveryKind.ON_FAILURE: QUEUE,
        DeliveryKind.DEAD_LETTER: DEAD,
    }


def test_a_failure_goes_to_the_only_target_there_is() -> None:
    assert list(sent(EXHAUSTED, EventInvokeConfig(on_failure=QUEUE))) == [DeliveryKind.ON_FAILURE]
    assert list(sent(EXHAUSTED, EventInvokeConfig(dead_letter=DEAD))) == [DeliveryKind.DEAD_LETTER]


@pytest.mark.parametrize("ending", [SUCCESS, EXHAUSTED])
def test_without_targets_nothing_is_sent(ending: EventEnding) -> None:
    assert deliveries(event(), ending, EventInvokeConfig(), now=NEW_YEAR) == ()
    assert deliveries(event(), ending, EventInvokeConfig(on_success="", on_failure=""), now=NEW_YEAR) == ()


def test_functions_that_are_each_others_destinations_become_a_loop() -> None:
    carried = "Root=1-2-3"
    for _ in range(16):
        sent_on = replace(event(), request=replace(event().request, trace_header=carried))
        (delivery,) = deliveries(sent_on, SUCCESS, EventInvokeConfig(on_success=QUEUE), now=NEW_YEAR)
        carried = delivery.trace_header
    assert hop(carried, ORDERS).is_loop


def test_a_delivery_says_whose_event_it_was_and_when_it_ended() -> None:
    for delivery in sent(EXHAUSTED).values():
        assert delivery.request_id == REQUEST_ID
        assert str(delivery.function) == f"{ORDERS}:$LATEST"
        assert delivery.trace_header == hop("Root=1-2-3;Lineage=1:a:2", ORDERS).trace_header
        assert delivery.at == NEW_YEAR


# --- records ----------------------------------------------------------------------------------------------------------


def test_the_record_of_a_success_is_awss_to_the_letter() -> None:
    assert sent(SUCCESS)[DeliveryKind.ON_SUCCESS].body == (
        b'{"version":"1.0","timestamp":"2026-01-01T00:00:00.000Z","requestContext":{"requestId":'
        b'"6d4a1b34-23b4-4d0c-9c4c-3d2f3a5d9d10","functionArn":'
        b'"arn:aws:lambda:us-east-1:111111111111:function:orders:$LATEST","condition":"Success",'
        b'"approximateInvokeCount":1},"requestPayload":{"id": 7},"responseContext":{"statusCode":200,'
        b'"executedVersion":"$LATEST"},"responsePayload":{"ok": true}}'
    )


def test_the_record_of_exhausted_retries_carries_the_last_error() -> None:
    told = record(EXHAUSTED)
    assert list(told) == [
        "version",
        "timestamp",
        "requestContext",
        "requestPayload",
        "responseContext",
        "responsePayload",
    ]
    assert list(told["requestContext"]) == ["requestId", "functionArn", "condition", "approximateInvokeCount"]
    assert told["requestContext"]["condition"] == "RetriesExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 3
    assert list(told["responseContext"].items()) == [
        ("statusCode", 200),
        ("executedVersion", "$LATEST"),
        ("functionError", "Unhandled"),
    ]
    assert told["responsePayload"] == json.loads(ERROR)


@pytest.mark.parametrize(
    ("ending", "condition", "context"),
    [
        (THROTTLED, "EventAgeExceeded", {"statusCode": 429}),
        (GONE, "RetriesExhausted", {"statusCode": 404}),
        (RECURSIVE, "RecursiveInvocation", {"statusCode": 400}),
    ],
)
def test_a_refusal_has_a_status_and_no_response(ending: EventEnding, condition: str, context: dict[str, int]) -> None:
    told = record(ending)
    assert told["requestContext"]["condition"] == condition
    assert told["requestContext"]["approximateInvokeCount"] == 0
    assert told["responseContext"] == context
    assert "responsePayload" not in told


def test_a_function_with_zero_reserved_concurrency_has_no_response_at_all() -> None:
    told = record(STOPPED)
    assert told["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert list(told) == ["version", "timestamp", "requestContext", "requestPayload"]


def test_a_refusal_says_nothing_of_an_earlier_run() -> None:
    ending = EventEnding(
        condition=EndingCondition.EVENT_AGE_EXCEEDED,
        status_code=429,
        invoke_count=1,
        function_error="Unhandled",
        executed_version="3",
        response_payload=ERROR,
        error_message="Rate Exceeded.",
    )
    told = record(ending)
    assert told["responseContext"] == {"statusCode": 429}
    assert "responsePayload" not in told
    assert attributes(ending)["ErrorMessage"] == ("String", "Rate Exceeded.")


@pytest.mark.parametrize("payload", [b"plain text", b"{'id': 7}", b"NaN", b"\xff", b'{"a":1} {}', b"[" * 200_000])
def test_a_result_that_is_not_json_becomes_a_delivery_error(payload: bytes) -> None:
    ending = EventEnding(
        condition=EndingCondition.SUCCESS,
        status_code=200,
        invoke_count=1,
        executed_version="1",
        response_payload=payload,
    )
    told = json.loads(sent(ending)[DeliveryKind.ON_SUCCESS].body)
    assert list(told)[-2:] == ["responseContext", "deliveryError"]
    assert list(told["deliveryError"].items()) == [
        ("statusCode", 400),
        ("errorCode", "InvalidRequestContentException"),
    ]


@pytest.mark.parametrize("payload", [b"", None])
def test_an_empty_result_is_left_out(payload: bytes | None) -> None:
    ending = EventEnding(condition=EndingCondition.SUCCESS, status_code=200, invoke_count=1, response_payload=payload)
    told = json.loads(sent(ending)[DeliveryKind.ON_SUCCESS].body)
    assert list(told)[-1] == "responseContext"


@pytest.mark.parametrize("qualifier", ["live", "3", "$LATEST"])
def test_the_function_keeps_the_qualifier_that_was_invoked(qualifier: str) -> None:
    told = record(EXHAUSTED, of=event(function=ORDERS.qualified(qualifier)))
    assert told["requestContext"]["functionArn"] == f"{ORDERS}:{qualifier}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (NEW_YEAR, "2026-01-01T00:00:00.000Z"),
        (NEW_YEAR + 0.25, "2026-01-01T00:00:00.250Z"),
        (NEW_YEAR + 0.9999, "2026-01-01T00:00:00.999Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_timestamps_have_milliseconds(seconds: float, text: str) -> None:
    assert record(EXHAUSTED, now=seconds)["timestamp"] == text


def test_payloads_are_embedded_as_they_came() -> None:
    payload = b'{ "big": 123456789012345678901234567890, "x": 1.10, "x": 2, "\xc3\xbc": "\\u0041" }'
    assert b'"requestPayload":' + payload + b"," in sent(SUCCESS, of=event(payload))[DeliveryKind.ON_SUCCESS].body


def test_code_points_that_a_queue_refuses_are_spelled_out() -> None:
    payload = '{"a": "\ufffe\uffff"}'.encode()
    body = sent(SUCCESS, of=event(payload))[DeliveryKind.ON_SUCCESS].body
    assert b'{"a": "\\ufffe\\uffff"}' in body
    assert json.loads(body)["requestPayload"] == json.loads(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(request=json_values, response=json_values, indent=st.sampled_from([None, 1]))
def test_any_json_survives(request: Any, response: Any, indent: int | None) -> None:
    ending = failed_with(json.dumps(response, ensure_ascii=False, indent=indent).encode(errors="surrogatepass"))
    told = record(ending, of=event(json.dumps(request, indent=indent).encode()))
    assert told["requestPayload"] == request
    assert told["responsePayload"] == response


@given(payload=st.binary(max_size=40))
def test_any_bytes_make_a_record_that_can_be_read(payload: bytes) -> None:
    told = record(failed_with(payload))
    assert told["responseContext"]["functionError"] == "Unhandled"


def test_a_failure_too_large_for_a_topic_goes_without_its_payloads() -> None:
    big = event(json.dumps("x" * 262_144).encode())
    (delivery,) = deliveries(big, EXHAUSTED, EventInvokeConfig(on_failure=TOPIC), now=NEW_YEAR)
    assert list(json.loads(delivery.body)) == ["version", "timestamp", "requestContext", "responseContext"]


def test_a_large_failure_goes_whole_to_a_queue_and_a_large_success_to_a_topic() -> None:
    big = event(json.dumps("x" * 262_144).encode())
    (failure,) = deliveries(big, EXHAUSTED, EventInvokeConfig(on_failure=QUEUE), now=NEW_YEAR)
    (success,) = deliveries(big, SUCCESS, EventInvokeConfig(on_success=TOPIC), now=NEW_YEAR)
    assert "requestPayload" in json.loads(failure.body)
    assert "requestPayload" in json.loads(success.body)


# --- dead letters -----------------------------------------------------------------------------------------------------


def test_a_dead_letter_is_the_original_event() -> None:
    payload = b'{ "id": 7,\n "x": 1.10 }'
    assert sent(EXHAUSTED, of=event(payload))[DeliveryKind.DEAD_LETTER].body == payload


def test_a_record_has_no_attributes() -> None:
    assert sent(EXHAUSTED)[DeliveryKind.ON_FAILURE].attributes == {}


@pytest.mark.parametrize(
    ("ending", "error_code", "error_message"),
    [
        (EXHAUSTED, "200", "no stock"),
        (THROTTLED, "429", "Rate Exceeded."),
        (GONE, "404", "Function not found: arn:aws:lambda:us-east-1:111111111111:function:orders:$LATEST"),
    ],
)
def test_a_dead_letter_says_what_went_wrong(ending: EventEnding, error_code: str, error_message: str) -> None:
    assert attributes(ending) == {
        "RequestID": ("String", REQUEST_ID),
        "ErrorCode": ("Number", error_code),
        "ErrorMessage": ("String", error_message),
    }


def test_a_dead_letter_of_a_stopped_function_has_no_error_code() -> None:
    assert attributes(STOPPED) == {
        "RequestID": ("String", REQUEST_ID),
        "ErrorMessage": (
            "String",
            "Function not invoked. Function isconfigured with zero reserved concurrent executions",
        ),
    }


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b"plain", b'{"errorMessage": ""}', b'{"errorMessage": null}', b"[" * 200_000, b""]
)
def test_an_error_without_words_has_no_error_message(payload: bytes) -> None:
    assert set(attributes(failed_with(payload))) == {"RequestID", "ErrorCode"}


def test_an_error_message_that_is_no_text_is_json() -> None:
    assert attributes(failed_with(b'{"errorMessage": {"a": [1]}}'))["ErrorMessage"] == ("String", '{"a":[1]}')


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1024),
        ("x" * 1023 + "ü", "x" * 1023),
        ("😀" * 300, "😀" * 256),
        ("x" + "😀" * 300, "x" + "😀" * 255),
    ],
)
def test_an_error_message_is_cut_between_characters(message: str, kept: str) -> None:
    ending = failed_with(json.dumps({"errorMessage": message}).encode())
    assert attributes(ending)["ErrorMessage"] == ("String", kept)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("\x1b[31mred\x00", "\ufffd[31mred\ufffd"),
        ("a\tb\r\nc", "a\tb\r\nc"),
        ("\ud800!", "?!"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
    ],
)
def test_what_a_queue_would_refuse_does_not_cost_the_dead_letter(message: str, kept: str) -> None:
    ending = failed_with(json.dumps({"errorMessage": message}).encode())
    assert attributes(ending)["ErrorMessage"] == ("String", kept)
