"""What the Telemetry and Logs APIs take, and the words with which they refuse the rest."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.errors import RuntimeApiError
from rie_server.model.telemetry_subscription import ListenerAddress, Subscribable, Subscription, read_subscription

TELEMETRY, LOGS = Subscribable.TELEMETRY, Subscribable.LOGS
LISTENER = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/path?q=1"}


def body(**changes: Any) -> bytes:
    request = {"schemaVersion": "2022-12-13", "types": ["platform", "function"], "destination": LISTENER}
    document = {name: value for name, value in (request | changes).items() if value is not ...}
    return json.dumps(document).encode()


def refusal(request: bytes, api: Subscribable = TELEMETRY) -> tuple[int, str, str]:
    with pytest.raises(RuntimeApiError) as refused:
        read_subscription(api, request)
    return refused.value.status, refused.value.error_type, refused.value.message


def test_what_is_left_out_has_the_documented_defaults() -> None:
    assert read_subscription(TELEMETRY, body()) == Subscription(
        api=TELEMETRY,
        schema_version="2022-12-13",
        types=("platform", "function"),
        max_items=10_000,
        max_bytes=262_144,
        timeout_ms=1_000,
        listener=ListenerAddress(protocol="HTTP", port=8080, target="/path?q=1", host="sandbox.localdomain"),
    )


def test_the_logs_api_has_a_version_of_its_own_by_default() -> None:
    assert read_subscription(LOGS, body(schemaVersion=...)).schema_version == "2020-08-15"
    assert read_subscription(LOGS, body(schemaVersion="2021-03-18")).schema_version == "2021-03-18"


def test_a_tcp_listener_is_a_port_of_the_environment() -> None:
    taken = read_subscription(TELEMETRY, body(destination={"protocol": "TCP", "port": 4243}))
    assert taken.listener == ListenerAddress(protocol="TCP", port=4243)


def test_the_older_name_of_the_environment_is_known() -> None:
    taken = read_subscription(LOGS, body(schemaVersion=..., destination=LISTENER | {"URI": "http://sandbox:8080"}))
    assert (taken.listener.host, taken.listener.target) == ("sandbox", "/")


def test_every_wrong_value_is_in_one_message() -> None:
    wrong = body(types=[], destination=LISTENER | {"URI": "http://sandbox.localdomain/"})
    assert refusal(wrong) == (
        400,
        "Telemetry.ValidationError",
        "types should not be empty; URI port is not provided",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"types": ["platform.start"]}, "Unrecognized enum variant"),
        ({"types": ["platform", "platform"]}, "types should be unique"),
        ({"schemaVersion": ...}, "schemaVersion is not provided"),
        ({"buffering": {"maxItems": 999}}, "maxItems should be between 1000 and 10000"),
        ({"buffering": {"maxBytes": 1_048_577}}, "maxBytes should be between 262144 and 1048576"),
        ({"buffering": {"timeoutMs": 24}}, "timeoutMs should be between 25 and 30000"),
        ({"destination": {"protocol": "TCP", "port": 9001}}, "port 9001 is reserved"),
        ({"destination": {"protocol": "TCP", "port": 65536}}, "port should be between 1 and 65535"),
        ({"destination": LISTENER | {"URI": "http://sandbox.localdomain:99999/"}}, "URI is not valid"),
        ({"destination": LISTENER | {"URI": "http://sandbox.localdomain:80/a b"}}, "URI is not valid"),
    ],
)
def test_values_have_limits(changes: dict[str, Any], message: str) -> None:
    assert refusal(body(**changes)) == (400, "Telemetry.ValidationError", message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"types": ...}, "missing field `types`"),
        ({"destination": ...}, "missing field `destination`"),
        ({"destination": {}}, "missing field `protocol`"),
        ({"destination": {"protocol": "HTTP"}}, "missing field `URI`"),
        ({"destination": {"protocol": "TCP"}}, "missing field `port`"),
        ({"destination": {"protocol": "UDP"}}, "unknown variant `UDP`, expected one of `HTTP`, `TCP`"),
        (
            {"types": ["everything"]},
            "unknown variant `everything`, expected one of `platform`, `function`, `extension`",
        ),
    ],
)
def test_documents_of_another_shape_are_told_from_wrong_values(changes: dict[str, Any], message: str) -> None:
    assert refusal(body(**changes)) == (400, "Telemetry.DeserializationError", message)


@pytest.mark.parametrize("uri", ["http://example.com:80/", "http://127.0.0.1:9000/", "http://sandbox.evil.com:80/"])
def test_telemetry_never_leaves_the_environment(uri: str) -> None:
    assert refusal(body(destination=LISTENER | {"URI": uri})) == (
        403,
        "Telemetry.AccessDenied",
        "Only 'sandbox.localdomain' hostname is supported.",
    )


def test_errors_carry_the_name_of_the_api() -> None:
    wrong = body(schemaVersion=..., destination=LISTENER | {"URI": "https://sandbox:80"})
    assert refusal(wrong, LOGS) == (403, "Logs.AccessDenied", "Only 'http' scheme is supported.")
    assert refusal(body(schemaVersion="2022-07-01"), LOGS)[1] == "Logs.ValidationError"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["HTTP", "TCP", "platform"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["protocol", "URI", "port", "maxItems", "types", "method", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(
    st.binary(max_size=50)
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("schemaVersion", "types", "buffering", "destination"), JSON_VALUES),
    ).map(lambda document: json.dumps(document).encode())
)
def test_whatever_is_asked_gets_an_answer_of_aws(request: bytes) -> None:
    for api in Subscribable:
        answer = answered(api, request)
        assert answer is None or (answer.status in (400, 403) and answer.error_type.startswith(f"{api}."))


def answered(api: Subscribable, request: bytes) -> RuntimeApiError | None:
    try:
        read_subscription(api, request)
    except RuntimeApiError as refused:
        return refused
    return None
