"""Fifty mappings on fifty empty queues: what do their long polls cost?"""

import time

from benchmarks.contenders.contender import Unavailable
from benchmarks.contenders.queues import Queues, create_mapping, running_queues
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, Series, limit_check, skipped
from benchmarks.processes import proportional_memory_mb
from benchmarks.rounds import Effort

NAME = "idle_mappings"
TITLE = "Fifty SQS mappings on empty queues"
CLAIM = "at most 5 % of one processor"
FUNCTION = "bench"
MAPPINGS = 50
SETTLE_SECONDS = 6.0
WATCH_SECONDS = 10.0
CPU, MEMORY = "processor time", "memory for each mapping (PSS)"


def run(effort: Effort) -> ScenarioResult:
    try:
        with running_queues() as queues:
            return _run(effort, queues)
    except Unavailable as reason:
        return skipped(NAME, TITLE, CLAIM, str(reason))


def _run(effort: Effort, queues: Queues) -> ScenarioResult:
    with running_server(environment=queues.variables) as ours:
        ours.create_function(FUNCTION)
        contender = ours.as_contender(FUNCTION)
        before_mb = proportional_memory_mb(contender.server_pids())
        for number in range(MAPPINGS):
            queues.create(f"idle-{number}")
            create_mapping(ours, f"idle-{number}", function=FUNCTION, enabled=True)
        time.sleep(SETTLE_SECONDS)
        shares = []
        for _ in range(min(effort.rounds, 3)):
            spent = contender.server_cpu_seconds()
            time.sleep(WATCH_SECONDS)
            shares.append((contender.server_cpu_seconds() - spent) / WATCH_SECONDS * 100)
        after_mb = proportional_memory_mb(contender.server_pids())
    cpu = Series(contender=SERVER, metric=CPU, unit="%", values=tuple(shares))
    memory = Series(contender=SERVER, metric=MEMORY, unit="KB", values=((after_mb - before_mb) * 1024 / MAPPINGS,))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=(cpu, memory),
        checks=(limit_check(CPU, cpu, limit=5.0), limit_check(MEMORY, memory)),
        notes=("Of one processor; the emulator's own is not counted.",),
    )
