"""A version's first invocation with provisioned concurrency, without it, and one of a version that is warm.

Every figure is of one invocation on a connection of its own, so that nobody has an advantage but the environment.
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
METRIC = "first invocation"
PROVISIONED, ON_DEMAND, WARM = "provisioned", "on-demand", "warm"
ONE = Load(requests=1, warmup_requests=0)
READY_SECONDS_AT_MOST = 30.0
LOOK_SECONDS = 0.05


def run(effort: Effort) -> ScenarioResult:
    rounds = effort.starts
    # A reservation on a small host is half of its executions, so every version lets its own go when it was measured.
    with running_server(max_environments=2 * rounds + 8) as ours:
        ours.create_function(WARM)
        run_load(ours.target(WARM), Load(requests=20))
        for number in range(rounds + 1):
            for kind in ("ahead", "cold"):
                ours.create_function(f"{kind}-{number}")
                ours.call("POST", f"{FUNCTIONS_PATH}/{kind}-{number}/versions", {})
        _provisioned(ours, count())
        measures = {
            PROVISIONED: partial(_provisioned, ours, count(1)),
            ON_DEMAND: partial(_on_demand, ours, count(1)),
            WARM: partial(_first, ours.target(WARM)),
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


def _first(target: Target) -> Metrics:
    return {(METRIC, "ms"): run_load(target, ONE).latencies_ms[0]}


def _on_demand(ours: Server, numbers: "count[int]") -> Metrics:
    return _first(ours.target(f"cold-{next(numbers)}:1"))


def _provisioned(ours: Server, numbers: "count[int]") -> Metrics:
    name = f"ahead-{next(numbers)}"
    path = f"/2019-09-30/functions/{name}/provisioned-concurrency?Qualifier=1"
    ours.call("PUT", path, {"ProvisionedConcurrentExecutions": 1})
    give_up_at = time.monotonic() + READY_SECONDS_AT_MOST
    while ours.call("GET", path)["Status"] != "READY":
        if time.monotonic() > give_up_at:
            raise ContenderFailed(f"{name} does not become ready")
        time.sleep(LOOK_SECONDS)
    # Whatever starting has begun is over, as it is when somebody calls hours later.
    time.sleep(LOOK_SECONDS)
    first = _first(ours.target(f"{name}:1"))
    ours.call("DELETE", path)
    return first
