"""A version's first invocation with provisioned concurrency, the second one in the same environment, which is warm, and
the first one of a version without.

Every figure is of one invocation on a connection of its own after a pause, so that nobody has an advantage but the
environment.
"""

import time
from functools import partial
from itertools import count

from benchmarks.contenders.server import FUNCTIONS_PATH, Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check
from benchmarks.load import Load, Target, run_load
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "provisioned"
TITLE = "First invocation with provisioned concurrency"
CLAIM = "at most 1.1 times a warm one"
METRIC = "one invocation"
PROVISIONED, ON_DEMAND, WARM = "provisioned", "on-demand", "warm"
ONE = Load(requests=1, warmup_requests=0)
READY_SECONDS_AT_MOST = 30.0
LOOK_SECONDS = 0.05
# Whatever starting has begun is over by then, as it is when somebody calls hours later.
PAUSE_SECONDS = 0.1


def run(effort: Effort) -> ScenarioResult:
    rounds = effort.starts
    # A small host can keep few executions for anybody, so every version lets its own go when it was measured.
    with running_server(max_environments=2 * rounds + 8) as ours:
        for number in range(rounds + 1):
            for kind in ("ahead", "cold"):
                ours.create_function(f"{kind}-{number}")
                ours.call("POST", f"{FUNCTIONS_PATH}/{kind}-{number}/versions", {})
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


def _one(target: Target) -> Metrics:
    time.sleep(PAUSE_SECONDS)
    return {(METRIC, "ms"): run_load(target, ONE).latencies_ms[0]}


def _on_demand(ours: Server, numbers: "count[int]") -> Metrics:
    return _one(ours.target(f"cold-{next(numbers)}:1"))


def _provisioned(ours: Server, numbers: "count[int]") -> Metrics:
    name = f"ahead-{next(numbers)}"
    path = _path(name)
    ours.call("PUT", path, {"ProvisionedConcurrentExecutions": 1})
    give_up_at = time.monotonic() + READY_SECONDS_AT_MOST
    while ours.call("GET", path)["Status"] != "READY":
        if time.monotonic() > give_up_at:
            raise ContenderFailed(f"{name} does not become ready")
        time.sleep(LOOK_SECONDS)
    return _one(ours.target(f"{name}:1"))


def _warm(ours: Server, numbers: "count[int]") -> Metrics:
    """Once more, and the last time, in what ``_provisioned`` has provisioned."""
    name = f"ahead-{next(numbers)}"
    second = _one(ours.target(f"{name}:1"))
    ours.call("DELETE", _path(name))
    return second


def _path(name: str) -> str:
    return f"/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1"
