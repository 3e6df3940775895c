"""External extensions in a process environment: each a process of its own beside the runtime's, started before it.

They share the runtime's address, temporary files and control group. Thread-safe. Output and ends come from the watch's
thread; ``on_exit`` of an extension is told after its last line.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from subprocess import Popen

from rie_server.errors import EnvironmentStartError
from rie_server.executors.cgroup import Cgroup
from rie_server.executors.child_process import ChildProcess
from rie_server.executors.entry_point import launch_refusal
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.log_frames import Output
from rie_server.executors.process_environment import Holdings, ProcessEnvironment
from rie_server.model.environment import EnvironmentExit
from rie_server.model.extension import EXTENSIONS_FOLDER, EXTENSIONS_MOST
from rie_server.ports import EnvironmentObserver

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
        self._extensions: list[ChildProcess] = []
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
        extension = ChildProcess(process, output, watch=self._watch, pass_on=self._pass_on)
        with self._lock:
            self._extensions.append(extension)
            self._alive += 1
            stopped = self._stopped
        extension.begin(partial(self._extension_ended, path.name, extension))
        if stopped:
            extension.signal_group(signal.SIGKILL)

    # --- RunningEnvironment -------------------------------------------------------------------------------------------

    def flush_output(self) -> None:
        for extension in self._extensions:
            extension.flush()
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
            extension.signal_group(signal.SIGKILL)
        cgroup: Cgroup | None = self.holdings.cgroup
        if cgroup is not None:
            cgroup.kill(rounds=1)
        if nobody:
            self.exited.set()
        self._on_stopped(self)

    def _pass_on(self, output: Iterable[Output]) -> None:
        for one in output:
            self._observer.on_extension_output(one if isinstance(one, bytes) else one.text)

    def _extension_ended(self, name: str, extension: ChildProcess) -> None:
        code = extension.collect()
        exit_ = EnvironmentExit(signal=-code) if code < 0 else EnvironmentExit(status=code)
        self._observer.on_extension_exit(name, exit_)
        self._one_ended()

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
