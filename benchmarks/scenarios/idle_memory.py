"""What the server holds in memory when it has nothing to do: all its processes, shared pages counted once.

Next to it moto's server, and AWS's emulator, which is a Go program and knows one function.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

from benchmarks.contenders.contender import Unavailable
from benchmarks.contenders.emulator import NAME as EMULATOR
from benchmarks.contenders.emulator import emulator, emulator_binary
from benchmarks.contenders.moto import NAME as MOTO
from benchmarks.contenders.moto import moto_process
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, limit_check, ratio_check
from benchmarks.processes import descendants, proportional_memory_mb
from benchmarks.rounds import Effort, Metrics, interleaved
from benchmarks.scenarios.server_start import template_flags

NAME = "idle_memory"
TITLE = "Memory of an idle server"
CLAIM = "under 60 MB"
OBSTACLE = (
    "The arbiter is a fifth of it: a Python with gunicorn. In the worker SQLAlchemy takes 12 MB, Flask with what it "
    "imports 7 MB, asyncio and uvloop 7 MB, our own modules 13 MB."
)
METRIC = "memory (PSS)"
SETTLE_SECONDS = 2.0


def run(effort: Effort) -> ScenarioResult:
    measures: dict[str, Callable[[], Metrics]] = {SERVER: _measure}
    unavailable = ""
    if find_spec("moto") is not None:
        measures[MOTO] = _moto
    try:
        emulator_binary()
        measures[EMULATOR] = _emulator
    except Unavailable as reason:
        unavailable = str(reason)
    series = interleaved(measures, rounds=max(3, effort.rounds // 3))
    result = ScenarioResult(name=NAME, title=TITLE, series=series)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            limit_check(METRIC, result.find(SERVER, METRIC), limit=60.0),
            ratio_check(series, metric=METRIC, of=SERVER, to=MOTO, reason="moto is not installed"),
            ratio_check(series, metric=METRIC, of=SERVER, to=EMULATOR, reason=unavailable),
        ),
        notes=("The example functions are deployed in the server; no contender has invoked anything.",),
    )


def _measure() -> Metrics:
    with running_server(flags=template_flags()) as ours:
        return _settled(ours.as_contender("none").server_pids)


def _moto() -> Metrics:
    with moto_process() as (process, _):
        return _settled(lambda: [one.pid for one in descendants(process.pid)])


def _emulator() -> Metrics:
    # The runtime's command is among its arguments, and there is no runtime before the first invocation.
    with emulator(warm_up=False) as contender:
        return _settled(lambda: [one.pid for one in contender.processes])


def _settled(pids_now: Callable[[], list[int]]) -> Metrics:
    time.sleep(SETTLE_SECONDS)
    pids = pids_now()
    return {(METRIC, "MB"): proportional_memory_mb(pids), ("processes", ""): float(len(pids))}
