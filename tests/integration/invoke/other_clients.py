"""Other versions of clients and runtimes, each in a folder of its own that is made once and kept."""

import contextlib
import fcntl
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

CLIENTS = Path(sys.prefix) / "clients"
INSTALL_SECONDS = 300
NPM_SECONDS = 900


def client_bin(name: str, requirement: str, require: Callable[[str, str], NoReturn]) -> Path:
    """The ``bin`` folder of a virtualenv that holds ``requirement``; ``require`` is told when it cannot be had."""
    folder = CLIENTS / name
    stamp = folder / ".stamp"
    with _alone(name):
        if not stamp.exists() or stamp.read_text() != requirement:
            try:
                _install(folder, requirement)
            except (OSError, subprocess.SubprocessError) as trouble:
                words = trouble.stderr if isinstance(trouble, subprocess.CalledProcessError) else str(trouble)
                last = words.strip().splitlines()[-1] if words else ""
                require("clients", f"{requirement} cannot be installed: {last}")
            stamp.write_text(requirement)
    return folder / "bin"


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Tests that run beside one another wait for whoever makes the folder."""
    CLIENTS.mkdir(exist_ok=True)
    with (CLIENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path, requirement: str) -> None:
    venv.create(folder, clear=True)
    # By the pip of the tests, and compiled when it is imported: of the large ones little is.
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "--disable-pip-version-check"]
    command = [*pip, "install", "--quiet", "--no-compile", requirement]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)


def node_runtime(requirement: str, require: Callable[[str, str], NoReturn]) -> Path:
    """The program of an npm package that is a runtime interface client; it is built, which takes minutes."""
    name = requirement.partition("@")[0]
    folder = CLIENTS / name
    program = folder / "node_modules" / name / "index.mjs"
    stamp = folder / ".stamp"
    with _alone(name):
        if not stamp.exists() or stamp.read_text() != requirement:
            if shutil.which("npm") is None or shutil.which("cmake") is None:
                require("node", f"{requirement} needs npm, and cmake to be built")
            folder.mkdir(exist_ok=True)
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, requirement]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=NPM_SECONDS)
            except (OSError, subprocess.SubprocessError) as trouble:
                require("node", f"{requirement} cannot be installed: {trouble}")
            stamp.write_text(requirement)
    return program
