"""AWS's platform events (Telemetry API): what subscribers get, and what a log in JSON holds in place of text lines.

Pure. An event is ``{"time", "type", "record"}``; each comes with the level by which ``SystemLogLevel`` filters it in a
log. Which of them a subscriber gets, and in which shape, is for ``schemas`` to say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rie_server.model.environment import ON_DEMAND
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.tracing import InvocationSegments
from rie_server.telemetry.platform_lines import runtime_version
from rie_server.telemetry.timestamps import iso_milliseconds

DROPPED_REASON = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEvent:
    """``type`` without ``platform.``; ``level`` is DEBUG, INFO or WARN; ``record`` is an object, of a fault a text."""

    type: str
    level: str
    record: Any

    def envelope(self, time: str) -> dict[str, Any]:
        """``time`` is an ISO timestamp with milliseconds and Z."""
        return {"time": time, "type": f"platform.{self.type}", "record": self.record}


# --- initialization ---------------------------------------------------------------------------------------------------


def init_start(
    function: FunctionVersion, environment_id: str, *, initialization_type: str = ON_DEMAND, phase: str = "init"
) -> PlatformEvent:
    record: dict[str, Any] = {"initializationType": initialization_type, "phase": phase}
    return PlatformEvent(type="initStart", level="INFO", record=record | _instance(function, environment_id))


def init_ends(
    *,
    duration_ms: float,
    phase: str,
    status: str,
    error_type: str | None,
    initialization_type: str = ON_DEMAND,
) -> tuple[PlatformEvent, PlatformEvent]:
    """``initRuntimeDone`` and ``initReport`` of an initialization that has ended in ``status``."""
    record: dict[str, Any] = {"initializationType": initialization_type, "phase": phase, "status": status}
    if error_type is not None:
        record["errorType"] = error_type
    level = "DEBUG" if status == "success" else "WARN"
    report = {**record, "metrics": {"durationMs": round(duration_ms, 3)}}
    return (
        PlatformEvent(type="initRuntimeDone", level=level, record=record),
        PlatformEvent(type="initReport", level="DEBUG" if status == "success" else "INFO", record=report),
    )


def restore_start(function: FunctionVersion, environment_id: str) -> PlatformEvent:
    """An environment begins from a snapshot."""
    return PlatformEvent(type="restoreStart", level="INFO", record=_instance(function, environment_id))


def restore_ends(*, duration_ms: float, status: str, error_type: str | None) -> tuple[PlatformEvent, PlatformEvent]:
    """``restoreRuntimeDone`` and ``restoreReport`` of a restore that has ended in ``status``."""
    record: dict[str, Any] = {"status": status}
    if error_type is not None:
        record["errorType"] = error_type
    report = {**record, "metrics": {"durationMs": round(duration_ms, 3)}}
    return (
        PlatformEvent(type="restoreRuntimeDone", level="DEBUG" if status == "success" else "WARN", record=record),
        PlatformEvent(type="restoreReport", level="INFO", record=report),
    )


# --- invocations ------------------------------------------------------------------------------------------------------


def start(
    request_id: str, version: str, tracing: dict[str, Any] | None = None, tenant_id: str | None = None
) -> PlatformEvent:
    record: dict[str, Any] = {"requestId": request_id, "version": version}
    if tenant_id is not None:
        record["tenantId"] = tenant_id
    if tracing is not None:
        record["tracing"] = tracing
    return PlatformEvent(type="start", level="INFO", record=record)


def trace_context(trace_header: str, segments: InvocationSegments | None) -> dict[str, Any] | None:
    """``TraceContext``; None without a header. ``segments`` is None where the invocation is not sampled."""
    if not trace_header:
        return None
    span_id = {} if segments is None else {"spanId": segments.function_id}
    return {**span_id, "type": "X-Amzn-Trace-Id", "value": trace_header}


def runtime_done(
    request_id: str,
    *,
    duration_ms: float,
    status: str | None,
    error_type: str | None,
    answer: RuntimeAnswer | None = None,
    spans: Sequence[dict[str, Any]] = (),
    tracing: dict[str, Any] | None = None,
    tenant_id: str | None = None,
) -> PlatformEvent:
    """A handler that raised has done its work, too: ``success``. Only exits and timeouts are none.

    Args:
        status: None for success.
        answer: None where the runtime gave none.
    """
    record = _outcome(request_id, status, error_type)
    if tenant_id is not None:
        record["tenantId"] = tenant_id
    metrics: dict[str, Any] = {"durationMs": round(duration_ms, 3)}
    if answer is not None:
        metrics["producedBytes"] = answer.produced_bytes
    record["metrics"] = metrics
    if spans:
        record["spans"] = list(spans)
    if tracing is not None:
        record["tracing"] = tracing
    return PlatformEvent(type="runtimeDone", level="WARN" if status else "DEBUG", record=record)


def answer_spans(answer: RuntimeAnswer, *, started_at: float, overhead_ms: float | None) -> list[dict[str, Any]]:
    """
    Args:
        started_at: of the invocation, in seconds since the epoch.
        overhead_ms: from the end of the answer to the runtime's next question; None where it did not ask again.
    """
    latency_ms = answer.duration_ms if answer.latency_ms is None else answer.latency_ms
    spans = [
        span("responseLatency", started_at, latency_ms),
        span("responseDuration", started_at + latency_ms / 1000, max(0.0, answer.duration_ms - latency_ms)),
    ]
    if overhead_ms is not None:
        spans.append(span("runtimeOverhead", started_at + answer.duration_ms / 1000, overhead_ms))
    return spans


def span(name: str, started_at: float, duration_ms: float) -> dict[str, Any]:
    return {"name": name, "start": iso_milliseconds(started_at), "durationMs": round(duration_ms, 3)}


def report(
    figures: InvocationReport,
    memory_size_mb: int | None,
    spans: Sequence[dict[str, Any]] = (),
    tracing: dict[str, Any] | None = None,
) -> PlatformEvent:
    """``billedDurationMs`` is rounded up and includes initialization, as in the REPORT line.

    Args:
        memory_size_mb: None where several invocations share an environment: then only the duration is its own.
    """
    metrics: dict[str, Any] = {"durationMs": round(figures.duration_ms, 3)}
    if memory_size_mb is not None:
        metrics |= _bill(figures, memory_size_mb)
    record = {**_outcome(figures.request_id, figures.status, figures.error_type), "metrics": metrics}
    if spans:
        record["spans"] = list(spans)
    if tracing is not None:
        record["tracing"] = tracing
    return PlatformEvent(type="report", level="INFO", record=record)


def _bill(figures: InvocationReport, memory_size_mb: int) -> dict[str, Any]:
    init_ms, restore_ms = figures.init_duration_ms, figures.restore_duration_ms
    metrics: dict[str, Any] = {
        "billedDurationMs": math.ceil(figures.duration_ms + (init_ms or 0.0)),
        "memorySizeMB": memory_size_mb,
        "maxMemoryUsedMB": figures.max_memory_used_mb,
    }
    if init_ms is not None:
        metrics["initDurationMs"] = round(init_ms, 3)
    if restore_ms is not None:
        metrics["restoreDurationMs"] = round(restore_ms, 3)
        metrics["billedRestoreDurationMs"] = math.ceil(restore_ms)
    return metrics


def end(request_id: str) -> PlatformEvent:
    """Of the Logs API alone."""
    return PlatformEvent(type="end", level="INFO", record={"requestId": request_id})


def fault(figures: InvocationReport) -> PlatformEvent:
    """Of the Logs API alone: an environment ended while it owed an answer."""
    text = f"RequestId: {figures.request_id} Status: {figures.status}"
    if figures.error_type is not None:
        text += f"\tErrorType: {figures.error_type}"
    return PlatformEvent(type="fault", level="WARN", record=text)


# --- extensions and subscribers ---------------------------------------------------------------------------------------


def extension(name: str, state: str, events: Sequence[str], error_type: str | None) -> PlatformEvent:
    record: dict[str, Any] = {"name": name, "state": state, "events": list(events)}
    if error_type is not None:
        record["errorType"] = error_type
    return PlatformEvent(type="extension", level="DEBUG" if error_type is None else "WARN", record=record)


def subscription(kind: str, name: str, state: str, types: Sequence[str]) -> PlatformEvent:
    """
    Args:
        kind: ``telemetry`` or ``logs``.
        state: ``Subscribed`` or ``Already subscribed``.
    """
    record = {"name": name, "state": state, "types": list(types)}
    return PlatformEvent(type=f"{kind}Subscription", level="DEBUG", record=record)


def logs_dropped(dropped_records: int, dropped_bytes: int, reason: str = DROPPED_REASON) -> PlatformEvent:
    record = {"droppedBytes": dropped_bytes, "droppedRecords": dropped_records, "reason": reason}
    return PlatformEvent(type="logsDropped", level="WARN", record=record)


def _instance(function: FunctionVersion, environment_id: str) -> dict[str, Any]:
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


def _outcome(request_id: str, status: str | None, error_type: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {"requestId": request_id, "status": status or "success"}
    if error_type is not None:
        record["errorType"] = error_type
    return record
