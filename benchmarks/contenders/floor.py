"""The floor as a contender: ``benchmarks/floor.py`` with as many awslambdaric processes as asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders.contender import (
    Contender,
    ended_at_last,
    private_folder,
    runtime_command,
    runtime_variables,
)
from benchmarks.load import REPOSITORY, Load, Target, run_load
from benchmarks.processes import LOOPBACK, ChildProcess, clean_environment, free_port

NAME = "floor"


@contextmanager
def floor(
    *, environments: int = 1, handler: str = "hello", warm: Load | None = None, fresh: bool = False
) -> Iterator[Contender]:
    """
    Args:
        fresh: nothing is run beforehand; the runtimes may not have asked for their first invocation yet.
    """
    port = free_port()
    with private_folder() as folder, ended_at_last() as processes:
        server = ChildProcess(
            [sys.executable, "-m", "benchmarks.floor", str(port)],
            environment=clean_environment(PYTHONPATH=str(REPOSITORY)),
            folder=folder,
        )
        processes.append(server)
        server.listens_on(port)
        variables = clean_environment(**runtime_variables(f"{LOOPBACK}:{port}"))
        for number in range(environments):
            command = runtime_command(handler)
            processes.append(
                ChildProcess(command, environment=variables, folder=folder, log_name=f"runtime-{number}.log")
            )
        target = Target(host=LOOPBACK, port=port, path="/2015-03-31/functions/bench/invocations")
        if not fresh:
            run_load(target, warm or Load(clients=max(2, environments), requests=20 * environments))
        yield Contender(name=NAME, target=target, processes=tuple(processes))
