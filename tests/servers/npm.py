"""Servers of the tests that come from npm, kept in ``~/.cache/rie-server-tests``."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.conftest import require


def npm_package(name: str, version: str) -> Path:
    """The folder whose ``node_modules`` has the package; the test is skipped, or fails, where there is none."""
    if shutil.which("node") is None:
        require(name, "there is no node")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rie-server-tests"
    home = cache / f"{name}-{version}"
    if (home / "node_modules" / name).is_dir():
        return home
    if name not in os.environ.get("RIE_REQUIRE", ""):
        require(name, f"it is not in {home}; RIE_REQUIRE={name} fetches it")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", f"{folder}/new", f"{name}@{version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            require(name, f"npm cannot fetch it: {done.stderr[-2000:]}")
        with contextlib.suppress(OSError):  # somebody else was first
            (Path(folder) / "new").rename(home)
    return home
