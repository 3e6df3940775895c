"""The log of one environment in JSON: platform events in place of START, END and REPORT, filtered by level.

Not thread-safe by itself: like every ``EnvironmentLog`` it is told one thing at a time. The tail that a caller asks for
is taken before the levels filter, and holds whole records only.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rie_server.limits import LOG_TAIL_BYTES
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport
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
        write: Callable[..., None],
        timestamp: Callable[[], str],
    ) -> None:
        self._function = function
        self._environment_id = environment_id
        self._settings = function.log_settings
        self._add = write
        self._timestamp = timestamp
        self._tail: deque[bytes] | None = None
        self._tail_bytes = 0

    def init_started(self) -> None:
        self._tell(platform_events.init_start(self._function, self._environment_id))

    def init_failed(self, *, duration_ms: float, phase: str, status: str, error_type: str | None) -> None:
        for event in platform_events.init_ends(
            duration_ms=duration_ms, phase=phase, status=status, error_type=error_type
        ):
            self._tell(event)

    def restore_started(self) -> None:
        self._tell(platform_events.restore_start(self._function, self._environment_id))

    def restore_ended(self, *, duration_ms: float, status: str, error_type: str | None) -> None:
        for event in platform_events.restore_ends(duration_ms=duration_ms, status=status, error_type=error_type):
            self._tell(event)

    def started(self, request_id: str, *, want_tail: bool) -> None:
        if want_tail:
            self._tail, self._tail_bytes = deque(), 0
        self._tell(platform_events.start(request_id, self._function.version))

    def output(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        self._keep(text)
        if self._settings.takes_output(text):
            self._add(text)

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str | None) -> None:
        self._tell(platform_events.extension(name, state, events, error_type))

    def extension_output(self, line: bytes) -> None:
        self.output(line)

    def finished(self, report: InvocationReport) -> bytes:
        self._tell(platform_events.runtime_done(report))
        self._tell(platform_events.report(report, self._function.memory_size_mb))
        tail, self._tail = self._tail, None
        return b"" if tail is None else b"".join(tail)

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
