"""What a zip function is started with: the interpreter for Python, the ``bootstrap`` of the package for ``provided``.

Thread-safe. The checks tell before the start what an ``exec`` would say too late for AWS's words.
"""

import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from rie_server.errors import EnvironmentStartError

log = logging.getLogger(__name__)

_PROBE_SECONDS = 20


def bootstrap_path(code_directory: Path, layers_directory: Path | None) -> Path:
    """The executable of a custom runtime: the code's own, or one of a layer.

    Raises:
        EnvironmentStartError: there is none, or this machine cannot execute it.
    """
    folders = [code_directory] if layers_directory is None else [code_directory, layers_directory]
    found = [folder / "bootstrap" for folder in folders if (folder / "bootstrap").is_file()]
    if not found:
        raise EnvironmentStartError(
            "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
        )
    path = found[0]
    shown = "/var/task/bootstrap" if path.parent == code_directory else "/opt/bootstrap"
    refusal = launch_refusal(path, shown)
    if refusal is not None:
        raise EnvironmentStartError("Runtime.InvalidEntrypoint", f"fork/exec {refusal}")
    return path


def launch_refusal(path: Path, shown: str) -> str | None:
    """Why this machine cannot execute a file, in the kernel's words after ``shown``; None when it can."""
    if not os.access(path, os.X_OK):
        return f"{shown}: permission denied"
    with path.open("rb") as file:
        head = file.read(256)
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n", 1)[0].split()
        if not words or not os.access(words[0], os.X_OK):
            return f"{shown}: no such file or directory"
    elif head[:6] + head[18:20] != _own_machine():
        return f"{shown}: exec format error"
    return None


def _own_machine() -> bytes:
    """Format, word size, byte order and machine of the programs that run here, as our interpreter's file says."""
    with Path(sys.executable).open("rb") as file:
        head = file.read(20)
    return head[:6] + head[18:20]


class Interpreters:
    """Finds the Python for a runtime; looks for each once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    def path(self, runtime: str) -> str:
        """``pythonX.Y`` with the runtime interface client in it, otherwise the server's own interpreter."""
        with self._lock:
            known = self._found.get(runtime)
        if known is not None:
            return known
        path = sys.executable if runtime == _own_runtime() else _find(runtime)
        with self._lock:
            first = runtime not in self._found
            found = self._found.setdefault(runtime, path or sys.executable)
        if first and path is None:
            log.warning("no %s with awslambdaric here: its functions run on %s", runtime, _own_runtime())
        return found


def _own_runtime() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _find(runtime: str) -> str | None:
    command = shutil.which(runtime)
    if command is None:
        return None
    try:
        # sys.executable, because the command may be a shim that costs time at every start.
        answer = subprocess.run(  # noqa: S603 -- a name that validation has limited to pythonX.Y
            [command, "-c", "import sys, awslambdaric; print(sys.executable)"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    path = answer.stdout.decode().strip()
    return path or None
