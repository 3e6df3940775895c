"""A full queue and four environments: how fast the events are run, next to synchronous callers of the same server, and
whether that depends on how many there are.

The environments are held while the queue is filled; the clock starts when they are let go and stops when the last event
has ended and left the queue. Nobody looks at the server meanwhile.
"""

import time
from functools import partial

from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import Curve, ScenarioResult, line_through, ratio_check
from benchmarks.gate import HANDLER, SHUT_SECONDS_AT_MOST, shut_gate
from benchmarks.load import Load, event_load, run_load
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Effort, Metrics, interleaved, throughput

NAME = "async_drain"
TITLE = "Running queued events, four environments"
CLAIM = "at least 0.80 of the synchronous invocations per second"
FUNCTION = "bench"
ENVIRONMENTS = 4
CLIENTS = 16
SYNCHRONOUS, QUEUED = "synchronous", "queued events"
METRIC = "invocations per second"
# Whatever the effort: what begins and ends a drain is not what is promised.
EVENTS = 10_000
SHARES = (0.05, 0.2, 0.5)
OBSTACLE = (
    "An event is claimed and removed by the database's thread, which takes the interpreter from the loop: the "
    "server's processor time for it is half as much again as for a synchronous invocation."
)
REQUESTS_AT_MOST = 1_000_000
ROUNDS_AT_MOST = 5
DRAIN_SECONDS_AT_MOST = 50.0


def run(effort: Effort) -> ScenarioResult:
    depths = {int(EVENTS * share): _named(int(EVENTS * share)) for share in SHARES}
    depths[EVENTS] = QUEUED
    load = Load(clients=CLIENTS, requests=REQUESTS_AT_MOST, seconds=effort.seconds)
    with running_server(max_environments=ENVIRONMENTS) as ours:
        ours.create_function(FUNCTION, HANDLER)
        run_load(ours.target(FUNCTION), Load(clients=CLIENTS, requests=20 * CLIENTS))
        drain(ours, events=EVENTS // 10)
        measures = {
            SYNCHRONOUS: partial(throughput, ours.as_contender(FUNCTION), load),
            QUEUED: partial(drain, ours, events=EVENTS),
            **{name: partial(drain, ours, events=events) for events, name in depths.items() if name != QUEUED},
        }
        series = interleaved(measures, rounds=min(effort.rounds, ROUNDS_AT_MOST))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        obstacle=OBSTACLE,
        checks=(
            ratio_check(series, metric=METRIC, of=QUEUED, to=SYNCHRONOUS, limit=0.80, at_least=True),
            ratio_check(series, metric="server's processor time", of=QUEUED, to=SYNCHRONOUS),
        ),
        notes=(
            f"'{QUEUED}' are {EVENTS:,} in each round; there are {CLIENTS} synchronous clients.",
            "Synchronous callers take processor time of their own, which the queue has for itself.",
            "Each event is claimed from the database, run, and removed from it, durably.",
        ),
        curves=(Curve(dimension="events in the queue", figure=METRIC, lines=(line_through(SERVER, METRIC, depths),)),),
    )


def _named(events: int) -> str:
    return f"{QUEUED}, {events:,}"


def drain(server: Server, *, events: int) -> Metrics:
    """Queues ``events`` and lets them run, once each.

    Raises:
        ContenderFailed: one of them did not end well.
    """
    contender = server.as_contender(FUNCTION)
    with shut_gate(contender.target, environments=ENVIRONMENTS) as gate:
        load = event_load(clients=32, requests=events - 1, seconds=SHUT_SECONDS_AT_MOST, warmup_requests=0)
        queued = len(run_load(contender.target, load).latencies_ms) + 1
        last = server.submit_event(FUNCTION)
        served, ran = contender.server_cpu_seconds(), contender.runtime_cpu_seconds()
        begun = time.perf_counter()
        gate.open()
        server.wait_for_event(last, seconds=DRAIN_SECONDS_AT_MOST)
        _wait_until_empty(server, begun + DRAIN_SECONDS_AT_MOST)
        seconds = time.perf_counter() - begun
        served, ran = contender.server_cpu_seconds() - served, contender.runtime_cpu_seconds() - ran
    if server.events("dropped"):
        raise ContenderFailed("events were dropped")
    return {
        (METRIC, "/s"): queued / seconds,
        ("server's processor time", "us"): served / queued * 1e6,
        ("runtimes' processor time", "us"): ran / queued * 1e6,
    }


def _wait_until_empty(server: Server, deadline: float) -> None:
    """The last event that was queued is about the last to end, not always exactly."""
    while any(server.events(state) for state in ("queued", "in_flight", "retrying", "delivering")):
        if time.perf_counter() > deadline:
            raise ContenderFailed("the queue did not become empty")
        time.sleep(0.002)
