"""Asynchronous invocations: how many events a second become durable, next to bare SQLite at the same durability.

Nothing is run meanwhile: the function's only environment is held, so the figures are those of the road to the 202.
Every round has a server, and a database, of its own: neither begins with the other rounds' queue.
"""

import json
from dataclasses import replace
from functools import partial

from benchmarks.contenders.contender import Contender, private_folder
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, limit_check, ratio_check
from benchmarks.gate import HANDLER, shut_gate
from benchmarks.load import Outcome, event_load, run_load, run_plan
from benchmarks.rounds import Effort, Metrics, interleaved

NAME = "async_accept"
TITLE = "Accepting asynchronous events, with durable commits"
CLAIM = "at least 0.60 of bare SQLite's inserts per second with 32 clients"
BARE = "bare SQLite"
FUNCTION = "bench"
CLIENTS = 32
ALONE, TOGETHER = "accepted per second, 1 client", f"accepted per second, {CLIENTS} clients"
P50_ALONE, P50_TOGETHER = "p50, 1 client", f"p50, {CLIENTS} clients"
P99_ALONE = "p99, 1 client"
GROWTH_EVENTS = 32
GROWTH_PAYLOAD_BYTES = 256 * 1024
WARMUP_EVENTS = 1000
REQUESTS_AT_MOST = 1_000_000
OBSTACLE = (
    "Most of the server's time for an event is HTTP and the invocation's checks, which bare SQLite does without, "
    "and the client takes processor time of its own, too."
)
NOTES = (
    f"'{BARE}' inserts from its own threads: alone with a commit for each row, together with one for all that wait.",
    "The server's events come by HTTP from a process of its own that takes its share of the machine's processors.",
    "Both begin with a write-ahead log that has grown: a file that grows makes each fsync slower.",
)


def run(effort: Effort) -> ScenarioResult:
    series = interleaved({SERVER: partial(_server, effort), BARE: partial(_bare, effort)}, rounds=effort.rounds)
    result = ScenarioResult(name=NAME, title=TITLE, series=series)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            ratio_check(series, metric=TOGETHER, of=SERVER, to=BARE, limit=0.60, at_least=True),
            ratio_check(series, metric=ALONE, of=SERVER, to=BARE),
            limit_check(f"{P50_ALONE}, of the 202", result.find(SERVER, P50_ALONE)),
            limit_check(f"{P50_TOGETHER}, of the 202", result.find(SERVER, P50_TOGETHER)),
        ),
        notes=NOTES,
    )


def _server(effort: Effort) -> Metrics:
    with running_server(max_environments=1) as ours:
        ours.create_function(FUNCTION, HANDLER)
        contender = ours.as_contender(FUNCTION)
        target = contender.target
        with shut_gate(target, environments=1):
            run_load(target, replace(event_load(clients=1, requests=GROWTH_EVENTS, seconds=10.0), body=_large_event()))
            run_load(target, event_load(clients=CLIENTS, requests=WARMUP_EVENTS, seconds=effort.seconds))
            alone = run_load(target, event_load(clients=1, requests=effort.requests, seconds=effort.seconds))
            together, server_us = _together(contender, effort)
    return figures(alone, together) | {
        (f"server's processor time, {CLIENTS} clients", "us"): server_us,
        (f"client's own processor time, {CLIENTS} clients", "us"): together.client_cpu_us,
    }


def _together(contender: Contender, effort: Effort) -> tuple[Outcome, float]:
    """What many clients see, and the server's processor time for each event in microseconds."""
    served = contender.server_cpu_seconds()
    load = event_load(clients=CLIENTS, requests=REQUESTS_AT_MOST, seconds=effort.seconds, warmup_requests=0)
    outcome = run_load(contender.target, load)
    return outcome, (contender.server_cpu_seconds() - served) / len(outcome.latencies_ms) * 1e6


def _bare(effort: Effort) -> Metrics:
    with private_folder() as folder:
        plan = {
            "path": str(folder / "bare.sqlite3"),
            "payload": "{}",
            "seconds": effort.seconds,
            "growth": [_large_event()] * GROWTH_EVENTS,
            "warmup_requests": WARMUP_EVENTS,
        }
        alone = run_plan("benchmarks.bare_queue", plan | {"clients": 1, "requests": effort.requests})
        together = run_plan("benchmarks.bare_queue", plan | {"clients": CLIENTS, "requests": REQUESTS_AT_MOST})
    return figures(alone, together) | {
        (f"processor time, {CLIENTS} clients", "us"): together.client_cpu_us,
    }


def _large_event() -> str:
    return json.dumps("x" * GROWTH_PAYLOAD_BYTES)


def figures(alone: Outcome, together: Outcome) -> dict[tuple[str, str], float]:
    """What both contenders are compared by."""
    return {
        (ALONE, "/s"): alone.per_second,
        (P50_ALONE, "ms"): alone.latency(50),
        (P99_ALONE, "ms"): alone.latency(99),
        (TOGETHER, "/s"): together.per_second,
        (P50_TOGETHER, "ms"): together.latency(50),
    }
