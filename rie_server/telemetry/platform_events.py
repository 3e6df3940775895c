"""AWS's platform events as JSON (Telemetry API, schema 2022-12-13): what a log in JSON holds in place of text lines.

Pure. An event is ``{"time", "type", "record"}``; each comes with the level by which ``SystemLogLevel`` filters it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport
from rie_server.telemetry.platform_lines import runtime_version


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEvent:
    """``type`` without ``platform.``; ``level`` is DEBUG, INFO or WARN."""

    type: str
    level: str
    record: dict[str, Any]

    def envelope(self, time: str) -> dict[str, Any]:
        """``time`` is an ISO timestamp with milliseconds and Z."""
        return {"time": time, "type": f"platform.{self.type}", "record": self.record}


def init_start(function: FunctionVersion, environment_id: str) -> PlatformEvent:
    record: dict[str, Any] = {"initializationType": "on-demand", "phase": "init"}
    record |= _whereabouts(function, environment_id)
    return PlatformEvent(type="initStart", level="INFO", record=record)


def init_ends(
    *, duration_ms: float, phase: str, status: str, error_type: str | None
) -> tuple[PlatformEvent, PlatformEvent]:
    """``initRuntimeDone`` and ``initReport`` of an initialization that has ended in ``status``."""
    record: dict[str, Any] = {"initializationType": "on-demand", "phase": phase, "status": status}
    if error_type is not None:
        record["errorType"] = error_type
    level = "DEBUG" if status == "success" else "WARN"
    report = {**record, "metrics": {"durationMs": round(duration_ms, 3)}}
    return (
        PlatformEvent(type="initRuntimeDone", level=level, record=record),
        PlatformEvent(type="initReport", level="DEBUG" if status == "success" else "INFO", record=report),
    )


def restore_start(function: FunctionVersion, environment_id: str) -> PlatformEvent:
    return PlatformEvent(type="restoreStart", level="INFO", record=_whereabouts(function, environment_id))


def restore_ends(*, duration_ms: float, status: str, error_type: str | None) -> tuple[PlatformEvent, PlatformEvent]:
    """``restoreRuntimeDone`` and ``restoreReport`` of a restore that has ended in ``status``."""
    record: dict[str, Any] = {"status": status}
    if error_type is not None:
        record["errorType"] = error_type
    level = "DEBUG" if status == "success" else "WARN"
    report = {**record, "metrics": {"durationMs": round(duration_ms, 3)}}
    return (
        PlatformEvent(type="restoreRuntimeDone", level=level, record=record),
        PlatformEvent(type="restoreReport", level="INFO", record=report),
    )


def extension(name: str, state: str, events: Sequence[str], error_type: str | None) -> PlatformEvent:
    record: dict[str, Any] = {"name": name, "state": state, "events": list(events)}
    if error_type is not None:
        record["errorType"] = error_type
    return PlatformEvent(type="extension", level="DEBUG" if error_type is None else "WARN", record=record)


def start(request_id: str, version: str) -> PlatformEvent:
    return PlatformEvent(type="start", level="INFO", record={"requestId": request_id, "version": version})


def runtime_done(figures: InvocationReport) -> PlatformEvent:
    """A handler that raised has done its work, too: ``success``. Only exits and timeouts are none."""
    record = _outcome(figures)
    record["metrics"] = {"durationMs": round(figures.duration_ms, 3)}
    return PlatformEvent(type="runtimeDone", level="WARN" if figures.status else "DEBUG", record=record)


def report(figures: InvocationReport, memory_size_mb: int) -> PlatformEvent:
    """``billedDurationMs`` is rounded up and includes initialization, as in the REPORT line."""
    init_ms = figures.init_duration_ms
    metrics: dict[str, Any] = {
        "durationMs": round(figures.duration_ms, 3),
        "billedDurationMs": math.ceil(figures.duration_ms + (init_ms or 0.0)),
        "memorySizeMB": memory_size_mb,
        "maxMemoryUsedMB": figures.max_memory_used_mb,
    }
    if init_ms is not None:
        metrics["initDurationMs"] = round(init_ms, 3)
    if figures.restore_duration_ms is not None:
        metrics["restoreDurationMs"] = round(figures.restore_duration_ms, 3)
        metrics["billedRestoreDurationMs"] = math.ceil(figures.restore_duration_ms)
    return PlatformEvent(type="report", level="INFO", record={**_outcome(figures), "metrics": metrics})


def _whereabouts(function: FunctionVersion, environment_id: str) -> dict[str, Any]:
    record: dict[str, Any] = {}
    version = runtime_version(function)
    if version is not None:
        record |= {"runtimeVersion": version[0], "runtimeVersionArn": version[1]}
    return record | {
        "functionName": function.arn.name,
        "functionVersion": function.version,
        "instanceId": environment_id,
        "instanceMaxMemory": function.memory_size_mb * 1024 * 1024,
    }


def _outcome(figures: InvocationReport) -> dict[str, Any]:
    record: dict[str, Any] = {"requestId": figures.request_id, "status": figures.status or "success"}
    if figures.error_type is not None:
        record["errorType"] = figures.error_type
    return record
