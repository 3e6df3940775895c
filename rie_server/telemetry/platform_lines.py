"""AWS's platform lines, as text (Lambda Developer Guide, "Log formats"; recorded forms, tabs and all).

Pure.
"""

import hashlib
import math
import re
from collections.abc import Sequence

from rie_server.model.extension import events_as_logged
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport
from rie_server.model.tracing import InvocationSegments


def runtime_version(function: FunctionVersion) -> tuple[str, str] | None:
    """Version and ARN of the runtime; None for images, which have none."""
    if function.runtime is None:
        return None
    version = re.sub(r"^([a-z]+)(?=\d)", r"\1:", function.runtime).replace("provided.", "provided:")
    digest = hashlib.sha256(function.runtime.encode()).hexdigest()
    arn = f"arn:aws:lambda:{function.arn.region}::runtime:{digest}"
    return f"{version}.v1", arn


def init_start(function: FunctionVersion) -> str | None:
    """None for images."""
    known = runtime_version(function)
    return None if known is None else f"INIT_START Runtime Version: {known[0]}\tRuntime Version ARN: {known[1]}"


def init_report(duration_ms: float, phase: str, status: str, error_type: str | None) -> str:
    line = f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: {phase}\tStatus: {status}"
    return f"{line}\tError Type: {error_type}" if error_type else line


def restore_start(function: FunctionVersion) -> str | None:
    """None for images."""
    known = runtime_version(function)
    return None if known is None else f"RESTORE_START Runtime Version: {known[0]}\tRuntime Version ARN: {known[1]}"


def restore_report(duration_ms: float, status: str, error_type: str | None) -> str:
    line = f"RESTORE_REPORT Restore Duration: {duration_ms:.2f} ms"
    if status != "success":
        line += f"\tStatus: {status}"
    return f"{line}\tError Type: {error_type}" if error_type else line


def extension(name: str, state: str, events: Sequence[str], error_type: str | None) -> str:
    line = f"EXTENSION\tName: {name}\tState: {state}\tEvents: {events_as_logged(events)}"
    return f"{line}\tError Type: {error_type}" if error_type else line


def start(request_id: str, version: str, tenant_id: str | None = None) -> str:
    line = f"START RequestId: {request_id} Version: {version}"
    return line if tenant_id is None else f"{line}\tTenantId: {tenant_id}"


def end(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report(figures: InvocationReport, memory_size_mb: int) -> str:
    """Billed Duration is rounded up to a millisecond and includes initialization (since August 2025)."""
    init_ms = figures.init_duration_ms
    billed_ms = math.ceil(figures.duration_ms + (init_ms or 0.0))
    line = (
        f"REPORT RequestId: {figures.request_id}\tDuration: {figures.duration_ms:.2f} ms\t"
        f"Billed Duration: {billed_ms} ms\tMemory Size: {memory_size_mb} MB\t"
        f"Max Memory Used: {figures.max_memory_used_mb} MB\t"
    )
    if init_ms is not None:
        line += f"Init Duration: {init_ms:.2f} ms\t"
    if figures.restore_duration_ms is not None:
        restore_ms = figures.restore_duration_ms
        line += f"Restore Duration: {restore_ms:.2f} ms\tBilled Restore Duration: {math.ceil(restore_ms)} ms\t"
    if figures.status is not None:
        line += f"Status: {figures.status}"
        line += f"\tError Type: {figures.error_type}" if figures.error_type else ""
    return line


def traced(segments: InvocationSegments) -> str:
    """What follows REPORT, in the same record, where the invocation is traced."""
    return f"XRAY TraceId: {segments.trace_id}\tSegmentId: {segments.lambda_id}\tSampled: true\t"


def subscription(kind: str, name: str, state: str, types: Sequence[str]) -> str:
    """``kind`` is ``telemetry`` or ``logs``."""
    words = ", ".join(one.capitalize() for one in types)
    return f"{kind.upper()}\tName: {name}\tState: {state}\tTypes: [{words}]"
