"""The log that people read: AWS's lines, in order, in files and on the server's output."""

import threading
from pathlib import Path

import pytest

from rie_server.clock import SystemClock
from rie_server.model.invocation import InvocationReport
from rie_server.telemetry import platform_lines
from rie_server.telemetry.logs import ROTATE_BYTES, WAITING_BYTES, LogWriter
from tests.fakes.clock import FakeClock
from tests.unit.invoke.conftest import function_version

WARM = InvocationReport(request_id="id", duration_ms=3.006, init_duration_ms=None, max_memory_used_mb=36)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def writer(tmp_path: Path, clock: FakeClock, shown: list[str]) -> LogWriter:
    return LogWriter(directory=tmp_path, clock=clock, show=shown.append)


def test_report_is_awss_line_with_its_trailing_tab() -> None:
    assert platform_lines.report(WARM, 128) == (
        "REPORT RequestId: id\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
    )


def test_report_of_a_cold_start_puts_init_duration_last_and_bills_it() -> None:
    cold = InvocationReport(request_id="id", duration_ms=3.0, init_duration_ms=110.1, max_memory_used_mb=36)
    line = platform_lines.report(cold, 128)
    assert "Billed Duration: 114 ms" in line
    assert line.endswith("Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t")


def test_init_start_names_the_runtime_as_aws_does() -> None:
    line = platform_lines.init_start(function_version())
    assert line is not None
    assert line.startswith(
        "INIT_START Runtime Version: python:3.11.v1\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:"
    )


def test_lines_reach_the_file_and_the_output_a_moment_later_and_in_order(tmp_path: Path, clock: FakeClock) -> None:
    shown: list[str] = []
    log_writer = writer(tmp_path, clock, shown)
    stream = log_writer.open(function_version(), "0123456789abcdef")
    stream.started("id", want_tail=False)
    stream.output("grüße".encode())
    stream.output(b"\xff")
    stream.finished(WARM)
    assert shown == []
    log_writer.flush()
    assert "".join(shown).splitlines()[:3] == [
        "[orders] START RequestId: id Version: $LATEST",
        "[orders] grüße",
        "[orders] �",
    ]
    lines = (tmp_path / "us-east-1" / "orders.log").read_text().splitlines()
    assert lines[0] == "2026-01-01T00:00:00.000Z 01234567 START RequestId: id Version: $LATEST"
    assert len(lines) == 5


def test_the_tail_is_the_last_four_kilobytes_and_only_when_wanted(tmp_path: Path, clock: FakeClock) -> None:
    stream = writer(tmp_path, clock, []).open(function_version(), "e")
    stream.started("id", want_tail=True)
    for number in range(1000):
        stream.output(f"line {number}".encode())
    tail = stream.finished(WARM)
    assert len(tail) == 4096
    assert b"line 999\nEND RequestId: id\nREPORT" in tail
    stream.started("id2", want_tail=False)
    assert stream.finished(WARM) == b""


def test_one_huge_line_is_cut_to_the_tail(tmp_path: Path, clock: FakeClock) -> None:
    stream = writer(tmp_path, clock, []).open(function_version(), "e")
    stream.started("id", want_tail=True)
    stream.output(b"x" * 10_000)
    assert len(stream.finished(WARM)) == 4096


def test_a_full_file_is_rotated(tmp_path: Path, clock: FakeClock) -> None:
    log_writer = writer(tmp_path, clock, [])
    stream = log_writer.open(function_version(), "e")
    stream.output(b"x" * ROTATE_BYTES)
    log_writer.flush()
    stream.output(b"next")
    log_writer.flush()
    assert (tmp_path / "us-east-1" / "orders.log").read_text().endswith(" next\n")
    assert (tmp_path / "us-east-1" / "orders.log.1").stat().st_size > ROTATE_BYTES


def test_a_disk_that_refuses_is_told_once_and_loses_no_invocation(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    shown: list[str] = []
    log_writer = LogWriter(directory=blocked, clock=clock, show=shown.append)
    stream = log_writer.open(function_version(), "e")
    for _ in range(2):
        stream.output(b"line")
        log_writer.flush()
    assert len(shown) == 2
    assert len(caplog.records) == 1


def test_the_lines_of_one_record_are_lines_for_whoever_reads_them(tmp_path: Path, clock: FakeClock) -> None:
    shown: list[str] = []
    log_writer = writer(tmp_path, clock, shown)
    log_writer.open(function_version(), "e").output(b"[ERROR] ValueError\rTraceback\r  File")
    log_writer.flush()
    assert "".join(shown) == "[orders] [ERROR] ValueError\nTraceback\n  File\n"


def test_an_output_that_nobody_reads_holds_up_nothing_but_itself(tmp_path: Path) -> None:
    stalled, release = threading.Event(), threading.Event()

    def stall(_text: str) -> None:
        stalled.set()
        release.wait(10)

    log_writer = LogWriter(directory=tmp_path, clock=SystemClock(), show=stall)
    log_writer.start()
    stream = log_writer.open(function_version(), "e")
    stream.output(b"one")
    assert stalled.wait(5)
    for _ in range(100):
        stream.output(b"more")
    release.set()
    log_writer.close()
    assert (tmp_path / "us-east-1" / "orders.log").read_text().count("more") == 100


@pytest.mark.parametrize("line", [b"", b"x" * 256 * 1024])
def test_what_waits_to_be_written_is_bounded_in_bytes_and_the_oldest_gives_way(
    tmp_path: Path, clock: FakeClock, line: bytes
) -> None:
    shown: list[str] = []
    log_writer = writer(tmp_path, clock, shown)
    stream = log_writer.open(function_version(), "e")
    stream.output(b"first")
    for _ in range(WAITING_BYTES // (len(line) + 100) + 1):
        stream.output(line)
    stream.output(b"last")
    log_writer.flush()
    text = "".join(shown)
    assert len(text) <= WAITING_BYTES
    assert "first" not in text
    assert text.endswith("[orders] last\n")
