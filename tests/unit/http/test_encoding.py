import pytest

from rie_server.api.exchange import Reply
from rie_server.http.encoding import StatusLines, encode_head


@pytest.fixture
def lines() -> StatusLines:
    lines = StatusLines()
    lines.set_time(0.0)
    return lines


def head(reply: Reply, lines: StatusLines, connection: str = "", **options: bool) -> list[str]:
    return encode_head(reply, lines[reply.status], connection, **options).decode().split("\r\n")


def test_a_head_is_status_date_headers_length_and_connection(lines: StatusLines) -> None:
    assert head(Reply(200, (("A", "b"),), b"xyz"), lines, "Connection: close\r\n") == [
        "HTTP/1.1 200 OK",
        "Date: Thu, 01 Jan 1970 00:00:00 GMT",
        "A: b",
        "Content-Length: 3",
        "Connection: close",
        "",
        "",
    ]


def test_the_date_goes_on(lines: StatusLines) -> None:
    assert "00:00:00" in lines[200]
    lines.set_time(1.5)
    assert "00:00:01" in lines[200]


def test_replies_without_a_body_have_no_length(lines: StatusLines) -> None:
    assert not any(line.startswith("Content-Length") for line in head(Reply(204), lines))


def test_a_reply_to_head_keeps_the_length_it_was_given(lines: StatusLines) -> None:
    text = head(Reply(200, (("Content-Length", "77"),)), lines, to_head_request=True)
    assert [line for line in text if line.startswith("Content-Length")] == ["Content-Length: 77"]


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nB: c", "a\rB: c"])
def test_line_breaks_in_values_become_spaces(lines: StatusLines, value: str) -> None:
    text = head(Reply(200, (("A", value),)), lines)
    assert not any(line.startswith("B") for line in text)
    assert sum(line.startswith("A: a") for line in text) == 1


def test_text_beyond_latin_1_travels_as_utf_8(lines: StatusLines) -> None:
    assert "Ω".encode() in encode_head(Reply(200, (("A", "Ω"),)), lines[200], "")


def test_a_status_without_a_name_is_still_a_status(lines: StatusLines) -> None:
    assert lines[599].startswith("HTTP/1.1 599 Unknown\r\n")
