"""The prelude of a streamed HTTP response, in any pieces."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.model.http_prelude import (
    DELIMITER,
    PRELUDE_BYTES,
    HttpPrelude,
    InvalidPreludeError,
    PreludeReader,
    parse_prelude,
)

FULL = {"statusCode": 201, "headers": {"Content-Type": "text/html", "X-N": "1"}, "cookies": ["a=b", "c=d; Path=/"]}


def read(pieces: list[bytes]) -> tuple[HttpPrelude | None, bytes]:
    reader = PreludeReader()
    body = b"".join([reader.feed(piece) for piece in pieces])
    reader.finish()
    return reader.prelude, body


def test_status_headers_and_cookies_stand_before_the_body() -> None:
    prelude, body = read([json.dumps(FULL).encode() + DELIMITER + b"<p>\0"])
    assert prelude == HttpPrelude(
        status_code=201, headers={"Content-Type": "text/html", "X-N": "1"}, cookies=("a=b", "c=d; Path=/")
    )
    assert body == b"<p>\0"


@given(st.lists(st.integers(min_value=1, max_value=60), max_size=20), st.binary(max_size=40))
def test_it_is_the_same_in_whatever_pieces_it_comes(cuts: list[int], body: bytes) -> None:
    whole = json.dumps(FULL).encode() + DELIMITER + b"x" + body
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(whole[start : start + cut])
        start += cut
    pieces.append(whole[start:])
    assert read(pieces) == read([whole])
    assert read(pieces)[1] == b"x" + body


def test_what_is_left_out_has_the_defaults_of_http() -> None:
    assert parse_prelude(b"{}") == HttpPrelude(status_code=200, headers={}, cookies=())
    assert parse_prelude(b'{"headers":{"X":1}}').headers == {"X": "1"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no json",
        b"[1]",
        b"[" * 100_000,
        b"\xff",
        b'{"statusCode":"200"}',
        b'{"statusCode":true}',
        b'{"statusCode":99}',
        b'{"statusCode":600}',
        b'{"headers":[]}',
        b'{"cookies":"a=b"}',
        b'{"cookies":[1]}',
    ],
)
def test_what_is_no_prelude_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidPreludeError):
        parse_prelude(document)


def test_a_response_that_ends_in_its_prelude_is_refused() -> None:
    reader = PreludeReader()
    assert reader.feed(b"{}" + DELIMITER[:-1]) == b""
    with pytest.raises(InvalidPreludeError):
        reader.finish()


def test_a_prelude_without_end_is_refused() -> None:
    reader = PreludeReader()
    with pytest.raises(InvalidPreludeError):
        reader.feed(b"x" * (PRELUDE_BYTES + 1))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    reader = PreludeReader()
    seen: Any = None
    try:
        seen = reader.feed(data + DELIMITER)
    except InvalidPreludeError:
        assert reader.prelude is None
    else:
        assert reader.prelude is not None
        assert data.endswith(seen) or seen.endswith(DELIMITER) or seen == b""
