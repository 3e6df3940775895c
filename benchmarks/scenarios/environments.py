"""Sixteen clients, from one environment to thirty-two: invocations a second, next to the floor with as many."""

from contextlib import ExitStack
from functools import partial

from benchmarks.contenders.floor import NAME as FLOOR
from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import server
from benchmarks.figures import Curve, ScenarioResult, line_through, ratio_check
from benchmarks.load import Load
from benchmarks.rounds import Effort, interleaved, throughput

NAME = "environments"
TITLE = "Sixteen clients, one to thirty-two environments"
CLAIM = "figures only"
CLIENTS = 16
ENVIRONMENTS = (1, 4, 8, 32)
METRIC = "invocations per second"
REQUESTS_AT_MOST = 1_000_000
STARTED = {SERVER: server, FLOOR: floor}


def run(effort: Effort) -> ScenarioResult:
    load = Load(clients=CLIENTS, requests=REQUESTS_AT_MOST, seconds=effort.seconds)
    with ExitStack() as stack:
        measures = {
            named(who, environments): partial(throughput, stack.enter_context(start(environments=environments)), load)
            for environments in ENVIRONMENTS
            for who, start in STARTED.items()
        }
        series = interleaved(measures, rounds=max(3, effort.rounds // 3))
    lines = tuple(line_through(who, METRIC, {at: named(who, at) for at in ENVIRONMENTS}) for who in STARTED)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=tuple(
            ratio_check(series, metric=METRIC, of=named(SERVER, one), to=named(FLOOR, one)) for one in ENVIRONMENTS
        ),
        notes=("All servers and floors stand by while one of them is measured.",),
        curves=(Curve(dimension="environments", figure=METRIC, lines=lines),),
    )


def named(who: str, environments: int) -> str:
    return f"{who}, {environments} environment{'s' if environments > 1 else ''}"
