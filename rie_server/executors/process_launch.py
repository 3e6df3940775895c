"""Starting one process of an environment: its command line, its limits, and what a failure is called.

Thread-safe: keeps nothing. ``spawn`` belongs on the thread that lives as long as the executor, because the kernel ends
children when the thread that made them ends.
"""

import contextlib
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rie_server import limits
from rie_server.errors import EnvironmentStartError
from rie_server.executors.process_environment import Holdings


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command line with everything the kernel needs to run it.

    Attributes:
        prefix: commands that prepare the process and then become what ``arguments`` name.
    """

    prefix: list[str]
    arguments: list[str]
    variables: dict[str, str]
    code_directory: Path
    memory_bytes: int


def spawn(launch: Launch, output: int, *, records: bool = False) -> subprocess.Popen[bytes]:
    """Starts a session of its own that writes to ``output``.

    Args:
        records: it may write records there, too, in frames (``log_frames``).
    """
    frames = {"_LAMBDA_TELEMETRY_LOG_FD": str(output)} if records else {}
    return subprocess.Popen(  # noqa: S603 -- running what the user deployed is the purpose
        [*launch.prefix, *launch.arguments],
        cwd=launch.code_directory,
        env=launch.variables | frames,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=(output,) if records else (),
        start_new_session=True,
    )


def confine(process_id: int, holdings: Holdings, memory_bytes: int) -> None:
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


def dies_with_server() -> list[str]:
    """The start of a command line whose process the kernel ends together with the server; empty where that is
    not offered. It also keeps the function from gaining rights by set-user-id programs, which would undo it.
    """
    command = shutil.which("setpriv")
    if command is None:
        return []
    prefix = [command, "--pdeathsig", "KILL", "--no-new-privs"]
    probe = subprocess.run([*prefix, command, "--version"], capture_output=True, check=False)  # noqa: S603
    return prefix if probe.returncode == 0 else []


def failure(refused: Exception) -> EnvironmentStartError:
    """A failure of this machine: full disk, no file descriptors or processes left."""
    words = os.strerror(refused.errno) if isinstance(refused, OSError) and refused.errno else str(refused)
    return EnvironmentStartError("Sandbox.Failure", f"the environment could not be started: {words}")
