"""fauxqs, fetched from npm once into ``~/.cache/rie-server-tests``; for the tests and the benchmarks, without either.

It is fetched only where ``RIE_REQUIRE`` names ``fauxqs``.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

VERSION = "2.4"
INSTALL_SECONDS = 300.0
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rie-server-tests" / f"fauxqs-{VERSION}"

# It keeps messages in SQLite if it is told to, with a module that older nodes have not; here it is not told to.
_WITHOUT_SQLITE = "export class DatabaseSync {}"
_HOOK = f"""
export const resolve = (name, context, next) => name === "node:sqlite"
    ? {{url: "data:text/javascript,{_WITHOUT_SQLITE}", shortCircuit: true}}
    : next(name, context);
"""
_PROGRAM = """
import {register} from "node:module";
register("./hook.mjs", import.meta.url);
const {buildApp} = await import("fauxqs");
const app = buildApp({logger: false, host: "127.0.0.1", defaultRegion: process.argv[3]});
await app.listen({host: "127.0.0.1", port: Number(process.argv[2])});
"""


class FauxqsMissing(Exception):  # noqa: N818 - reads as what happened
    """It cannot be had on this machine; the text says why."""


def installed_program() -> list[str]:
    """The command that starts it, to which the port and the region are added. Several runs may ask at the same time.

    Raises:
        FauxqsMissing: it cannot be had.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise FauxqsMissing("node and npm are not installed")
    program, package = CACHE / "serve.mjs", CACHE / "node_modules" / "fauxqs" / "package.json"
    if not package.exists() and "fauxqs" not in os.environ.get("RIE_REQUIRE", ""):
        raise FauxqsMissing(f"it is not in {CACHE}; RIE_REQUIRE=fauxqs fetches it")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not package.exists():
            _install()
        for path, text in ((CACHE / "hook.mjs", _HOOK), (program, _PROGRAM)):
            if not path.exists() or path.read_text(encoding="utf-8") != text:  # else a node may be reading it
                path.write_text(text, encoding="utf-8")
    return ["node", str(program)]


def _install() -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"fauxqs@{VERSION}"]
    reason = f"npm did not end within {INSTALL_SECONDS:g} s"
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        if done.returncode == 0:
            return
        reason = done.stderr.strip() or f"npm ended with {done.returncode}"
    shutil.rmtree(CACHE / "node_modules", ignore_errors=True)
    raise FauxqsMissing(reason)
