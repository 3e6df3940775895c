"""One client, one warm environment: how long a synchronous invocation takes."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks.contenders.contender import Contender, Unavailable
from benchmarks.contenders.emulator import emulator
from benchmarks.contenders.floor import floor
from benchmarks.contenders.moto import ECHOED, NOTHING_RUN, moto_that_runs_nothing
from benchmarks.contenders.server import server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load
from benchmarks.rounds import Effort, interleaved, latencies

NAME = "warm_invoke"
TITLE = "Warm synchronous invocation, one client"
CLAIM = "p50 at most 0.75 of the emulator's, p99 at most its p99"
OBSTACLE = (
    "Half of an invocation is the runtime and the client, which are the same for both; what is left of the server's "
    "own part is the log, the figures of REPORT and the state machine, a microsecond here and there."
)


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    unavailable = no_moto = ""
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
        try:
            peer = stack.enter_context(moto_that_runs_nothing())
            measures[NOTHING_RUN] = partial(latencies, peer, replace(load, body=ECHOED))
        except Unavailable as reason:
            no_moto = str(reason)
        series = interleaved(measures, rounds=effort.rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            ratio_check(series, metric="p50", of="server", to="emulator", limit=0.75, reason=unavailable),
            ratio_check(series, metric="p99", of="server", to="emulator", limit=1.0, reason=unavailable),
            ratio_check(series, metric="p50", of="server", to="floor"),
            ratio_check(series, metric="p50", of="server", to=NOTHING_RUN, reason=no_moto),
        ),
        notes=(
            "'no function' is the floor answering by itself: what client, kernel and event loop take alone.",
            f"'{NOTHING_RUN}' answers with the event: moto has no warm functions (see the function images below).",
        ),
    )


def _null(bare: Contender) -> Contender:
    return Contender(name="no function", target=replace(bare.target, path="/null"), processes=())
