"""Sixteen clients, eight environments: how many invocations a second, and where the processors' time goes."""

from functools import partial

from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load
from benchmarks.rounds import Effort, interleaved
from benchmarks.rounds import throughput as measure_throughput

NAME = "throughput"
TITLE = "Sixteen clients, eight environments"
CLAIM = "at least 0.75 of the floor's invocations per second"
OBSTACLE = (
    "Client, server and runtimes share the processors, so what counts is the sum of their times: the floor's server "
    "takes a third of ours, which writes START, END and REPORT, measures memory and keeps the environment's state. "
    "Both send as many replies, and sending is a third of the server's time."
)
CLIENTS = 16
ENVIRONMENTS = 8
NOTES = (
    "Client, server and runtimes share the machine's processors; times are for each invocation.",
    "Where they keep all processors busy and nobody else does, the ratio of all processor time is the throughput's.",
    "On a machine that others use, the server, being one process, gets less of its share than the floor.",
)
REQUESTS_AT_MOST = 1_000_000


def run(effort: Effort) -> ScenarioResult:
    load = Load(clients=CLIENTS, requests=REQUESTS_AT_MOST, seconds=effort.seconds)
    with server(environments=ENVIRONMENTS) as ours, floor(environments=ENVIRONMENTS) as bare:
        measures = {one.name: partial(measure_throughput, one, load) for one in (ours, bare)}
        series = interleaved(measures, rounds=effort.rounds)
    metric = "invocations per second"
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            ratio_check(series, metric=metric, of="server", to="floor", limit=0.75, at_least=True),
            ratio_check(series, metric="server's processor time", of="server", to="floor"),
            ratio_check(series, metric="processor time in all", of="floor", to="server"),
            ratio_check(series, metric=metric, of="emulator", to="floor", reason="it cannot take overlapping requests"),
        ),
        notes=NOTES,
    )
