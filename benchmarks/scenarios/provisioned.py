"""A version's first invocation with provisioned concurrency, the second one in the same environment, which is warm, and
the first one of a version without. The floor, with runtimes that were just started, tells how much of the difference is
the runtime's own: code that runs for the first time.

Every invocation goes over a connection of its own after a pause, so that nobody has an advantage but the environment.
One that comes alone is at the mercy of whatever else the machine does, so each round has several, and counts their
median.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from statistics import median

from benchmarks.contenders.floor import floor
from benchmarks.contenders.server import FUNCTIONS_PATH, Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load, Target, run_load
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "provisioned"
TITLE = "First invocation with provisioned concurrency"
CLAIM = "at most 1.1 times a warm one"
OBSTACLE = (
    "What is left is the runtime's: its code runs for the first time, as that of the floor does, whose first "
    "invocation takes longer than its second, too."
)
METRIC = "one invocation"
PROVISIONED, ON_DEMAND, WARM = "provisioned", "on-demand", "warm"
FLOOR_FIRST, FLOOR_WARM = "floor, first", "floor, warm"
ONE = Load(requests=1, warmup_requests=0)
TOGETHER = 5
READY_SECONDS_AT_MOST = 30.0
LOOK_SECONDS = 0.05
# Whatever starting has begun is over by then, as it is when somebody calls hours later.
PAUSE_SECONDS = 0.1
# For runtimes of the floor to have asked for their first invocation.
RUNTIME_SECONDS = 0.5


def run(effort: Effort) -> ScenarioResult:
    rounds, floors = effort.rounds, _Floors()
    # A small host can keep few executions for anybody, so every version lets its own go when it was measured.
    with running_server(max_environments=2 * TOGETHER * (rounds + 1)) as ours:
        for number in range(rounds + 1):
            for name in (*_names("ahead", number), *_names("cold", number)):
                ours.create_function(name)
                ours.call("POST", f"{FUNCTIONS_PATH}/{name}/versions", {})
        _provisioned(ours, count())
        _warm(ours, count())
        measures = {
            PROVISIONED: partial(_provisioned, ours, count(1)),
            WARM: partial(_warm, ours, count(1)),
            ON_DEMAND: partial(_on_demand, ours, count(1)),
            FLOOR_FIRST: floors.first,
            FLOOR_WARM: floors.second,
        }
        series = interleaved(measures, rounds=rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            ratio_check(series, metric=METRIC, of=PROVISIONED, to=WARM, limit=1.1),
            ratio_check(series, metric=METRIC, of=ON_DEMAND, to=PROVISIONED),
            ratio_check(series, metric=METRIC, of=FLOOR_FIRST, to=FLOOR_WARM),
        ),
    )


def _names(kind: str, number: int) -> list[str]:
    return [f"{kind}-{number}-{one}" for one in range(TOGETHER)]


class _Floors:
    """Runtimes of which each has a bare exchange of its own."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._targets: list[Target] = []

    def first(self) -> Metrics:
        self._targets = [self._open.enter_context(floor(environments=1, fresh=True)).target for _ in range(TOGETHER)]
        time.sleep(RUNTIME_SECONDS)
        return _each(self._targets)

    def second(self) -> Metrics:
        with self._open:
            return _each(self._targets)


def _each(targets: Sequence[Target]) -> Metrics:
    """The median of one invocation of each."""
    latencies_ms = []
    for target in targets:
        time.sleep(PAUSE_SECONDS)
        latencies_ms.append(run_load(target, ONE).latencies_ms[0])
    return {(METRIC, "ms"): median(latencies_ms)}


def _versions(ours: Server, names: list[str]) -> list[Target]:
    return [ours.target(f"{name}:1") for name in names]


def _on_demand(ours: Server, numbers: "count[int]") -> Metrics:
    return _each(_versions(ours, _names("cold", next(numbers))))


def _provisioned(ours: Server, numbers: "count[int]") -> Metrics:
    names = _names("ahead", next(numbers))
    for name in names:
        ours.call("PUT", _path(name), {"ProvisionedConcurrentExecutions": 1})
    give_up_at = time.monotonic() + READY_SECONDS_AT_MOST
    while any(ours.call("GET", _path(name))["Status"] != "READY" for name in names):
        if time.monotonic() > give_up_at:
            raise ContenderFailed(f"one of {', '.join(names)} does not become ready")
        time.sleep(LOOK_SECONDS)
    return _each(_versions(ours, names))


def _warm(ours: Server, numbers: "count[int]") -> Metrics:
    """Once more, and the last time, in what ``_provisioned`` has provisioned."""
    names = _names("ahead", next(numbers))
    second = _each(_versions(ours, names))
    for name in names:
        ours.call("DELETE", _path(name))
    return second


def _path(name: str) -> str:
    return f"/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1"
