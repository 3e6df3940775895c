"""The log that people read: AWS's lines, in order, in files and on the server's output."""

from pathlib import Path

import pytest

from rie_server.ports import InvocationReport
from rie_server.telemetry import platform_lines
from rie_server.telemetry.logs import ROTATE_BYTES, LogWriter
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
    stream = writer(tmp_path, clock, shown).open(function_version(), "0123456789abcdef")
    stream.started("id", want_tail=False)
    stream.output("grüße".encode())
    stream.output(b"\xff")
    stream.finished(WARM)
    assert shown == []
    clock.advance(0.1)
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
    stream = writer(tmp_path, clock, []).open(function_version(), "e")
    stream.output(b"x" * ROTATE_BYTES)
    clock.advance(0.1)
    stream.output(b"next")
    clock.advance(0.1)
    assert (tmp_path / "us-east-1" / "orders.log").read_text().endswith(" next\n")
    assert (tmp_path / "us-east-1" / "orders.log.1").stat().st_size > ROTATE_BYTES


def test_a_disk_that_refuses_is_told_once_and_loses_no_invocation(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    shown: list[str] = []
    stream = LogWriter(directory=blocked, clock=clock, show=shown.append).open(function_version(), "e")
    for _ in range(2):
        stream.output(b"line")
        clock.advance(0.1)
    assert len(shown) == 2
    assert len(caplog.records) == 1
