"""A thousand functions are registered: does a warm invocation notice, does a start, and what does each cost?"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.contenders.contender import RUNTIME, Contender, ended_at_last, private_folder
from benchmarks.contenders.server import FUNCTIONS_PATH, ROLE, Server, start, zipped_handlers
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.figures import ScenarioResult, Series, limit_check, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.processes import proportional_memory_mb
from benchmarks.rounds import Effort, Metrics, interleaved, latencies

NAME = "many_functions"
TITLE = "Warm invocation among a thousand functions, one client"
CLAIM = "figures only"
FUNCTIONS = 1000
FUNCTION = "bench"
START = "start to first answer"
MEMORY = "server's memory for each function (PSS)"
CALLERS = 4


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    crowd = f"{SERVER}, {FUNCTIONS} functions"
    with ExitStack() as stack:
        folders = [stack.enter_context(private_folder()) for _ in range(2)]
        processes = stack.enter_context(ended_at_last())
        alone, crowded = (start(folder, executor="process", max_environments=1) for folder in folders)
        processes += [alone.process, crowded.process]
        for one in (alone, crowded):
            one.process.wait_until(one.is_ready)
            one.create_function(FUNCTION)
            run_load(one.target(FUNCTION), Load(requests=20))
        per_function_kb = _register(crowded)
        measures = {
            name: partial(latencies, Contender(name=name, target=one.target(FUNCTION), processes=(one.process,)), load)
            for name, one in ((SERVER, alone), (crowd, crowded))
        }
        series = interleaved(measures, rounds=effort.rounds)
        for one in (alone, crowded):
            one.process.end()
        starts = interleaved(
            {name: partial(_start, folder) for name, folder in zip((SERVER, crowd), folders, strict=True)},
            rounds=max(3, effort.rounds // 3),
        )
    series = (*series, *starts)
    memory = Series(contender=crowd, metric=MEMORY, unit="KB", values=(per_function_kb,))
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=(*series, memory),
        checks=(
            ratio_check(series, metric="p50", of=crowd, to=SERVER),
            ratio_check(series, metric=START, of=crowd, to=SERVER),
            limit_check(MEMORY, memory),
        ),
    )


def _register(server: Server) -> float:
    """Creates the functions; the memory of each, in KB."""
    before = proportional_memory_mb(server.as_contender(FUNCTION).server_pids())
    code = {"ZipFile": zipped_handlers()}

    def create(number: int) -> None:
        description = {"FunctionName": f"f{number:04d}", "Role": ROLE, "Runtime": RUNTIME, "Code": code}
        server.call("POST", FUNCTIONS_PATH, {**description, "Handler": "bench_handler.hello"})

    with ThreadPoolExecutor(CALLERS, thread_name_prefix="register") as threads:
        for _ in threads.map(create, range(FUNCTIONS - 1)):
            pass
    last = f"{FUNCTIONS_PATH}/f{FUNCTIONS - 2:04d}/configuration"
    server.process.wait_until(lambda: json.dumps(server.call("GET", last)).find('"Active"') > 0)
    after = proportional_memory_mb(server.as_contender(FUNCTION).server_pids())
    return (after - before) * 1024 / (FUNCTIONS - 1)


def _start(folder: Path) -> Metrics:
    with ended_at_last() as processes:
        begun = time.perf_counter()
        again = start(folder, executor="process", max_environments=1)
        processes.append(again.process)
        again.process.wait_until(again.is_ready)
        return {(START, "ms"): (time.perf_counter() - begun) * 1000}
