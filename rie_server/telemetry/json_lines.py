"""The log of one environment in JSON: platform events in place of START, END and REPORT, filtered by level.

Not thread-safe by itself: like every ``EnvironmentLog`` it is told one thing at a time. The tail that a caller asks for
is taken before the levels filter, and holds whole records only.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rie_server.limits import LOG_TAIL_BYTES
from rie_server.model.environment import MANAGED_INSTANCES, ON_DEMAND
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.log_record import LogRecord
from rie_server.model.tracing import InvocationSegments
from rie_server.ports import EnvironmentLog
from rie_server.telemetry import platform_events
from rie_server.telemetry.platform_events import PlatformEvent


class JsonLogStream:
    """
    Args:
        write: takes lines that have passed the filters.
        timestamp: the time now, ISO with milliseconds and Z.
    """

    def __init__(
        self,
        function: FunctionVersion,
        environment_id: str,
        stream_name: str,
        write: Callable[..., None],
        timestamp: Callable[[], str],
    ) -> None:
        self._function = function
        self._environment_id = environment_id
        self.stream_name = stream_name
        self._settings = function.log_settings
        # Only ``runtimeDone`` tells of the answer, and only this level lets it through.
        self.is_observed = self._settings.system_level == "DEBUG"
        self._add = write
        self._timestamp = timestamp
        self._initialization_type = ON_DEMAND
        self._tracing: dict[str, dict[str, Any] | None] = {}
        self._tenants: dict[str, str] = {}
        self._answers: dict[str, RuntimeAnswer] = {}
        self._tail: deque[bytes] | None = None
        self._tail_bytes = 0

    def init_started(self, initialization_type: str = ON_DEMAND) -> None:
        self._initialization_type = initialization_type
        event = platform_events.init_start(
            self._function, self._environment_id, initialization_type=initialization_type
        )
        self._tell(event)

    def init_failed(self, *, duration_ms: float, phase: str, status: str, error_type: str | None) -> None:
        self._tell_init(duration_ms, phase, status, error_type)

    def init_ended(self, *, duration_ms: float, phase: str) -> None:
        self._tell_init(duration_ms, phase, "success", None)

    def settled(self) -> EnvironmentLog:
        return self

    def restore_started(self) -> None:
        self._tell(platform_events.restore_start(self._function, self._environment_id))

    def restore_ended(self, *, duration_ms: float, status: str, error_type: str | None) -> None:
        for event in platform_events.restore_ends(duration_ms=duration_ms, status=status, error_type=error_type):
            self._tell(event)

    def started(
        self,
        request_id: str,
        *,
        want_tail: bool,
        trace_header: str = "",
        segments: InvocationSegments | None = None,
        tenant_id: str | None = None,
    ) -> None:
        if want_tail:
            self._tail, self._tail_bytes = deque(), 0
        tracing = None
        if segments is not None:
            tracing = self._tracing[request_id] = platform_events.trace_context(trace_header, segments)
        if tenant_id is not None:
            self._tenants[request_id] = tenant_id
        self._tell(platform_events.start(request_id, self._function.version, tracing, tenant_id))

    def output(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        self._keep(text)
        if self._settings.takes_output(text):
            self._add(text)

    def record(self, record: LogRecord) -> None:
        text = record.text.decode("utf-8", "replace")
        self._keep(text)
        level = record.level
        if self._settings.takes_output(text) if level is None else self._settings.takes_application(level):
            self._add(text, at_epoch_seconds=record.at_epoch_seconds)

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str | None) -> None:
        self._tell(platform_events.extension(name, state, events, error_type))

    def extension_output(self, line: bytes) -> None:
        self.output(line)

    def subscribed(self, kind: str, name: str, state: str, types: Sequence[str]) -> None:
        self._tell(platform_events.subscription(kind, name, state, types))

    def finished(self, report: InvocationReport) -> bytes:
        tracing = self._tracing.pop(report.request_id, None)
        tenant_id = self._tenants.pop(report.request_id, None)
        done = platform_events.runtime_done(
            report.request_id,
            duration_ms=report.duration_ms,
            status=report.status,
            error_type=report.error_type,
            answer=self._answers.pop(report.request_id, None),
            tracing=tracing,
            tenant_id=tenant_id,
        )
        # Where several invocations run at a time there is no ``runtimeDone``, and memory is nobody's own, as in AWS.
        is_shared = self._initialization_type == MANAGED_INSTANCES
        if not is_shared:
            self._tell(done)
        memory_size_mb = None if is_shared else self._function.memory_size_mb
        self._tell(platform_events.report(report, memory_size_mb, tracing=tracing))
        tail, self._tail = self._tail, None
        return b"" if tail is None else b"".join(tail)

    def answered(self, answer: RuntimeAnswer) -> None:
        if self.is_observed:
            self._answers[answer.request_id] = answer

    def runtime_ready(self) -> None:
        """Nothing waits for it."""

    def flush(self) -> None:
        """Nobody waits for anything."""

    def close(self) -> None:
        """Nothing is held open."""

    def _tell(self, event: PlatformEvent) -> None:
        wanted = self._settings.takes_system(event.level)
        if not wanted and self._tail is None:
            return
        line = _json(event.envelope(self._timestamp()))
        self._keep(line)
        if wanted:
            self._add(line)

    def _tell_init(self, duration_ms: float, phase: str, status: str, error_type: str | None) -> None:
        for event in platform_events.init_ends(
            duration_ms=duration_ms,
            phase=phase,
            status=status,
            error_type=error_type,
            initialization_type=self._initialization_type,
        ):
            self._tell(event)

    def _keep(self, line: str) -> None:
        if self._tail is None:
            return
        data = f"{line}\n".encode()
        self._tail.append(data)
        self._tail_bytes += len(data)
        while self._tail_bytes > LOG_TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
