"""A version's first invocation with provisioned concurrency, the second one in the same environment, which is warm, and
the first one of a version without.

Every invocation goes over a connection of its own after a pause, so that nobody has an advantage but the environment.
One that comes alone is at the mercy of whatever else the machine does, so each round has several, and counts their
median.
"""

import time
from functools import partial
from itertools import count
from statistics import median

from benchmarks.contenders.server import FUNCTIONS_PATH, Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "provisioned"
TITLE = "First invocation with provisioned concurrency"
CLAIM = "at most 1.1 times a warm one"
METRIC = "one invocation"
PROVISIONED, ON_DEMAND, WARM = "provisioned", "on-demand", "warm"
ONE = Load(requests=1, warmup_requests=0)
TOGETHER = 5
READY_SECONDS_AT_MOST = 30.0
LOOK_SECONDS = 0.05
# Whatever starting has begun is over by then, as it is when somebody calls hours later.
PAUSE_SECONDS = 0.1


def run(effort: Effort) -> ScenarioResult:
    rounds = effort.rounds
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
        }
        series = interleaved(measures, rounds=rounds)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of=PROVISIONED, to=WARM, limit=1.1),
            ratio_check(series, metric=METRIC, of=ON_DEMAND, to=PROVISIONED),
        ),
    )


def _names(kind: str, number: int) -> list[str]:
    return [f"{kind}-{number}-{one}" for one in range(TOGETHER)]


def _each(ours: Server, names: list[str]) -> Metrics:
    """The median of one invocation of each."""
    latencies_ms = []
    for name in names:
        time.sleep(PAUSE_SECONDS)
        latencies_ms.append(run_load(ours.target(f"{name}:1"), ONE).latencies_ms[0])
    return {(METRIC, "ms"): median(latencies_ms)}


def _on_demand(ours: Server, numbers: "count[int]") -> Metrics:
    return _each(ours, _names("cold", next(numbers)))


def _provisioned(ours: Server, numbers: "count[int]") -> Metrics:
    names = _names("ahead", next(numbers))
    for name in names:
        ours.call("PUT", _path(name), {"ProvisionedConcurrentExecutions": 1})
    give_up_at = time.monotonic() + READY_SECONDS_AT_MOST
    while any(ours.call("GET", _path(name))["Status"] != "READY" for name in names):
        if time.monotonic() > give_up_at:
            raise ContenderFailed(f"one of {', '.join(names)} does not become ready")
        time.sleep(LOOK_SECONDS)
    return _each(ours, names)


def _warm(ours: Server, numbers: "count[int]") -> Metrics:
    """Once more, and the last time, in what ``_provisioned`` has provisioned."""
    names = _names("ahead", next(numbers))
    second = _each(ours, names)
    for name in names:
        ours.call("DELETE", _path(name))
    return second


def _path(name: str) -> str:
    return f"/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1"
