"""How long ``rie serve`` takes from its start to its first answer, with the example functions on a new disk.

Next to it moto's server, which has no functions and keeps nothing.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

from benchmarks.contenders.contender import ended_at_last, private_folder
from benchmarks.contenders.moto import NAME as MOTO
from benchmarks.contenders.moto import moto_process
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import start
from benchmarks.figures import ScenarioResult, limit_check, ratio_check
from benchmarks.load import REPOSITORY
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "server_start"
TITLE = "Server start to its first answered request"
CLAIM = "under 500 ms"
OBSTACLE = (
    "Python's own start and imports are most of it: SQLAlchemy a fifth, Flask a tenth, and our own modules a third, of "
    "which half goes into making their dataclasses."
)
METRIC = "start to first answer"
AGAIN = "start with functions already there"
TEMPLATE = REPOSITORY / "functions" / "template.yaml"


def template_flags() -> list[str]:
    return ["--template", str(TEMPLATE)] if TEMPLATE.exists() else []


def run(effort: Effort) -> ScenarioResult:
    measures: dict[str, Callable[[], Metrics]] = {SERVER: _measure}
    if find_spec("moto") is not None:
        measures[MOTO] = _moto
    for measure in measures.values():
        measure()  # compiles what has never been imported
    series = interleaved(measures, rounds=effort.starts)
    result = ScenarioResult(name=NAME, title=TITLE, series=series)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            limit_check(METRIC, result.find(SERVER, METRIC), limit=500.0),
            limit_check(AGAIN, result.find(SERVER, AGAIN)),
            ratio_check(series, metric=METRIC, of=SERVER, to=MOTO, reason="moto is not installed"),
        ),
        notes=(f"Functions of the example template: {'yes' if TEMPLATE.exists() else 'none, it is not there'}.",),
    )


def _measure() -> Metrics:
    with private_folder() as folder:
        figures: dict[tuple[str, str], float] = {}
        for metric in (METRIC, AGAIN):
            with ended_at_last() as processes:
                begun = time.perf_counter()
                ours = start(folder, executor="process", max_environments=8, flags=template_flags())
                processes.append(ours.process)
                ours.process.wait_until(ours.is_ready)
                figures[metric, "ms"] = (time.perf_counter() - begun) * 1000
        return figures


def _moto() -> Metrics:
    begun = time.perf_counter()
    with moto_process():
        return {(METRIC, "ms"): (time.perf_counter() - begun) * 1000}
