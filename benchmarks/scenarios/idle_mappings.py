"""Mappings on empty queues, from five to a hundred: what do their long polls cost, next to a bare thread for each?

One server, and one process of bare polls, for each number of mappings; all are looked at over the same seconds.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.contenders.contender import Contender, Unavailable, ended_at_last, private_folder
from benchmarks.contenders.queues import Queues, create_mapping, running_queues
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import Curve, ScenarioResult, Series, limit_check, line_through, ratio_check, skipped
from benchmarks.load import REPOSITORY, Target
from benchmarks.processes import ChildProcess, clean_environment, proportional_memory_mb
from benchmarks.rounds import Effort
from benchmarks.scenarios.many_functions import SHARED_PAGES

NAME = "idle_mappings"
TITLE = "SQS mappings on empty queues"
CLAIM = "fifty take at most 5 % of one processor"
FUNCTION = "bench"
MAPPINGS = (5, 20, 50, 100)
PROMISED = 50
BARE = "bare polls"
POLL_SECONDS = 20
SETTLE_SECONDS = 6.0
# As long as a bare poll waits, so that each queue is asked again once.
WATCH_SECONDS = 20.0
ROUNDS_AT_MOST = 2
CPU, MEMORY, MEMORY_OF_EACH = "processor time", "memory (PSS)", "memory for each further mapping (PSS)"


def run(effort: Effort) -> ScenarioResult:
    try:
        with running_queues() as queues:
            return _run(effort, queues)
    except Unavailable as reason:
        return skipped(NAME, TITLE, CLAIM, str(reason))


def _run(effort: Effort, queues: Queues) -> ScenarioResult:
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for mappings in MAPPINGS:
            contenders[named(mappings)] = stack.enter_context(_server(queues, mappings))
            contenders[named(mappings, BARE)] = stack.enter_context(_bare_polls(queues, mappings))
        time.sleep(SETTLE_SECONDS)
        shares = _watched(contenders, rounds=min(effort.rounds // 3, ROUNDS_AT_MOST))
        memory_mb = {name: proportional_memory_mb(one.server_pids()) for name, one in contenders.items()}
    few, many = MAPPINGS[0], MAPPINGS[-1]
    of_each = (memory_mb[named(many)] - memory_mb[named(few)]) * 1024 / (many - few)
    series = (
        *(Series(contender=name, metric=CPU, unit="%", values=tuple(values)) for name, values in shares.items()),
        *(Series(contender=name, metric=MEMORY, unit="MB", values=(mb,)) for name, mb in memory_mb.items()),
        Series(contender=named(many), metric=MEMORY_OF_EACH, unit="KB", values=(of_each,)),
    )
    return _result(series)


@contextmanager
def _server(queues: Queues, mappings: int) -> Iterator[Contender]:
    with running_server(environment=queues.variables) as ours:
        ours.create_function(FUNCTION)
        for number in range(mappings):
            name = f"idle-{mappings}-{number}"
            queues.create(name)
            create_mapping(ours, name, function=FUNCTION, enabled=True)
        yield ours.as_contender(FUNCTION)


@contextmanager
def _bare_polls(queues: Queues, mappings: int) -> Iterator[Contender]:
    urls = [queues.create(f"bare-{mappings}-{number}") for number in range(mappings)]
    command = [sys.executable, "-m", "benchmarks.bare_polls", queues.url, str(POLL_SECONDS), *urls]
    with private_folder() as folder, ended_at_last() as processes:
        process = ChildProcess(command, environment=clean_environment(PYTHONPATH=str(REPOSITORY)), folder=folder)
        processes.append(process)
        yield Contender(name=BARE, target=Target(host="", port=0, path=""), processes=(process,))


def _result(series: tuple[Series, ...]) -> ScenarioResult:
    result = ScenarioResult(name=NAME, title=TITLE, series=series)
    names = {who: {mappings: named(mappings, who) for mappings in MAPPINGS} for who in (SERVER, BARE)}
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            limit_check(f"{CPU}, {PROMISED} mappings", result.find(named(PROMISED), CPU), limit=5.0),
            ratio_check(series, metric=CPU, of=named(PROMISED), to=named(PROMISED, BARE)),
            limit_check(MEMORY_OF_EACH, series[-1]),
        ),
        notes=("Of one processor; the emulator's own is not counted.", SHARED_PAGES),
        curves=tuple(
            Curve(
                dimension="mappings",
                figure=metric,
                lines=tuple(line_through(who, metric, places) for who, places in names.items()),
            )
            for metric in (CPU, MEMORY)
        ),
    )


def named(mappings: int, who: str = SERVER) -> str:
    return f"{who}, {mappings} mappings" if who == SERVER else f"{who}, {mappings} queues"


def _watched(contenders: Mapping[str, Contender], *, rounds: int) -> dict[str, list[float]]:
    """The share of one processor that each takes, in percent."""
    shares: dict[str, list[float]] = {one: [] for one in contenders}
    for _ in range(rounds):
        begun = {one: contender.server_cpu_seconds() for one, contender in contenders.items()}
        time.sleep(WATCH_SECONDS)
        for one, contender in contenders.items():
            shares[one].append((contender.server_cpu_seconds() - begun[one]) / WATCH_SECONDS * 100)
    return shares
