"""Logs of functions: on the server's output and in one file per function.

Lines are collected and written a moment later by the thread ``log-writer``, so an invocation never waits for a disk or
for whoever reads the server's output. Files are ``<directory>/<region>/<function>.log`` (``groups/...`` for a log group
of the function's own), each line ``TIME STREAM-ID LINE``; at 10 MB one becomes ``.1``. What cannot be written is lost;
an invocation never is. Thread-safe.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rie_server.limits import LOG_TAIL_BYTES
from rie_server.model.environment import ON_DEMAND
from rie_server.model.environment_variables import log_stream_name
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.log_event import LogStreamAddress
from rie_server.model.log_file import log_file
from rie_server.model.log_record import LogRecord
from rie_server.model.tracing import InvocationSegments
from rie_server.observing import LogDelivery
from rie_server.ports import Clock, EnvironmentLog
from rie_server.telemetry import platform_lines
from rie_server.telemetry.json_lines import JsonLogStream
from rie_server.telemetry.timestamps import iso_milliseconds

WRITE_DELAY_SECONDS = 0.1
CLOSE_SECONDS = 2.0
ROTATE_BYTES = 10 * 1024 * 1024
# Above this the reader of our output or the disk has stalled, or a function prints faster than anybody can write; the
# oldest lines give way. What a line occupies beside its text counts, too, or empty lines would be free.
WAITING_BYTES = 32 * 1024 * 1024
LINE_OVERHEAD_BYTES = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """What stands around every line of one environment: in which file, and in front of it there and on the output;
    and the log stream that AWS would write it to.
    """

    path: Path
    label: str
    stream: str
    address: LogStreamAddress


Line = tuple[Origin, float, str]


class LogWriter:
    """Collects lines of all functions and writes them in order.

    Args:
        directory: where the files go; made when the first line comes.
        show: called with the text for the server's output.
        delivery: where else lines go.
    """

    def __init__(
        self,
        *,
        directory: Path,
        clock: Clock,
        show: Callable[[str], None] | None = None,
        delivery: LogDelivery | None = None,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._show = show or _show_on_stdout
        self._delivery = delivery
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._lines: deque[Line] = deque()
        self._waiting_bytes = 0
        self._wake = threading.Event()
        self._woken = False
        self._closing = False
        self._troubled = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Writes what is left; gives up on an output that nobody reads any more."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def open(self, function: FunctionVersion, environment_id: str) -> EnvironmentLog:
        path = log_file(self._directory / function.arn.region, function.log_group)
        date = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y/%m/%d")
        stream_name = log_stream_name(function, environment_id, date)
        address = LogStreamAddress(region=function.arn.region, group=function.log_group, stream=stream_name)
        origin = Origin(path, f"[{function.arn.name}] ", f" {environment_id[:8]} ", address)
        if function.log_settings.is_json:
            return JsonLogStream(function, environment_id, stream_name, partial(self.add, origin), self._now)
        return EnvironmentLogStream(function, origin, self.add)

    def _now(self) -> str:
        return iso_milliseconds(self._clock.now())

    def add(self, origin: Origin, *lines: str, at_epoch_seconds: float | None = None) -> None:
        at = self._clock.now() if at_epoch_seconds is None else at_epoch_seconds
        with self._lock:
            for line in lines:
                self._lines.append((origin, at, line))
                self._waiting_bytes += len(line) + LINE_OVERHEAD_BYTES
            while self._waiting_bytes > WAITING_BYTES:
                self._waiting_bytes -= len(self._lines.popleft()[2]) + LINE_OVERHEAD_BYTES
            if self._woken:
                return
            self._woken = True
        self._wake.set()

    def flush(self) -> None:
        """Writes everything that has been collected."""
        with self._writing:
            with self._lock:
                lines, self._lines = self._lines, deque()
                self._waiting_bytes = 0
                self._woken = False
            by_file: dict[Path, list[str]] = {}
            shown: list[str] = []
            for origin, at, raw in lines:
                line = raw.replace("\r", "\n")  # how a runtime joins the lines of one record
                by_file.setdefault(origin.path, []).append(f"{iso_milliseconds(at)}{origin.stream}{line}\n")
                shown.append(f"{origin.label}{line}\n")
            if self._delivery is not None and lines:
                self._delivery.take([(origin.address, at, raw.replace("\r", "\n")) for origin, at, raw in lines])
            if shown:
                self._show("".join(shown))
            for path, texts in by_file.items():
                self._append(path, "".join(texts))

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            self._clock.sleep(WRITE_DELAY_SECONDS)
            self.flush()
        self.flush()

    def _append(self, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
                full = file.tell() >= ROTATE_BYTES
            if full:
                path.replace(path.with_name(f"{path.name}.1"))
            self._troubled = False
        except OSError as trouble:
            if not self._troubled:
                log.warning("Logs of functions cannot be written: %s", trouble)
            self._troubled = True


class EnvironmentLogStream:
    """One environment's lines. Keeps the end of the running invocation's log when its caller wants it."""

    is_observed = False

    def __init__(self, function: FunctionVersion, origin: Origin, add: Callable[..., None]) -> None:
        self.stream_name = origin.address.stream
        self._function = function
        self._origin = origin
        self._add = add
        self._segments: dict[str, InvocationSegments] = {}
        self._tail: deque[bytes] | None = None
        self._tail_bytes = 0

    def init_started(self, initialization_type: str = ON_DEMAND) -> None:  # noqa: ARG002
        line = platform_lines.init_start(self._function)
        if line is not None:
            self._write(line)

    def init_failed(self, *, duration_ms: float, phase: str, status: str, error_type: str | None) -> None:
        self._write(platform_lines.init_report(duration_ms, phase, status, error_type))

    def init_ended(self, *, duration_ms: float, phase: str) -> None:
        """A log in text tells of failures alone."""

    def settled(self) -> EnvironmentLog:
        return self

    def restore_started(self) -> None:
        line = platform_lines.restore_start(self._function)
        if line is not None:
            self._write(line)

    def restore_ended(self, *, duration_ms: float, status: str, error_type: str | None) -> None:
        self._write(platform_lines.restore_report(duration_ms, status, error_type))

    def started(
        self,
        request_id: str,
        *,
        want_tail: bool,
        trace_header: str = "",  # noqa: ARG002
        segments: InvocationSegments | None = None,
        tenant_id: str | None = None,
    ) -> None:
        if segments is not None:
            self._segments[request_id] = segments
        if want_tail:
            self._tail, self._tail_bytes = deque(), 0
        self._write(platform_lines.start(request_id, self._function.version, tenant_id))

    def output(self, line: bytes) -> None:
        self._write(line.decode("utf-8", "replace"))

    def record(self, record: LogRecord) -> None:
        text = record.text.decode("utf-8", "replace")
        self._add(self._origin, text, at_epoch_seconds=record.at_epoch_seconds)
        self._keep(text)

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str | None) -> None:
        self._write(platform_lines.extension(name, state, events, error_type))

    def extension_output(self, line: bytes) -> None:
        self.output(line)

    def subscribed(self, kind: str, name: str, state: str, types: Sequence[str]) -> None:
        self._write(platform_lines.subscription(kind, name, state, types))

    def finished(self, report: InvocationReport) -> bytes:
        line = platform_lines.report(report, self._function.memory_size_mb)
        if self._segments and (segments := self._segments.pop(report.request_id, None)) is not None:
            line = f"{line}\n{platform_lines.traced(segments)}"
        self._write(platform_lines.end(report.request_id), line)
        tail, self._tail = self._tail, None
        return b"" if tail is None else b"".join(tail)[-LOG_TAIL_BYTES:]

    def answered(self, answer: RuntimeAnswer) -> None:
        """Nobody wants to know."""

    def runtime_ready(self) -> None:
        """Nothing waits for it."""

    def flush(self) -> None:
        """Nobody waits for anything."""

    def close(self) -> None:
        """Nothing is held open."""

    def _write(self, *lines: str) -> None:
        self._add(self._origin, *lines)
        self._keep(*lines)

    def _keep(self, *lines: str) -> None:
        tail = self._tail
        if tail is None:
            return
        for line in lines:
            data = f"{line}\n".encode()
            tail.append(data)
            self._tail_bytes += len(data)
        while self._tail_bytes - len(tail[0]) >= LOG_TAIL_BYTES:
            self._tail_bytes -= len(tail.popleft())


def _show_on_stdout(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        return  # whoever read the server's output has gone; the files remain
