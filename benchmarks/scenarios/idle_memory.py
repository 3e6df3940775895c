"""What the server holds in memory when it has nothing to do: all its processes, shared pages counted once."""

import time

from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, limit_check
from benchmarks.processes import proportional_memory_mb
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
    series = interleaved({SERVER: _measure}, rounds=max(3, effort.rounds // 3))
    result = ScenarioResult(name=NAME, title=TITLE, series=series)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(limit_check(METRIC, result.find(SERVER, METRIC), limit=60.0),),
        notes=("The example functions are deployed; none has been invoked.",),
    )


def _measure() -> Metrics:
    with running_server(flags=template_flags()) as ours:
        time.sleep(SETTLE_SECONDS)
        pids = ours.as_contender("none").server_pids()
        return {(METRIC, "MB"): proportional_memory_mb(pids), ("processes", ""): float(len(pids))}
