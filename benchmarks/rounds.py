"""Rounds: every contender once, then again, so that whatever else the machine does meets all of them alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.contenders.contender import Contender
from benchmarks.figures import Series
from benchmarks.load import Load, run_load

Metrics = Mapping[tuple[str, str], float]
"""Figures of one measurement by name and unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long a run may take.

    Attributes:
        rounds: how often every contender is measured.
        seconds: how long one measurement under load lasts at most.
        requests: how many requests one client sends in one measurement.
        starts: how often something is started where starting is what is measured.
        idle_environments: how many environments stand by where their number is what is measured.
        queued_events: how many events wait where what is measured is how fast they are run.
    """

    rounds: int
    seconds: float
    requests: int
    starts: int
    idle_environments: int = 200
    queued_events: int = 10_000


FULL = Effort(rounds=9, seconds=3.0, requests=2000, starts=15)
QUICK = Effort(rounds=3, seconds=1.0, requests=500, starts=5, queued_events=2000)


def interleaved(measures: Mapping[str, Callable[[], Metrics]], *, rounds: int) -> tuple[Series, ...]:
    """Calls every measure once in each round, in the same order, and gathers the values by contender and metric."""
    gathered: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(rounds):
        for contender, measure in measures.items():
            for (metric, unit), value in measure().items():
                gathered.setdefault((contender, metric, unit), []).append(value)
    return tuple(
        Series(contender=contender, metric=metric, unit=unit, values=tuple(values))
        for (contender, metric, unit), values in gathered.items()
    )


def latencies(contender: Contender, load: Load) -> Metrics:
    """One client's view of a contender."""
    outcome = run_load(contender.target, load)
    return {
        ("p50", "ms"): outcome.latency(50),
        ("p90", "ms"): outcome.latency(90),
        ("p99", "ms"): outcome.latency(99),
        ("client's own processor time", "us"): outcome.client_cpu_us,
    }


def throughput(contender: Contender, load: Load) -> Metrics:
    """Many clients' view, and what an invocation costs in processor time: the server's, the runtimes', the client's."""
    served, ran = contender.server_cpu_seconds(), contender.runtime_cpu_seconds()
    outcome = run_load(contender.target, load)
    invocations = len(outcome.latencies_ms) + load.warmup_requests
    served_us = (contender.server_cpu_seconds() - served) / invocations * 1e6
    ran_us = (contender.runtime_cpu_seconds() - ran) / invocations * 1e6
    return {
        ("invocations per second", "/s"): outcome.per_second,
        ("p50", "ms"): outcome.latency(50),
        ("p99", "ms"): outcome.latency(99),
        ("server's processor time", "us"): served_us,
        ("runtimes' processor time", "us"): ran_us,
        ("client's own processor time", "us"): outcome.client_cpu_us,
        ("processor time in all", "us"): served_us + ran_us + outcome.client_cpu_us,
    }
