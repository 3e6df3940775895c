"""Two hundred environments stand by: does a warm invocation notice, and what does each cost the server?"""

import json
import time
from functools import partial

from benchmarks.contenders.contender import RUNTIME_MODULE, Contender, private_folder
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, Series, limit_check, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.processes import command_line, descendants, proportional_memory_mb
from benchmarks.rounds import Effort, interleaved, latencies

NAME = "idle_environments"
TITLE = "Warm invocation among idle environments, one client"
CLAIM = "figures only"
FUNCTION = "bench"
SETTLE_SECONDS = 1.0
MEMORY = "server's memory for each idle environment (PSS)"


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    crowd = f"{SERVER}, {effort.idle_environments} idle"
    with (
        running_server(max_environments=1) as alone,
        running_server(max_environments=effort.idle_environments + 8) as crowded,
    ):
        for one in (alone, crowded):
            one.create_function(FUNCTION)
            run_load(one.target(FUNCTION), Load(requests=20))
        per_environment = _add_idle_environments(crowded, effort.idle_environments)
        measures = {
            SERVER: partial(latencies, _named(alone, SERVER), load),
            crowd: partial(latencies, _named(crowded, crowd), load),
        }
        series = interleaved(measures, rounds=effort.rounds)
        standing = _environments(crowded)
    memory = Series(contender=crowd, metric=MEMORY, unit="KB", values=(per_environment,))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=(*series, memory),
        checks=(ratio_check(series, metric="p50", of=crowd, to=SERVER), limit_check(MEMORY, memory)),
        notes=(f"{standing} environments stood by at the end.",),
    )


def _named(server: Server, name: str) -> Contender:
    return Contender(name=name, target=server.target(FUNCTION), processes=(server.process,))


def _environments(server: Server) -> int:
    return sum(RUNTIME_MODULE in command_line(one.pid) for one in descendants(server.process.pid))


def _add_idle_environments(server: Server, environments: int) -> float:
    """Holds that many invocations at once, then lets them all end; returns the memory for each in KB."""
    server.create_function("held", "hold")
    before = _server_memory_mb(server)
    with private_folder() as arrivals:
        arrivals.chmod(0o777)  # functions may run as somebody else
        event = json.dumps({"arrivals": str(arrivals), "together": environments})
        load = Load(clients=environments, requests=environments, warmup_requests=0, body=event)
        run_load(server.target("held"), load)
    time.sleep(SETTLE_SECONDS)
    return (_server_memory_mb(server) - before) * 1024 / environments


def _server_memory_mb(server: Server) -> float:
    return proportional_memory_mb(server.as_contender(FUNCTION).server_pids())
