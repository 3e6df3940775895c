"""Mappings on empty queues, from five to a hundred: what do their long polls cost?

One server for each number of mappings; all are looked at over the same seconds, which pass whoever waits.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.contenders.contender import Contender, Unavailable
from benchmarks.contenders.queues import Queues, create_mapping, running_queues
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import Curve, ScenarioResult, Series, limit_check, line_through, skipped
from benchmarks.processes import proportional_memory_mb
from benchmarks.rounds import Effort
from benchmarks.scenarios.many_functions import SHARED_PAGES

NAME = "idle_mappings"
TITLE = "SQS mappings on empty queues"
CLAIM = "fifty take at most 5 % of one processor"
FUNCTION = "bench"
MAPPINGS = (5, 20, 50, 100)
PROMISED = 50
SETTLE_SECONDS = 6.0
# As long as a poll that waits, so that each mapping begins about one.
WATCH_SECONDS = 10.0
ROUNDS_AT_MOST = 2
CPU, MEMORY, MEMORY_OF_EACH = "processor time", "server's memory (PSS)", "memory for each mapping (PSS)"


def run(effort: Effort) -> ScenarioResult:
    try:
        with running_queues() as queues:
            return _run(effort, queues)
    except Unavailable as reason:
        return skipped(NAME, TITLE, CLAIM, str(reason))


def _run(effort: Effort, queues: Queues) -> ScenarioResult:
    with ExitStack() as stack:
        contenders: dict[int, Contender] = {}
        before_mb: dict[int, float] = {}
        for mappings in MAPPINGS:
            ours = stack.enter_context(running_server(environment=queues.variables))
            ours.create_function(FUNCTION)
            contenders[mappings] = ours.as_contender(FUNCTION)
            before_mb[mappings] = _memory_mb(contenders[mappings])
            for number in range(mappings):
                name = f"idle-{mappings}-{number}"
                queues.create(name)
                create_mapping(ours, name, function=FUNCTION, enabled=True)
        time.sleep(SETTLE_SECONDS)
        shares = _watched(contenders, rounds=min(effort.rounds, ROUNDS_AT_MOST))
        after_mb = {mappings: _memory_mb(one) for mappings, one in contenders.items()}
    largest = MAPPINGS[-1]
    of_each = (after_mb[largest] - before_mb[largest]) * 1024 / largest
    series = (
        *(Series(contender=named(one), metric=CPU, unit="%", values=tuple(shares[one])) for one in MAPPINGS),
        *(Series(contender=named(one), metric=MEMORY, unit="MB", values=(after_mb[one],)) for one in MAPPINGS),
        Series(contender=named(largest), metric=MEMORY_OF_EACH, unit="KB", values=(of_each,)),
    )
    return _result(series)


def _result(series: tuple[Series, ...]) -> ScenarioResult:
    result = ScenarioResult(name=NAME, title=TITLE, series=series)
    names = {mappings: named(mappings) for mappings in MAPPINGS}
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            limit_check(f"{CPU}, {PROMISED} mappings", result.find(named(PROMISED), CPU), limit=5.0),
            limit_check(MEMORY_OF_EACH, series[-1]),
        ),
        notes=("Of one processor; the emulator's own is not counted.", SHARED_PAGES),
        curves=tuple(
            Curve(dimension="mappings", figure=metric, lines=(line_through(SERVER, metric, names),))
            for metric in (CPU, MEMORY)
        ),
    )


def named(mappings: int) -> str:
    return f"{SERVER}, {mappings} mappings"


def _watched(contenders: Mapping[int, Contender], *, rounds: int) -> dict[int, list[float]]:
    """The share of one processor that each takes, in percent."""
    shares: dict[int, list[float]] = {one: [] for one in contenders}
    for _ in range(rounds):
        begun = {one: contender.server_cpu_seconds() for one, contender in contenders.items()}
        time.sleep(WATCH_SECONDS)
        for one, contender in contenders.items():
            shares[one].append((contender.server_cpu_seconds() - begun[one]) / WATCH_SECONDS * 100)
    return shares


def _memory_mb(contender: Contender) -> float:
    return proportional_memory_mb(contender.server_pids())
