"""kinesalite: the Kinesis of the benchmarks, a process of its own on a free loopback port.

The tests fetch it from npm (``RIE_REQUIRE=kinesalite``); it is not fetched here.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders.contender import ended_at_last, private_folder
from benchmarks.processes import ChildProcess, clean_environment, free_port

_SCRIPT = """
const server = require('kinesalite')({createStreamMs: 20, deleteStreamMs: 20, shardLimit: 100})
server.listen(Number(process.argv[1]), '127.0.0.1')
"""


def kinesalite_folder() -> Path | None:
    """Where it is, or None."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rie-server-tests"
    homes = sorted(cache.glob("kinesalite-*/node_modules/kinesalite"))
    return homes[-1].parents[1] if homes and shutil.which("node") else None


@contextmanager
def kinesalite(packages: Path) -> Iterator[str]:
    """The URL of one that answers.

    Args:
        packages: see ``kinesalite_folder``.
    """
    port = free_port()
    node = shutil.which("node") or "node"
    with private_folder() as folder, ended_at_last() as processes:
        environment = clean_environment(NODE_PATH=str(packages / "node_modules"))
        process = ChildProcess([node, "-e", _SCRIPT, str(port)], environment=environment, folder=folder)
        processes.append(process)
        process.listens_on(port)
        yield f"http://127.0.0.1:{port}"
