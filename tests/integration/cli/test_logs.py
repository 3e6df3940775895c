"""`rie logs`: what has been written, and what is being written."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rie_server.__main__ import rie
from rie_server.commands.logs import lines_since, log_lines, parse_since
from tests.fakes.clock import FakeClock


class Writer(FakeClock):
    """A clock whose sleeper wakes up to the next thing that happens to the log."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self._steps = iter(steps)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        step = next(self._steps, None)
        if step is None:
            raise AssertionError("the follower waits for something that never comes")
        step()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "hello.log"


def append(log: Path, text: str) -> Callable[[], None]:
    def write() -> None:
        with log.open("a") as file:
            file.write(text)

    return write


def rotate(log: Path) -> Callable[[], object]:
    return lambda: log.replace(log.with_name(log.name + ".1"))


def first(count: int, lines: Iterator[bytes]) -> list[bytes]:
    return list(islice(lines, count))


def test_the_rotated_file_comes_before_the_current_one(log: Path) -> None:
    log.with_name("hello.log.1").write_text("one\n")
    log.write_text("two\nthree\n")
    assert list(log_lines(log, None)) == [b"one\n", b"two\n", b"three\n"]


def test_a_log_that_has_just_been_rotated_is_read_from_the_rotated_file(log: Path) -> None:
    log.with_name("hello.log.1").write_text("one\n")
    assert list(log_lines(log, None)) == [b"one\n"]


def test_a_last_line_that_is_not_finished_is_shown_when_nobody_waits_for_its_end(log: Path) -> None:
    log.write_text("one\ntw")
    assert list(log_lines(log, None)) == [b"one\n", b"tw\n"]


def test_a_follower_waits_for_a_log_that_does_not_exist_yet(log: Path) -> None:
    writer = Writer(lambda: None, append(log, "one\n"))
    assert first(1, log_lines(log, writer)) == [b"one\n"]


def test_a_follower_never_shows_half_a_line(log: Path) -> None:
    log.write_text("one\ntw")
    writer = Writer(append(log, "o"), append(log, "\nthree\n"))
    assert first(3, log_lines(log, writer)) == [b"one\n", b"two\n", b"three\n"]


def test_a_follower_goes_on_in_the_new_file_when_the_log_is_rotated(log: Path) -> None:
    log.write_text("one\n")
    writer = Writer(append(log, "two\n"), append(log, "three\n"), rotate(log), append(log, "four\n"))
    assert first(4, log_lines(log, writer)) == [b"one\n", b"two\n", b"three\n", b"four\n"]


def test_a_follower_reads_what_was_written_just_before_a_rotation(log: Path) -> None:
    log.write_text("one\n")

    def all_at_once() -> None:
        append(log, "two\n")()
        rotate(log)()
        append(log, "three\n")()

    assert first(3, log_lines(log, Writer(all_at_once))) == [b"one\n", b"two\n", b"three\n"]


def test_since_shows_from_the_first_line_that_is_late_enough() -> None:
    lines = [
        b"2026-01-01T10:00:00.000Z 0123abcd early\n",
        b"   more of it\n",
        b"2026-01-01T11:00:00.000Z 0123abcd late\n",
        b"   more of it\n",
    ]
    start_seconds = datetime(2026, 1, 1, 10, 30, tzinfo=UTC).timestamp()
    assert list(lines_since(lines, start_seconds)) == lines[2:]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 100_000 - 30),
        ("10m", 100_000 - 600),
        ("2h", 100_000 - 7200),
        ("1d", 100_000 - 86_400),
        ("1970-01-02T00:00:00Z", 86_400),
        ("1970-01-02T00:00:00", 86_400),
        ("1970-01-02T01:00:00+01:00", 86_400),
    ],
)
def test_since_takes_a_duration_or_a_moment(text: str, seconds: float) -> None:
    assert parse_since(text, now=100_000) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "10", "5w", "-1m"])
def test_since_refuses_anything_else(text: str) -> None:
    with pytest.raises(click.UsageError, match="30s, 10m"):
        parse_since(text, now=0)


def test_the_command_reads_the_log_of_the_region(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "eu-west-1"
    folder.mkdir(parents=True)
    (folder / "hello.log").write_text("2026-01-01T10:00:00.000Z 0123abcd Grüße\n", encoding="utf-8")
    arguments = ["logs", "hello", "--data-dir", str(tmp_path), "--region", "eu-west-1"]
    result = CliRunner().invoke(rie, arguments)
    assert (result.exit_code, result.output) == (0, "2026-01-01T10:00:00.000Z 0123abcd Grüße\n")
    assert CliRunner().invoke(rie, [*arguments, "--since", "1m"]).output == ""
