"""Environments stand by: does a warm invocation notice, and what does each cost the server?

One server for each number of them; all stand by while one is measured.
"""

import json
import time
from contextlib import ExitStack
from functools import partial

from benchmarks.contenders.contender import RUNTIME_MODULE, Contender, private_folder
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import Curve, ScenarioResult, Series, limit_check, line_through, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.processes import command_line, descendants, proportional_memory_mb
from benchmarks.rounds import Effort, interleaved, latencies
from benchmarks.scenarios.many_functions import SHARED_PAGES

NAME = "idle_environments"
TITLE = "Warm invocation among idle environments, one client"
CLAIM = "at most 1 MB of the server's memory for each"
FUNCTION = "bench"
SETTLE_SECONDS = 1.0
P50 = "p50"
MEMORY, MEMORY_OF_EACH = "server's memory (PSS)", "server's memory for each idle environment (PSS)"
SHARES = (0.0, 0.1, 0.4, 1.0)


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    idle = [int(effort.idle_environments * share) for share in SHARES]
    with ExitStack() as stack:
        servers = {}
        for number in idle:
            one = stack.enter_context(running_server(max_environments=number + 8))
            one.create_function(FUNCTION)
            run_load(one.target(FUNCTION), Load(requests=20))
            if number:
                _add_idle_environments(one, number)
            servers[named(number)] = one
        time.sleep(SETTLE_SECONDS)
        memory_mb = {name: _server_memory_mb(one) for name, one in servers.items()}
        measures = {
            name: partial(latencies, Contender(name=name, target=one.target(FUNCTION), processes=(one.process,)), load)
            for name, one in servers.items()
        }
        series = interleaved(measures, rounds=effort.rounds)
        standing = _environments(servers[named(idle[-1])])
    names = {number: named(number) for number in idle}
    series = (*series, *_memory(memory_mb, idle))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=P50, of=named(idle[-1]), to=named(0)),
            limit_check(MEMORY_OF_EACH, series[-1], limit=1024.0),
        ),
        notes=(f"{standing} environments stood by at the end in the last server.", SHARED_PAGES),
        curves=tuple(
            Curve(dimension="idle environments", figure=metric, lines=(line_through(SERVER, metric, names),))
            for metric in (P50, MEMORY)
        ),
    )


def named(idle: int) -> str:
    return f"{SERVER}, {idle} idle" if idle else SERVER


def _memory(memory_mb: dict[str, float], idle: list[int]) -> list[Series]:
    of_each = (memory_mb[named(idle[-1])] - memory_mb[named(0)]) * 1024 / idle[-1]
    return [
        *(Series(contender=name, metric=MEMORY, unit="MB", values=(mb,)) for name, mb in memory_mb.items()),
        Series(contender=named(idle[-1]), metric=MEMORY_OF_EACH, unit="KB", values=(of_each,)),
    ]


def _environments(server: Server) -> int:
    return sum(RUNTIME_MODULE in command_line(one.pid) for one in descendants(server.process.pid))


def _add_idle_environments(server: Server, environments: int) -> None:
    """Holds that many invocations at once, then lets them all end."""
    server.create_function("held", "hold")
    with private_folder() as arrivals:
        arrivals.chmod(0o777)  # functions may run as somebody else
        event = json.dumps({"arrivals": str(arrivals), "together": environments})
        load = Load(clients=environments, requests=environments, warmup_requests=0, body=event)
        run_load(server.target("held"), load)


def _server_memory_mb(server: Server) -> float:
    return proportional_memory_mb(server.as_contender(FUNCTION).server_pids())
