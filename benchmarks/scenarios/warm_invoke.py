"""One client, one warm environment: how long a synchronous invocation takes."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks.contenders.contender import Contender, Unavailable
from benchmarks.contenders.emulator import emulator
from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load
from benchmarks.rounds import Effort, interleaved, latencies

NAME = "warm_invoke"
TITLE = "Warm synchronous invocation, one client"
CLAIM = "p50 at or below the emulator's"


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    unavailable = ""
    with ExitStack() as stack:
        contenders: list[Contender] = []
        try:
            contenders.append(stack.enter_context(emulator()))
        except Unavailable as reason:
            unavailable = str(reason)
        contenders.append(stack.enter_context(server()))
        bare = stack.enter_context(floor())
        contenders += [bare, _null(bare)]
        measures = {one.name: partial(latencies, one, load) for one in contenders}
        series = interleaved(measures, rounds=effort.rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric="p50", of="server", to="emulator", limit=1.0, reason=unavailable),
            ratio_check(series, metric="p99", of="server", to="emulator", reason=unavailable),
            ratio_check(series, metric="p50", of="server", to="floor"),
        ),
        notes=("'no function' is the floor answering by itself: what client, kernel and event loop take alone.",),
    )


def _null(bare: Contender) -> Contender:
    return Contender(name="no function", target=replace(bare.target, path="/null"), processes=())
