"""What a scenario knows of a contender, and how its runtimes are started.

A contender is a context manager's value: leaving the context ends all its processes.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import REPOSITORY, Target
from benchmarks.processes import ChildProcess, command_line, cpu_seconds, descendants

HANDLERS = REPOSITORY / "benchmarks" / "functions"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
RUNTIME_MODULE = "awslambdaric"


class Unavailable(Exception):  # noqa: N818 - reads as what happened
    """This contender cannot take part here; the text says why."""


class LeftBehind(Exception):  # noqa: N818 - reads as what happened
    """A contender has ended and some of its processes have not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    name: str
    target: Target
    processes: tuple[ChildProcess, ...]

    def pids(self) -> list[int]:
        return [one.pid for root in self.processes for one in descendants(root.pid)]

    def server_pids(self) -> list[int]:
        """The processes that serve, without those that run the function."""
        return [pid for pid in self.pids() if RUNTIME_MODULE not in command_line(pid)]

    def server_cpu_seconds(self) -> float:
        return cpu_seconds(self.server_pids())

    def runtime_cpu_seconds(self) -> float:
        served = set(self.server_pids())
        return cpu_seconds([pid for pid in self.pids() if pid not in served])


def runtime_command(handler: str) -> list[str]:
    return [sys.executable, "-m", RUNTIME_MODULE, f"bench_handler.{handler}"]


def runtime_variables(runtime_api: str = "") -> dict[str, str]:
    """What awslambdaric looks at; AWS_EXECUTION_ENV decides how it polls, so it must be the same for all."""
    variables = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(HANDLERS),
        "PYTHONPATH": str(HANDLERS),
    }
    return variables | ({"AWS_LAMBDA_RUNTIME_API": runtime_api} if runtime_api else {})


@contextmanager
def private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rie-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ended_at_last(*, may_leave: bool = False) -> Iterator[list[ChildProcess]]:
    """A list to put processes in; they are ended when the context is left, the last one first.

    Raises:
        LeftBehind: one of them left processes of its own; they have been ended too, but it should have done that.
            Not raised over an exception that is already on its way.
    """
    processes: list[ChildProcess] = []
    try:
        yield processes
    except BaseException:
        _end(processes)
        raise
    left = _end(processes)
    if left and not may_leave:
        raise LeftBehind("; ".join(left))


def _end(processes: list[ChildProcess]) -> list[str]:
    return [command for process in reversed(processes) for command in process.end()]
