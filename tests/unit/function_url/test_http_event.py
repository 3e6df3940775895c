import base64
import contextlib
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.api.exchange import Reply
from rie_server.http.encoding import encode_head
from rie_server.model.http_event import HttpCall, UnreadableResultError, http_answer, http_event
from rie_server.model.http_prelude import DELIMITER

NOW = 1_767_225_600.25
JSON_TYPE = ("Content-Type", "application/json")


def event_of(**members: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "url_id": "u", "domain_name": "u.lambda-url.us-east-1.localhost", "method": "GET", "raw_path": "/",
        "raw_query": "", "headers": {}, "body": b"", "source_ip": "127.0.0.1", "port": 9000, "trace_header": "Root=1",
    }  # fmt: skip
    return http_event(HttpCall(**{**defaults, **members}), request_id="id", now=NOW)


def answer_of(document: object) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    answer = http_answer(json.dumps(document).encode())
    return answer.status, answer.headers, answer.body


LATIN = st.characters(max_codepoint=255)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(
    query=st.text(LATIN),
    path=st.text(),
    headers=st.dictionaries(st.sampled_from(["cookie", "content-type", "user-agent", "x"]), st.text(LATIN)),
    body=st.binary(),
)
def test_every_request_becomes_an_event_that_holds_its_body(
    query: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    event = json.loads(json.dumps(event_of(raw_query=query, raw_path=path, headers=headers, body=body)))
    text = event.get("body", "")
    assert (base64.b64decode(text) if event["isBase64Encoded"] else text.encode()) == body
    assert (event["rawQueryString"], event["rawPath"]) == (query, path)
    assert "cookie" not in event["headers"]


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("", None),
        ("a", {"a": ""}),
        ("a=1&a=2&b=%2C", {"a": "1,2", "b": ","}),
        ("a+b=c+d", {"a b": "c d"}),
        ("a;b=1", {"a;b": "1"}),
        ("%ff=%C3%A9", {"\ufffd": "é"}),
        ("&&=1&", {"": "1"}),
    ],
)
def test_query_parameters_are_decoded_and_joined(query: str, parameters: dict[str, str] | None) -> None:
    assert event_of(raw_query=query).get("queryStringParameters") == parameters


@given(JSON_VALUES | st.fixed_dictionaries(
    {"statusCode": JSON_VALUES | st.integers(190, 610)},
    optional=dict.fromkeys(("headers", "cookies", "body", "isBase64Encoded"), JSON_VALUES),
))  # fmt: skip
def test_every_result_becomes_a_response_or_is_unreadable(document: object) -> None:
    result = json.dumps(document).encode()
    for given_result in (result, result + DELIMITER + b"body"):
        try:
            answer = http_answer(given_result)
        except UnreadableResultError:
            continue
        head = encode_head(Reply(answer.status, answer.headers, answer.body), "HTTP/1.1 200 OK\r\n", "")
        lines = head.split(b"\r\n")
        assert all(b":" in line and b"\n" not in line and b"\r" not in line for line in lines[1:-2])
        assert 200 <= answer.status <= 599
        length = sum(line.lower().startswith((b"content-length", b"transfer-encoding")) for line in lines)
        assert length == (answer.status not in (204, 304))


@given(st.binary())
def test_a_result_of_any_bytes_becomes_a_response_or_is_unreadable(result: bytes) -> None:
    with contextlib.suppress(UnreadableResultError):
        assert 200 <= http_answer(result).status <= 599


@pytest.mark.parametrize("result", [b"", b"[" * 100_000, b'{"statusCode": ' + b"[" * 100_000, b"\xff", b"1" * 5000])
def test_what_is_no_json_is_unreadable(result: bytes) -> None:
    with pytest.raises(UnreadableResultError):
        http_answer(result)


@pytest.mark.parametrize(("status", "expected"), [(200, 200), ("201", 201), (599, 599), (204, 204)])
def test_a_status_is_a_number_or_its_text(status: object, expected: int) -> None:
    assert answer_of({"statusCode": status}) == (expected, (JSON_TYPE,), b"")


@pytest.mark.parametrize(
    "status",
    [
        0,
        99,
        100,
        101,
        199,
        600,
        -200,
        True,
        None,
        200.5,
        [],
        {},
        "",
        "2_0_0",
        "+200",
        " 200 ",
        "\uff12\uff10\uff10",
        10**30,
    ],
)
def test_any_other_status_is_unreadable(status: object) -> None:
    with pytest.raises(UnreadableResultError):
        answer_of({"statusCode": status})


@pytest.mark.parametrize(
    "headers",
    [
        {"a b": "1"},
        {"a\r\nb": "1"},
        {"content-length ": "1"},
        {"": "1"},
        {"é": "1"},
        {"a:": "1"},
        {"a": "1\r\nb: 2"},
        {"a": "1\nb: 2"},
        {"a": "\0"},
        {"a": "€"},
        {"a": ["1"]},
        {"a": {}},
        ["a"],
        "a",
    ],
)
def test_headers_that_are_none_are_unreadable(headers: object) -> None:
    with pytest.raises(UnreadableResultError):
        answer_of({"statusCode": 200, "headers": headers})


@pytest.mark.parametrize(
    "name",
    [
        "Content-Length",
        "TRANSFER-ENCODING",
        "connection",
        "Keep-Alive",
        "date",
        "trailer",
        "upgrade",
        "te",
        "X-Amzn-RequestId",
    ],
)
def test_a_function_cannot_set_what_is_the_connection_s_or_aws_s(name: str) -> None:
    assert answer_of({"statusCode": 200, "headers": {name: "chunked"}, "body": "x"}) == (200, (JSON_TYPE,), b"x")


def test_a_cookie_may_be_long_and_may_not_begin_another_header() -> None:
    cookie = "a=" + string.ascii_letters * 1000
    assert answer_of({"statusCode": 200, "cookies": [cookie]})[1][-1] == ("Set-Cookie", cookie)
    with pytest.raises(UnreadableResultError):
        answer_of({"statusCode": 200, "cookies": ["a=1\r\nLocation: x"]})


@pytest.mark.parametrize(
    ("said", "body"), [(True, b"a"), ("true", b"a"), (False, b"YQ=="), ("false", b"YQ=="), (None, b"YQ==")]
)
def test_a_body_is_in_base64_where_that_is_said(said: object, body: bytes) -> None:
    assert answer_of({"statusCode": 200, "body": "YQ==", "isBase64Encoded": said})[2] == body


@pytest.mark.parametrize("body", ["%", "YQ", "YQ=", "Y Q==", "é"])
def test_a_body_that_is_not_the_base64_it_is_said_to_be_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableResultError):
        answer_of({"statusCode": 200, "body": body, "isBase64Encoded": True})
