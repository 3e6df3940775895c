"""Other versions of clients and runtimes, each in a virtualenv of its own that is made once and kept."""

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

CLIENTS = Path(sys.prefix) / "clients"
INSTALL_SECONDS = 300


def client_bin(name: str, requirement: str, require: Callable[[str, str], NoReturn]) -> Path:
    """The ``bin`` folder of a virtualenv that holds ``requirement``; ``require`` is told when it cannot be had."""
    folder = CLIENTS / name
    stamp = folder / ".stamp"
    if not stamp.exists() or stamp.read_text() != requirement:
        try:
            _install(folder, requirement)
        except (OSError, subprocess.SubprocessError) as trouble:
            words = trouble.stderr if isinstance(trouble, subprocess.CalledProcessError) else str(trouble)
            require("clients", f"{requirement} cannot be installed: {words.strip().splitlines()[-1] if words else ''}")
        stamp.write_text(requirement)
    return folder / "bin"


def _install(folder: Path, requirement: str) -> None:
    venv.create(folder, with_pip=True, clear=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
