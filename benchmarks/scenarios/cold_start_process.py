"""A function's first invocation as a process, against the same runtime started by hand.

The anchor ends at the runtime's first ``next``; the server's figure ends at the caller's reply, so it also holds the
invocation itself: the comparison is not in the server's favour.
"""

from functools import partial
from itertools import count

from benchmarks.contenders.contender import (
    Unavailable,
    ended_at_last,
    private_folder,
    runtime_command,
    runtime_variables,
)
from benchmarks.contenders.emulator import emulator, emulator_binary
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.first_next import milliseconds_to_first_next
from benchmarks.load import Load, Target, run_load
from benchmarks.processes import ChildProcess, clean_environment
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "cold_start_process"
TITLE = "Cold start as a process"
CLAIM = "at most 1.2 times a bare runtime to its first next"
METRIC = "cold start"
FIRST_INVOCATION = Load(requests=1, warmup_requests=0)


def run(effort: Effort) -> ScenarioResult:
    measures = {"bare runtime": _bare}
    unavailable = ""
    try:
        emulator_binary()
        measures["emulator"] = _emulator
    except Unavailable as reason:
        unavailable = str(reason)
    with running_server(max_environments=effort.starts + 1) as ours:
        names = [f"cold-{number}" for number in range(effort.starts + 1)]
        for name in names:
            ours.create_function(name)
        first_invocation_ms(ours.target(names[0]))
        _bare()
        measures["server"] = partial(_server, ours, count(1))
        series = interleaved(measures, rounds=effort.starts)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of="server", to="bare runtime", limit=1.2),
            ratio_check(series, metric=METRIC, of="server", to="emulator", reason=unavailable),
        ),
        notes=("The server's and the emulator's figures end at the caller's reply, the bare runtime's at its next.",),
    )


def first_invocation_ms(target: Target) -> float:
    return run_load(target, FIRST_INVOCATION).latencies_ms[0]


def _server(ours: Server, numbers: "count[int]") -> Metrics:
    return {(METRIC, "ms"): first_invocation_ms(ours.target(f"cold-{next(numbers)}"))}


def _emulator() -> Metrics:
    with emulator(warm_up=False) as contender:
        return {(METRIC, "ms"): first_invocation_ms(contender.target)}


def _bare() -> Metrics:
    with private_folder() as folder, ended_at_last() as processes:

        def start(host: str, port: int) -> None:
            variables = clean_environment(**runtime_variables(f"{host}:{port}"))
            processes.append(ChildProcess(runtime_command("hello"), environment=variables, folder=folder))

        return {(METRIC, "ms"): milliseconds_to_first_next(start)}
