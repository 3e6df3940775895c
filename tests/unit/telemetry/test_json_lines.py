"""The log in JSON: AWS's platform events, filtered by level; and in which file a log group lies."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rie_server.model.environment_variables import environment_variables, log_stream_name
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.log_file import log_file
from rie_server.model.log_record import LogRecord
from rie_server.model.log_settings import LogSettings
from rie_server.telemetry.logs import LogWriter
from tests.fakes.clock import FakeClock
from tests.unit.invoke.conftest import function_version

WARM = InvocationReport(request_id="id", duration_ms=3.006, init_duration_ms=None, max_memory_used_mb=36)
TIMED_OUT = replace(WARM, status="timeout")


def logged(tmp_path: Path, settings: LogSettings, *, report: InvocationReport = WARM) -> tuple[list[str], str]:
    """The lines of one cold invocation, and its tail."""
    shown: list[str] = []
    writer = LogWriter(directory=tmp_path, clock=FakeClock(), show=shown.append)
    stream = writer.open(replace(function_version(), log_settings=settings), "e")
    stream.init_started()
    stream.started("id", want_tail=True)
    stream.output(b"plain")
    stream.output(b'{"level":"DEBUG","message":"detail"}')
    stream.output(b'{"level":"WARNING","message":"care"}')
    tail = stream.finished(report)
    writer.flush()
    return [line.removeprefix("[orders] ") for line in "".join(shown).splitlines()], tail.decode()


def types(lines: list[str]) -> list[str]:
    return [json.loads(line)["type"] for line in lines if line.startswith('{"time"')]


def test_platform_events_stand_in_place_of_text_lines(tmp_path: Path) -> None:
    lines, _ = logged(tmp_path, LogSettings(is_json=True))
    assert types(lines) == ["platform.initStart", "platform.start", "platform.report"]
    assert json.loads(lines[1]) == {
        "time": "2026-01-01T00:00:00.000Z",
        "type": "platform.start",
        "record": {"requestId": "id", "version": "$LATEST"},
    }
    metrics = {"durationMs": 3.006, "billedDurationMs": 4, "memorySizeMB": 128, "maxMemoryUsedMB": 36}
    assert json.loads(lines[-1])["record"] == {"requestId": "id", "status": "success", "metrics": metrics}


@pytest.mark.parametrize(
    ("level", "report", "expected"),
    [
        ("DEBUG", WARM, ["initStart", "start", "runtimeDone", "report"]),
        ("WARN", WARM, []),
        ("WARN", TIMED_OUT, ["runtimeDone"]),
    ],
)
def test_the_system_level_filters_platform_events(
    tmp_path: Path, level: str, report: InvocationReport, expected: list[str]
) -> None:
    lines, _ = logged(tmp_path, LogSettings(is_json=True, system_level=level), report=report)
    assert types(lines) == [f"platform.{name}" for name in expected]


@pytest.mark.parametrize(
    ("level", "expected"),
    [("TRACE", ["plain", "detail", "care"]), ("INFO", ["plain", "care"]), ("WARN", ["care"]), ("ERROR", [])],
)
def test_the_application_level_filters_output_and_plain_text_counts_as_info(
    tmp_path: Path, level: str, expected: list[str]
) -> None:
    lines, _ = logged(tmp_path, LogSettings(is_json=True, application_level=level, system_level="WARN"))
    assert [json.loads(line)["message"] if line[0] == "{" else line for line in lines] == expected


def test_the_tenant_is_named_at_the_start_and_when_the_runtime_has_done(tmp_path: Path) -> None:
    shown: list[str] = []
    writer = LogWriter(directory=tmp_path, clock=FakeClock(), show=shown.append)
    settings = LogSettings(is_json=True, system_level="DEBUG")
    stream = writer.open(replace(function_version(), log_settings=settings), "e")
    stream.started("id", want_tail=False, tenant_id="blue")
    stream.finished(WARM)
    writer.flush()
    lines = [json.loads(line.removeprefix("[orders] ")) for line in "".join(shown).splitlines()]
    assert [(one["type"], one["record"].get("tenantId")) for one in lines] == [
        ("platform.start", "blue"),
        ("platform.runtimeDone", "blue"),
        ("platform.report", None),
    ]


def test_of_invocations_that_share_an_environment_only_the_duration_is_told(tmp_path: Path) -> None:
    shown: list[str] = []
    writer = LogWriter(directory=tmp_path, clock=FakeClock(), show=shown.append)
    settings = LogSettings(is_json=True, system_level="DEBUG")
    stream = writer.open(replace(function_version(), log_settings=settings), "e")
    stream.init_started("lambda-managed-instances")
    stream.started("id", want_tail=False)
    stream.finished(WARM)
    writer.flush()
    lines = [json.loads(line.removeprefix("[orders] ")) for line in "".join(shown).splitlines()]
    assert [one["type"] for one in lines][1:] == ["platform.start", "platform.report"]
    assert lines[-1]["record"]["metrics"] == {"durationMs": 3.006}


def test_the_tail_is_taken_before_the_levels_filter(tmp_path: Path) -> None:
    _, tail = logged(tmp_path, LogSettings(is_json=True, application_level="FATAL", system_level="WARN"))
    assert types(tail.splitlines()) == ["platform.start", "platform.runtimeDone", "platform.report"]
    assert "plain\n" in tail


def test_a_runtime_is_told_of_json_and_its_level() -> None:
    settings = LogSettings(is_json=True, application_level="DEBUG")
    function = replace(function_version(), log_settings=settings)
    variables = environment_variables(function, log_stream="s", neighbours={})
    assert (variables["AWS_LAMBDA_LOG_FORMAT"], variables["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "DEBUG")
    assert "AWS_LAMBDA_LOG_FORMAT" not in environment_variables(function_version(), log_stream="s", neighbours={})


@pytest.mark.parametrize(
    ("group", "file"),
    [
        ("/aws/lambda/orders", "orders.log"),
        ("orders", "groups/orders.log"),
        ("/shop/../all", "groups/~shop~..~all.log"),
    ],
)
def test_a_log_group_has_a_file_of_its_own(group: str, file: str) -> None:
    assert log_file(Path("/logs"), group) == Path("/logs") / file


def test_a_stream_in_a_group_of_the_functions_own_names_the_function() -> None:
    function = function_version()
    assert log_stream_name(function, "e", "2026/01/31") == "2026/01/31/[$LATEST]e"
    own = replace(function, log_group="/shop/all")
    assert log_stream_name(own, "e", "2026/01/31") == "2026/01/31/orders[$LATEST][e]"


def test_what_a_runtime_produced_is_told_where_anybody_can_see_it(tmp_path: Path) -> None:
    shown: list[str] = []
    writer = LogWriter(directory=tmp_path, clock=FakeClock(), show=shown.append)
    settings = LogSettings(is_json=True, system_level="DEBUG")
    stream = writer.open(replace(function_version(), log_settings=settings), "e")
    assert stream.is_observed
    stream.started("id", want_tail=False)
    stream.answered(RuntimeAnswer(request_id="id", duration_ms=3.0, produced_bytes=42))
    stream.finished(WARM)
    writer.flush()
    done = json.loads("".join(shown).splitlines()[1].removeprefix("[orders] "))
    assert done["record"]["metrics"] == {"durationMs": 3.006, "producedBytes": 42}


def test_a_start_that_succeeds_is_told_at_the_lowest_level(tmp_path: Path) -> None:
    shown: list[str] = []
    writer = LogWriter(directory=tmp_path, clock=FakeClock(), show=shown.append)
    for level in ("INFO", "DEBUG"):
        settings = LogSettings(is_json=True, system_level=level)
        stream = writer.open(replace(function_version(), log_settings=settings), "e")
        stream.init_started("provisioned-concurrency")
        stream.init_ended(duration_ms=12.5, phase="init")
        assert stream.settled() is stream
    writer.flush()
    events = [json.loads(line.removeprefix("[orders] ")) for line in "".join(shown).splitlines()]
    assert [event["type"] for event in events] == [
        "platform.initStart",
        "platform.initStart",
        "platform.initRuntimeDone",
        "platform.initReport",
    ]
    assert {event["record"]["initializationType"] for event in events} == {"provisioned-concurrency"}


@pytest.mark.parametrize("level", ["DEBUG", "ERROR", None])
def test_a_record_passes_by_the_level_that_its_runtime_gave_it(tmp_path: Path, level: str | None) -> None:
    shown: list[str] = []
    writer = LogWriter(directory=tmp_path, clock=FakeClock(), show=shown.append)
    settings = LogSettings(is_json=True, application_level="DEBUG")
    stream = writer.open(replace(function_version(), log_settings=settings), "e")
    stream.record(LogRecord(text=b'{"message":"m"}', level=level, at_epoch_seconds=None))
    stream.record(LogRecord(text=b'{"message":"never"}', level="TRACE", at_epoch_seconds=None))
    writer.flush()
    assert '[orders] {"message":"m"}' in "".join(shown)
    assert "never" not in "".join(shown)
