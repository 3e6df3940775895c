"""One environment that runs in a container.

Output comes from the attached stream on the watch's thread, the end from the events' thread; ``flush_output`` and
``stop`` from any. The output lock is held while lines are delivered, because that is what keeps them in order.

The engine passes output on a moment after it was written, so ``flush_output`` delivers what has arrived; the rest
follows by itself.
"""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from rie_server.executors.cgroup import MemoryFiles, cgroup_paths
from rie_server.executors.docker_failures import init_refusal
from rie_server.executors.docker_frames import FrameReader
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.log_frames import Output, tell
from rie_server.executors.memory_gauge import MemoryGauge
from rie_server.model.environment import EnvironmentExit
from rie_server.ports import Clock, EnvironmentObserver

log = logging.getLogger(__name__)

_READ_BYTES = 65536
_SIGNAL_BASE = 128
_ENGINE_PEAK_SECONDS = 0.2
# A function that prints without end must not keep the others' output waiting.
_READS_AT_ONCE = 16
_INIT_FATAL = b"[FATAL tini "


class ContainerKeeper(Protocol):
    """What an environment asks of its executor; every method returns at once."""

    def end_init(self, environment: "DockerEnvironment") -> None:
        """The extra processors of the init phase end."""

    def signal(self, environment: "DockerEnvironment", name: str) -> None: ...

    def remove(self, environment: "DockerEnvironment") -> None: ...

    def refresh_peak(self, environment: "DockerEnvironment") -> None: ...

    def later(self, work: Callable[[], None]) -> None:
        """Runs ``work``, which may block, on a thread of the executor's."""

    def look_at_end(self, environment: "DockerEnvironment", exit_code: int) -> None:
        """The runtime has ended before its container, which may tell whether memory ran out."""


class Pauses(Protocol):
    """What an environment asks of its engine, and waits for."""

    def pause(self, container_id: str) -> None: ...

    def unpause(self, container_id: str) -> None: ...


class DockerEnvironment:
    def __init__(
        self,
        *,
        environment_id: str,
        container_id: str,
        memory_mb: int,
        observer: EnvironmentObserver,
        watch: FileWatch,
        clock: Clock,
        keeper: ContainerKeeper,
        pauses: Pauses,
    ) -> None:
        self.environment_id = environment_id
        self.container_id = container_id
        self.exited = threading.Event()
        self.output_ended = threading.Event()
        self.nano_processors_after_init: int | None = None
        self._memory_mb = memory_mb
        self._observer = observer
        self._watch = watch
        self._clock = clock
        self._keeper = keeper
        self._pauses = pauses
        self._reading = threading.Lock()
        self._frames = FrameReader()
        self._output: int | None = None
        self._state = threading.Lock()
        self._settled = False
        self._stopped = False
        self._ended = False
        self._exit_told = False
        self._launch_error: str | None = None
        self._gauge: MemoryGauge | None = None
        self._peak_mb_by_engine = 0
        self._peak_asked_at = float("-inf")

    # --- RunningEnvironment -------------------------------------------------------------------------------------------

    def flush_output(self) -> None:
        with self._reading:
            self._read_what_is_there()
            for stream, one in self._frames.flush():
                self._take(stream, one)
        if not self._settled:
            self.settle()

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        if self._gauge is not None:
            return max(self._gauge.peak_mb(max_age_seconds), self._peak_mb_by_engine)
        now = self._clock.monotonic()
        if now - self._peak_asked_at >= _ENGINE_PEAK_SECONDS:
            self._peak_asked_at = now
            self._keeper.refresh_peak(self)
        return self._peak_mb_by_engine

    def start_runtime(self) -> None:
        """It was started at once: there are no external extensions."""

    def end_runtime(self, *, grace_seconds: float) -> None:
        self._keeper.signal(self, "SIGTERM")
        self._clock.call_later(grace_seconds, partial(self._keeper.signal, self, "SIGKILL"))

    def freeze(self) -> None:
        self._pauses.pause(self.container_id)

    def thaw(self) -> None:
        self._pauses.unpause(self.container_id)

    def stop(self) -> None:
        with self._state:
            if self._stopped:
                return
            self._stopped = True
        self._keeper.remove(self)

    # --- for the executor ---------------------------------------------------------------------------------------------

    def listen(self, output: int) -> None:
        """Takes over the attached stream's descriptor."""
        os.set_blocking(output, False)
        self._output = output
        self._watch.add(output, self._on_readable)

    def settle(self) -> None:
        with self._state:
            if self._settled:
                return
            self._settled = True
        self._keeper.end_init(self)

    def measure(self, inspected: dict[str, Any]) -> bool:
        """Finds where the kernel keeps this container's figures; False when they are out of reach."""
        process_id = int(inspected["State"].get("Pid") or 0)
        files = MemoryFiles.of(cgroup_paths(process_id)) if process_id else None
        # The folder carries the container's id; otherwise the number belongs to a process of ours.
        if files is not None and self.container_id in str(files.peak):
            self._gauge = MemoryGauge(process_id=process_id, files=files, clock=self._clock)
        return self._gauge is not None

    def note_peak(self, megabytes: int) -> None:
        self._peak_mb_by_engine = max(self._peak_mb_by_engine, megabytes)

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    def close_output(self) -> None:
        with self._reading:
            self._read_what_is_there()
            if self._output is not None:
                self._watch.close_file(self._output)
                self._output = None
        self.output_ended.set()

    def tell_exit(self, exit_: EnvironmentExit) -> None:
        """After the last output; the first call counts."""
        with self._state:
            if self._ended:
                return
            self._ended = True
        self.close_output()
        with self._reading:
            for stream, one in self._frames.flush(ended=True):
                self._take(stream, one)
        self.exited.set()
        self.tell_runtime_exit(
            exit_ if self._launch_error is None else EnvironmentExit(launch_error=self._launch_error)
        )

    def tell_runtime_exit(self, exit_: EnvironmentExit) -> None:
        """The runtime has ended, with the container or before it; the first call counts."""
        with self._state:
            if self._exit_told:
                return
            self._exit_told = True
        if exit_.out_of_memory:
            # The kernel's figures may have gone with the container; it had reached its limit.
            self.note_peak(self._memory_mb)
        self._observer.on_exit(exit_)

    # --- output -------------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        with self._reading:
            ended = not self._read_what_is_there()
        if ended:
            self.close_output()

    def _read_what_is_there(self) -> bool:
        """False at the end of the stream."""
        if self._output is None:
            return True
        for _ in range(_READS_AT_ONCE):
            try:
                data = os.read(self._output, _READ_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            for stream, one in self._frames.feed(data):
                self._take(stream, one)
        return True

    def _take(self, stream: int, one: Output) -> None:
        """Passes a line on, unless the engine's init says with it that it cannot start the command."""
        if isinstance(one, bytes) and one.startswith(_INIT_FATAL):
            words = init_refusal(one.decode("utf-8", "replace"))
            if words is not None:
                self._launch_error = words
                return
        self._pass_on(stream, one)

    def _pass_on(self, stream: int, one: Output) -> None:  # noqa: ARG002 -- those with extensions tell them apart
        tell(self._observer, (one,))


def exit_from(inspected: dict[str, Any] | None, exit_code: int) -> EnvironmentExit:
    """What ended the container; ``inspected`` is None when it is gone already."""
    out_of_memory = bool(inspected and inspected["State"].get("OOMKilled"))
    number = exit_code - _SIGNAL_BASE
    with contextlib.suppress(ValueError):
        return EnvironmentExit(
            signal=int(signal.Signals(number)), out_of_memory=out_of_memory and number == signal.SIGKILL
        )
    return EnvironmentExit(status=exit_code)


def peak_in_statistics(statistics: dict[str, Any]) -> int:
    """Megabytes, from the engine's figures: without the file pages that the kernel has cached."""
    memory = statistics.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cached = int(details.get("total_cache") or details.get("file") or 0)
    peak = int(memory.get("max_usage") or memory.get("usage") or 0)
    return -(-max(peak - cached, 0) // (1024 * 1024))
