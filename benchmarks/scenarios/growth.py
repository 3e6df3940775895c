"""More clients, more environments: does the number of invocations a second grow, and does it hold?"""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import server
from benchmarks.figures import Curve, ScenarioResult, Series, line_through, ratio_check
from benchmarks.load import Load
from benchmarks.rounds import Effort, Metrics, interleaved, throughput

NAME = "growth"
TITLE = "Throughput as clients and environments grow"
CLAIM = "64 clients and 64 environments reach at least 0.90 of the peak"
POINTS = ((1, 1), (4, 4), (16, 4), (16, 8), (16, 16), (64, 64))
FLOOR_POINTS = ((16, 8), (64, 64))
OBSTACLE = (
    "Sixty-four Python processes take turns in the caches of a few processors, and each runs slower for it; the floor "
    "loses as well."
)
METRIC = "invocations per second"
PEAK = "peak"
REQUESTS_AT_MOST = 1_000_000


def run(effort: Effort) -> ScenarioResult:
    names = [f"{clients} clients, {environments} environments" for clients, environments in POINTS]
    with ExitStack() as stack:
        measures = {}
        for name, (clients, environments) in zip(names, POINTS, strict=True):
            contender = stack.enter_context(server(environments=environments))
            load = Load(clients=clients, requests=REQUESTS_AT_MOST, seconds=effort.seconds)
            measures[name] = partial(_measure, contender, load)
        for clients, environments in FLOOR_POINTS:
            contender = stack.enter_context(floor(environments=environments))
            load = Load(clients=clients, requests=REQUESTS_AT_MOST, seconds=effort.seconds)
            measures[_of_floor(clients, environments)] = partial(_measure, contender, load)
        series = interleaved(measures, rounds=max(3, effort.rounds // 3))
    rates = [one for one in series if one.metric == METRIC and one.contender in names]
    peak = Series(
        contender=PEAK,
        metric=METRIC,
        unit="/s",
        values=tuple(max(values) for values in zip(*(one.values for one in rates), strict=True)),
    )
    series = (*series, peak)
    line = line_through(SERVER, METRIC, _as_many_of_both(names))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            ratio_check(series, metric=METRIC, of=names[-1], to=PEAK, limit=0.90, at_least=True),
            *(ratio_check(series, metric=METRIC, of=name, to=PEAK) for name in names[:-1]),
            ratio_check(series, metric=METRIC, of=_of_floor(*FLOOR_POINTS[1]), to=_of_floor(*FLOOR_POINTS[0])),
        ),
        notes=("All servers stand by while one is measured.",),
        curves=(Curve(dimension="clients, with as many environments", figure=METRIC, lines=(line,)),),
    )


def _of_floor(clients: int, environments: int) -> str:
    return f"floor, {clients} clients, {environments} environments"


def _as_many_of_both(names: Sequence[str]) -> dict[float, str]:
    points = zip(POINTS, names, strict=True)
    return {float(clients): name for (clients, environments), name in points if clients == environments}


def _measure(contender: Contender, load: Load) -> Metrics:
    figures = throughput(contender, load)
    return {key: figures[key] for key in ((METRIC, "/s"), ("p50", "ms"), ("p99", "ms"))}
