"""Payloads are checked before anything runs, in the words AWS uses."""

import pytest

from rie_server.errors import InvalidRequestContentException
from rie_server.model.json_payload import check_json


@pytest.mark.parametrize("payload", [b"{}", b"null", b' "text" ', b"[1,2.5e3]", b"1" * 5000, '"ä€"'.encode(), b"-0"])
def test_json_of_any_kind_is_accepted(payload: bytes) -> None:
    check_json(payload)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"not json", "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token"),
        (b"{'a': 1}", "Unexpected character (''' (code 39))"),
        (b'{"a": ', "Unexpected end-of-input"),
        (b"NaN", "Unrecognized token 'NaN'"),
        (b"[Infinity]", "Unrecognized token 'Infinity'"),
        (b'"\xff"', "Invalid UTF-8 start byte 0xff"),
        (b"{} {}", "Unexpected character ('{' (code 123))"),
        (b"[" * 100_000, "Document nesting depth"),
    ],
)
def test_anything_else_is_refused_in_awss_words(payload: bytes, words: str) -> None:
    with pytest.raises(InvalidRequestContentException) as refused:
        check_json(payload)
    message = refused.value.message
    assert message.startswith(f"Could not parse request body into json: Could not parse payload into json: {words}")
    assert (
        "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: "
        in message
    )


def test_line_and_column_point_at_the_fault() -> None:
    with pytest.raises(InvalidRequestContentException) as refused:
        check_json(b'{"a": 1,\n "b": oops}')
    assert refused.value.message.endswith("line: 2, column: 7]")
