"""Runs zip functions as processes of this machine: ``python -m awslambdaric`` or the package's ``bootstrap``.

Every environment is a session of its own with a loopback address, a folder for temporary files and, where the kernel
lets us, a control group. Thread-safe. Threads: ``process-spawn`` (lives as long as the executor, because the kernel
ends children when the thread that made them ends), ``process-watch`` and ``process-cleanup``; ``close`` joins them.
"""

import contextlib
import logging
import os
import resource
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rie_server import limits
from rie_server.errors import EnvironmentStartError
from rie_server.executors.cgroup import Cgroup, CgroupRoot
from rie_server.executors.entry_point import Interpreters, bootstrap_path
from rie_server.executors.environment_folders import EnvironmentFolders
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.process_environment import Holdings, ProcessEnvironment
from rie_server.executors.process_variables import process_variables
from rie_server.model.environment import EnvironmentSpec
from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock, EnvironmentObserver, RunningEnvironment, RuntimeEndpoints

log = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024
_STOP_SECONDS = 5.0
_ABANDONED_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launch:
    """A command line with everything the kernel needs to run it."""

    arguments: list[str]
    variables: dict[str, str]
    code_directory: Path
    memory_bytes: int


class ProcessExecutor:
    name = "process"

    def __init__(self, *, server_id: str, data_dir: Path, endpoints: RuntimeEndpoints, clock: Clock) -> None:
        self._server_id = server_id
        self._endpoints = endpoints
        self._clock = clock
        self._folders = EnvironmentFolders(data_dir, clock=clock)
        self._interpreters = Interpreters()
        self._cgroups = CgroupRoot.detect()
        self._dies_with_server = _dies_with_server()
        self._watch = FileWatch("process-watch")
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="process-spawn")
        self._cleaner = ThreadPoolExecutor(1, thread_name_prefix="process-cleanup")
        self._lock = threading.Lock()
        self._running: set[ProcessEnvironment] = set()
        self._closed = False

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> RunningEnvironment:
        reason = self.supports(spec.function)
        if reason is not None:
            raise EnvironmentStartError("Runtime.InvalidEntrypoint", reason)
        code_directory = spec.function.code_directory
        if code_directory is None or not code_directory.is_dir():
            raise EnvironmentStartError("Runtime.InvalidWorkingDir", "the function's code is not there")
        arguments, interpreter = self._command(spec.function, code_directory)
        try:
            folder = self._folders.create(spec.environment_id)
        except OSError as refused:
            raise _failure(refused) from refused
        holdings = Holdings(
            environment_id=spec.environment_id,
            folder=folder,
            cgroup=self._cgroup(spec),
            release_address=self._endpoints.close,
        )
        try:
            launch = _Launch(
                arguments=arguments,
                variables=process_variables(
                    spec.variables,
                    code_directory=code_directory,
                    interpreter=interpreter,
                    temporary_files=folder.temporary_files,
                    runtime_api=self._endpoints.open_address(spec.environment_id),
                ),
                code_directory=code_directory,
                memory_bytes=spec.function.memory_size_mb * _MEGABYTE,
            )
            return self._launch(launch, holdings, observer)
        except Exception as refused:
            # Whatever it was: an address, a folder and a control group are taken by now.
            holdings.free(self._clock)
            raise _failure(refused) from refused

    def supports(self, function: FunctionVersion) -> str | None:
        runtime = function.runtime
        if runtime is None:
            return "a function image needs Docker"
        if runtime.startswith("provided"):
            return None
        if runtime.startswith("python"):
            return None if function.handler else "a Python function needs a handler"
        return f"the process executor runs python and provided runtimes, not {runtime}: that needs Docker"

    def remove_orphans(self) -> int:
        found = self._folders.remove_orphans()
        if self._cgroups is not None:
            self._cgroups.remove_abandoned(created_before=self._clock.now() - _ABANDONED_SECONDS)
        return found

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        # Starts that are under way are let through, so that none is missed below.
        self._spawner.submit(lambda: None).result()
        with self._lock:
            running = list(self._running)
        for environment in running:
            environment.stop()
        for environment in running:
            if not environment.exited.wait(_STOP_SECONDS):
                log.error("environment %s does not end", environment.holdings.environment_id)
        self._watch.close()
        self._cleaner.shutdown()
        self._spawner.shutdown()
        self._folders.remove_own()

    def _command(self, function: FunctionVersion, code_directory: Path) -> tuple[list[str], str | None]:
        """The command line, and the interpreter if one is to come first on PATH."""
        assert function.runtime is not None
        if function.runtime.startswith("python"):
            interpreter = self._interpreters.path(function.runtime)
            return [*self._dies_with_server, interpreter, "-m", "awslambdaric", function.handler or ""], interpreter
        bootstrap = str(bootstrap_path(code_directory))
        return [*self._dies_with_server, bootstrap], None

    def _cgroup(self, spec: EnvironmentSpec) -> Cgroup | None:
        if self._cgroups is None:
            return None
        try:
            return self._cgroups.create(
                spec.environment_id,
                memory_bytes=spec.function.memory_size_mb * _MEGABYTE,
                processes=limits.ENVIRONMENT_PROCESSES,
            )
        except OSError as refused:
            log.warning("no control group for an environment (%s): its memory is limited by rlimit", refused)
            return None

    def _launch(self, launch: _Launch, holdings: Holdings, observer: EnvironmentObserver) -> ProcessEnvironment:
        output, output_of_child = os.pipe()
        os.set_blocking(output, False)
        try:
            process = self._spawner.submit(self._spawn, launch, output_of_child).result()
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(output_of_child)
        self._spawner.submit(_confine, process.pid, holdings, launch.memory_bytes)
        environment = ProcessEnvironment(
            process=process,
            output=output,
            holdings=holdings,
            observer=observer,
            watch=self._watch,
            clock=self._clock,
            on_stopped=self._on_stopped,
        )
        with self._lock:
            self._running.add(environment)
            closed = self._closed
        environment.begin()
        if closed:
            environment.stop()
        return environment

    def _spawn(self, launch: _Launch, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 -- running what the user deployed is the purpose
            launch.arguments,
            cwd=launch.code_directory,
            env={**launch.variables, "_LAMBDA_TELEMETRY_LOG_FD": str(output)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(output,),
            start_new_session=True,
        )

    def _on_stopped(self, environment: ProcessEnvironment) -> None:
        self._cleaner.submit(self._free, environment)

    def _free(self, environment: ProcessEnvironment) -> None:
        environment.holdings.free(self._clock)
        # Until its end has been seen it counts as running, so that ``close`` leaves no process uncollected.
        environment.exited.wait(_STOP_SECONDS)
        with self._lock:
            self._running.discard(environment)


def _confine(process_id: int, holdings: Holdings, memory_bytes: int) -> None:
    """Runs right after the start, beside the child's own first steps: moving a process may take the kernel 20 ms."""
    if hasattr(os, "SCHED_BATCH"):
        # A runtime that wakes up waits for its turn instead of interrupting the server, which wakes one with every
        # reply: where processors are few that is a fifth of the throughput.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(process_id, os.SCHED_BATCH, os.sched_param(0))
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):
            files = limits.ENVIRONMENT_FILE_DESCRIPTORS
            resource.prlimit(process_id, resource.RLIMIT_NOFILE, (files, files))
            if holdings.cgroup is None:
                resource.prlimit(process_id, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    if holdings.cgroup is not None:
        holdings.cgroup.add(process_id)
    with contextlib.suppress(OSError):
        holdings.folder.write_record(process_id, holdings.cgroup)


def _dies_with_server() -> list[str]:
    """The start of a command line whose process the kernel ends together with the server; empty where that is
    not offered. It also keeps the function from gaining rights by set-user-id programs, which would undo it.
    """
    command = shutil.which("setpriv")
    if command is None:
        return []
    prefix = [command, "--pdeathsig", "KILL", "--no-new-privs"]
    probe = subprocess.run([*prefix, command, "--version"], capture_output=True, check=False)  # noqa: S603
    return prefix if probe.returncode == 0 else []


def _failure(refused: Exception) -> EnvironmentStartError:
    """A failure of this machine: full disk, no file descriptors or processes left."""
    words = os.strerror(refused.errno) if isinstance(refused, OSError) and refused.errno else str(refused)
    return EnvironmentStartError("Sandbox.Failure", f"the environment could not be started: {words}")
