"""Runs zip functions as processes of this machine: ``python -m awslambdaric`` or the package's ``bootstrap``.

Every environment is a session of its own with a loopback address, a folder for temporary files and, where the kernel
lets us, a control group. Thread-safe. Threads: ``process-spawn`` (lives as long as the executor, because the kernel
ends children when the thread that made them ends), ``process-watch`` and ``process-cleanup``; ``close`` joins them.
"""

import logging
import os
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rie_server import limits
from rie_server.errors import EnvironmentStartError
from rie_server.executors.cgroup import Cgroup, CgroupRoot
from rie_server.executors.entry_point import Interpreters, bootstrap_path
from rie_server.executors.environment_folders import EnvironmentFolders
from rie_server.executors.file_watch import FileWatch
from rie_server.executors.layer_mounts import LAYERS_ROOT, LayerMounts
from rie_server.executors.process_environment import Holdings, ProcessEnvironment
from rie_server.executors.process_extensions import ExtendedEnvironment, check_number, external_extensions
from rie_server.executors.process_launch import Launch, confine, dies_with_server, failure, spawn
from rie_server.executors.process_variables import process_variables
from rie_server.model.environment import EnvironmentSpec
from rie_server.model.extension import extension_variables
from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock, EnvironmentObserver, RunningEnvironment, RuntimeEndpoints

log = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024
_STOP_SECONDS = 5.0
_ABANDONED_SECONDS = 60.0


class ProcessExecutor:
    name = "process"

    def __init__(
        self,
        *,
        server_id: str,
        data_dir: Path,
        endpoints: RuntimeEndpoints,
        clock: Clock,
        freezing: bool = False,
        lambda_url: str | None = None,
    ) -> None:
        """
        Args:
            freezing: environments are to be frozen now and then.
            lambda_url: of the Lambda API, for durable functions.
        """
        self._server_id = server_id
        self._endpoints = endpoints
        self._clock = clock
        self._lambda_url = lambda_url
        self._folders = EnvironmentFolders(data_dir, clock=clock)
        self._interpreters = Interpreters()
        self._layer_mounts = LayerMounts()
        self._cgroups = CgroupRoot.detect(freezing=freezing)
        self._dies_with_server = dies_with_server()
        self._watch = FileWatch("process-watch")
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="process-spawn")
        self._cleaner = ThreadPoolExecutor(1, thread_name_prefix="process-cleanup")
        self._lock = threading.Lock()
        self._running: set[ProcessEnvironment | ExtendedEnvironment] = set()
        self._closed = False

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> RunningEnvironment:
        reason = self.supports(spec.function)
        if reason is not None:
            raise EnvironmentStartError("Runtime.InvalidEntrypoint", reason)
        spec = spec.with_endpoint(self._lambda_url)
        code_directory = spec.function.code_directory
        if code_directory is None or not code_directory.is_dir():
            raise EnvironmentStartError("Runtime.InvalidWorkingDir", "the function's code is not there")
        arguments, interpreter = self._command(spec.function, code_directory)
        layers = spec.function.layers_directory
        extensions = external_extensions(layers)
        check_number([path.name for path in extensions])
        holdings = self._holdings(spec)
        try:
            runtime_api = self._endpoints.open_address(spec.environment_id)
            mount = []
            if layers is not None:
                holdings.folder.write_hosts(runtime_api.rpartition(":")[0])
                needed = [code_directory, Path(arguments[0])]
                mount = self._layer_mounts.prefix(layers, needed, hosts=holdings.folder.hosts)
            variables = partial(
                process_variables,
                code_directory=code_directory,
                interpreter=interpreter,
                temporary_files=holdings.folder.temporary_files,
                runtime_api=runtime_api,
                layers=LAYERS_ROOT if mount else layers,
                runtime=spec.function.runtime or "",
            )
            launch = Launch(
                prefix=[*self._dies_with_server, *mount],
                arguments=arguments,
                variables=variables(spec.variables),
                code_directory=code_directory,
                memory_bytes=spec.function.memory_size_mb * _MEGABYTE,
            )
            if not extensions:
                return self._launch(launch, holdings, observer)
            for_extensions = replace(launch, variables=variables(extension_variables(spec.variables)))
            seen_at = LAYERS_ROOT / "extensions" if mount else extensions[0].parent
            return self._launch_extended(launch, for_extensions, extensions, seen_at, holdings, observer)
        except Exception as refused:
            # Whatever it was: an address, a folder and a control group are taken by now.
            holdings.free(self._clock)
            raise failure(refused) from refused

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
            return [interpreter, "-m", "awslambdaric", function.handler or ""], interpreter
        return [str(bootstrap_path(code_directory, function.layers_directory))], None

    def _holdings(self, spec: EnvironmentSpec) -> Holdings:
        try:
            folder = self._folders.create(spec.environment_id)
        except OSError as refused:
            raise failure(refused) from refused
        return Holdings(
            environment_id=spec.environment_id,
            folder=folder,
            cgroup=self._cgroup(spec),
            release_address=self._endpoints.close,
        )

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

    def _launch(self, launch: Launch, holdings: Holdings, observer: EnvironmentObserver) -> ProcessEnvironment:
        environment = self._runtime(launch, holdings, observer)
        closed = self._add(environment)
        environment.begin()
        if closed:
            environment.stop()
        return environment

    def _launch_extended(
        self,
        launch: Launch,
        for_extensions: Launch,
        extensions: Sequence[Path],
        seen_at: Path,
        holdings: Holdings,
        observer: EnvironmentObserver,
    ) -> ExtendedEnvironment:
        def launch_runtime(observer: EnvironmentObserver) -> ProcessEnvironment:
            try:
                runtime = self._runtime(launch, holdings, observer, is_alone=False)
            except Exception as refused:
                raise failure(refused) from refused
            runtime.begin()
            return runtime

        def spawn_extension(path: Path, output: int) -> subprocess.Popen[bytes]:
            extension = replace(for_extensions, arguments=[str(seen_at / path.name)])
            process = self._spawner.submit(spawn, extension, output).result()
            self._spawner.submit(confine, process.pid, holdings, launch.memory_bytes)
            return process

        environment = ExtendedEnvironment(
            holdings=holdings,
            observer=observer,
            watch=self._watch,
            launch_runtime=launch_runtime,
            on_stopped=self._on_stopped,
        )
        closed = self._add(environment)
        environment.begin(extensions, spawn_extension)
        if closed:
            environment.stop()
        return environment

    def _add(self, environment: ProcessEnvironment | ExtendedEnvironment) -> bool:
        """Puts an environment on the list of those that ``close`` stops; True when it is closed already."""
        with self._lock:
            self._running.add(environment)
            return self._closed

    def _runtime(
        self, launch: Launch, holdings: Holdings, observer: EnvironmentObserver, *, is_alone: bool = True
    ) -> ProcessEnvironment:
        """Starts a runtime's process; the caller begins to listen to it."""
        output, output_of_child = os.pipe()
        try:
            process = self._spawner.submit(spawn, launch, output_of_child, records=True).result()
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(output_of_child)
        self._spawner.submit(confine, process.pid, holdings, launch.memory_bytes)
        return ProcessEnvironment(
            process=process,
            output=output,
            holdings=holdings,
            observer=observer,
            watch=self._watch,
            clock=self._clock,
            on_stopped=self._on_stopped,
            is_alone=is_alone,
        )

    def _on_stopped(self, environment: ProcessEnvironment | ExtendedEnvironment) -> None:
        self._cleaner.submit(self._free, environment)

    def _free(self, environment: ProcessEnvironment | ExtendedEnvironment) -> None:
        environment.holdings.free(self._clock)
        # Until its end has been seen it counts as running, so that ``close`` leaves no process uncollected.
        environment.exited.wait(_STOP_SECONDS)
        with self._lock:
            self._running.discard(environment)
