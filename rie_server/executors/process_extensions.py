"""External extensions in a process environment: each a process of its own beside the runtime's, started before it.

They share the runtime's address, temporary files and control group. Thread-safe. Output and ends come from the watch's
thread; ``on_exit`` of an extension is told after its last line.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen

from rie_server.errors import EnvironmentStartError
from rie_server.executors.cgroup import Cgroup
from rie_server.executors.entry_point import launch_refusal
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.lines import LineSplitter
from rie_server.executors.process_environment import Holdings, ProcessEnvironment
from rie_server.model.environment import EnvironmentExit
from rie_server.model.extension import EXTENSIONS_FOLDER, EXTENSIONS_MOST
from rie_server.ports import EnvironmentObserver

_READ_BYTES = 65536
_LAST_OUTPUT_BYTES = 1024 * 1024

# Starts the program with its output on the given descriptor.
Spawn = Callable[[Path, int], Popen[bytes]]
LaunchRuntime = Callable[[EnvironmentObserver], ProcessEnvironment]


def external_extensions(layers: Path | None) -> list[Path]:
    """The files of ``extensions/`` in what stands for ``/opt``, by name; AWS takes them all, executable or not."""
    if layers is None:
        return []
    try:
        return sorted(path for path in (layers / "extensions").iterdir() if path.is_file())
    except OSError:
        return []


def check_number(names: Sequence[str]) -> None:
    """Raises: EnvironmentStartError: more extensions than an environment may have."""
    if len(names) > EXTENSIONS_MOST:
        raise EnvironmentStartError("Extension.TooManyExtensions", f"Extension limit ({EXTENSIONS_MOST}) reached")


class ExtensionProcess:
    """One extension that runs."""

    def __init__(self, name: str, process: Popen[bytes], output: int, *, observer: EnvironmentObserver) -> None:
        self.name = name
        self._process = process
        self._observer = observer
        self._reading = threading.Lock()
        self._signalling = threading.Lock()
        self._output: int | None = output
        self._lines = LineSplitter()
        os.set_blocking(output, False)

    def begin(self, watch: FileWatch, on_ended: Callable[[], None]) -> None:
        """Listens to its output and waits for its end."""
        assert self._output is not None
        watch.add(self._output, lambda: self._on_readable(watch))

        def ended() -> None:
            self._ended(watch)
            on_ended()

        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(self._process.pid)

                def on_end() -> None:
                    watch.close_file(descriptor)
                    ended()

                watch.add(descriptor, on_end)
                return

        def wait() -> None:
            self._process.wait()
            watch.call(ended)

        threading.Thread(target=wait, name=f"process-wait-{self._process.pid}", daemon=True).start()

    def flush_output(self) -> None:
        with self._reading:
            if self._output is not None:
                self._read(_READ_BYTES)

    def kill(self) -> None:
        with self._signalling:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _on_readable(self, watch: FileWatch) -> None:
        with self._reading:
            if self._output is not None and not self._read(_READ_BYTES):
                watch.close_file(self._output)
                self._output = None

    def _read(self, at_most_bytes: int) -> bool:
        """False at the end of the stream."""
        assert self._output is not None
        while at_most_bytes > 0:
            try:
                data = os.read(self._output, min(_READ_BYTES, at_most_bytes))
            except BlockingIOError:
                return True
            if not data:
                return False
            at_most_bytes -= len(data)
            for line in self._lines.feed(data):
                self._observer.on_extension_output(line)
        return True

    def _ended(self, watch: FileWatch) -> None:
        # Its children go with it: none of them shall write for ever into the pipe that is emptied below.
        self.kill()
        with self._signalling:
            code = self._process.wait()
        with self._reading:
            if self._output is not None:
                self._read(_LAST_OUTPUT_BYTES)
                watch.close_file(self._output)
                self._output = None
            for line in self._lines.flush():
                self._observer.on_extension_output(line)
        exit_ = EnvironmentExit(signal=-code) if code < 0 else EnvironmentExit(status=code)
        self._observer.on_extension_exit(self.name, exit_)


class ExtendedEnvironment:
    """An environment with external extensions: they run, and the runtime is started when it is told to be.

    Fills ``RunningEnvironment``.
    """

    def __init__(
        self,
        *,
        holdings: Holdings,
        observer: EnvironmentObserver,
        watch: FileWatch,
        launch_runtime: LaunchRuntime,
        on_stopped: Callable[["ExtendedEnvironment"], None],
    ) -> None:
        self.holdings = holdings
        self.exited = threading.Event()
        self._observer = observer
        self._watch = watch
        self._launch_runtime = launch_runtime
        self._on_stopped = on_stopped
        self._lock = threading.Lock()
        self._extensions: list[ExtensionProcess] = []
        self._runtime: ProcessEnvironment | None = None
        self._starting = 0
        self._alive = 0
        self._stopped = False

    def begin(self, extensions: Sequence[Path], spawn: Spawn) -> None:
        """Starts the extensions; one that cannot be is told as its exit."""
        self._observer.on_extensions([path.name for path in extensions])
        for path in extensions:
            refusal = launch_refusal(path, f"{EXTENSIONS_FOLDER}/{path.name}")
            if refusal is not None:
                self._observer.on_extension_exit(path.name, EnvironmentExit(launch_error=f"fork/exec {refusal}"))
                continue
            self._start(path, spawn)

    def _start(self, path: Path, spawn: Spawn) -> None:
        output, output_of_child = os.pipe()
        try:
            process = spawn(path, output_of_child)
        except OSError as refused:
            os.close(output)
            words = f"fork/exec {EXTENSIONS_FOLDER}/{path.name}: {os.strerror(refused.errno or 0).lower()}"
            self._observer.on_extension_exit(path.name, EnvironmentExit(launch_error=words))
            return
        finally:
            os.close(output_of_child)
        extension = ExtensionProcess(path.name, process, output, observer=self._observer)
        with self._lock:
            self._extensions.append(extension)
            self._alive += 1
        extension.begin(self._watch, self._one_ended)

    # --- RunningEnvironment -------------------------------------------------------------------------------------------

    def flush_output(self) -> None:
        for extension in self._extensions:
            extension.flush_output()
        if self._runtime is not None:
            self._runtime.flush_output()

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        return 0 if self._runtime is None else self._runtime.peak_memory_mb(max_age_seconds=max_age_seconds)

    def start_runtime(self) -> None:
        with self._lock:
            if self._stopped or self._runtime is not None or self._starting:
                return
            self._starting = 1
            self._alive += 1
        try:
            runtime = self._launch_runtime(_Between(self._observer, self._one_ended))
        except BaseException:
            self._one_ended()
            raise
        with self._lock:
            self._runtime = runtime
            stopped = self._stopped
        if stopped:
            runtime.kill()

    def end_runtime(self, *, grace_seconds: float) -> None:
        if self._runtime is not None:
            self._runtime.end_runtime(grace_seconds=grace_seconds)

    def freeze(self) -> None:
        self.holdings.freeze()

    def thaw(self) -> None:
        self.holdings.thaw()

    def stop(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            runtime, nobody = self._runtime, self._alive == 0
        if runtime is not None:
            runtime.kill()
        for extension in self._extensions:
            extension.kill()
        cgroup: Cgroup | None = self.holdings.cgroup
        if cgroup is not None:
            cgroup.kill(rounds=1)
        if nobody:
            self.exited.set()
        self._on_stopped(self)

    def _one_ended(self) -> None:
        with self._lock:
            self._alive -= 1
            if self._alive == 0 and self._stopped:
                self.exited.set()


class _Between:
    """Passes on what is told of the runtime, and counts its end."""

    def __init__(self, observer: EnvironmentObserver, on_ended: Callable[[], None]) -> None:
        self.on_output = observer.on_output
        self.on_record = observer.on_record
        self.on_extensions = observer.on_extensions
        self.on_extension_output = observer.on_extension_output
        self.on_extension_exit = observer.on_extension_exit
        self._on_exit = observer.on_exit
        self._on_ended = on_ended

    def on_exit(self, exit_: EnvironmentExit) -> None:
        self._on_ended()
        self._on_exit(exit_)
