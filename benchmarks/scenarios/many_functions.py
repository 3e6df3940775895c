"""From one function to a thousand: does a warm invocation notice, does a start, and what does each cost?

One server for each number of functions; all stand by while one is measured.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.contenders.contender import RUNTIME, Contender, ended_at_last, private_folder
from benchmarks.contenders.server import FUNCTIONS_PATH, ROLE, Server, start, zipped_handlers
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.figures import Curve, ScenarioResult, Series, limit_check, line_through, ratio_check
from benchmarks.load import Load, run_load
from benchmarks.processes import proportional_memory_mb
from benchmarks.rounds import Effort, Metrics, interleaved, latencies

NAME = "many_functions"
TITLE = "Warm invocation among a thousand functions, one client"
CLAIM = "figures only"
FUNCTIONS = (1, 10, 100, 1000)
FUNCTION = "bench"
P50, START = "p50", "start to first answer"
MEMORY, MEMORY_OF_EACH = "server's memory (PSS)", "server's memory for each function (PSS)"
CALLERS = 4
SHARED_PAGES = "Four servers stand by: the pages that they share are divided among them (PSS)."


def run(effort: Effort) -> ScenarioResult:
    load = Load(requests=effort.requests, seconds=effort.seconds * 2)
    with ExitStack() as stack:
        folders = {named(functions): stack.enter_context(private_folder()) for functions in FUNCTIONS}
        processes = stack.enter_context(ended_at_last())
        running: dict[str, Server] = {}
        for functions in FUNCTIONS:
            one = start(folders[named(functions)], executor="process", max_environments=1)
            processes.append(one.process)
            one.process.wait_until(one.is_ready)
            _fill(one, functions)
            running[named(functions)] = one
        measures = {
            name: partial(latencies, Contender(name=name, target=one.target(FUNCTION), processes=(one.process,)), load)
            for name, one in running.items()
        }
        series = interleaved(measures, rounds=effort.rounds)
        memory_mb = {name: _memory_mb(one) for name, one in running.items()}
        for one in running.values():
            one.process.end()
        restarts = {name: partial(_start, folder) for name, folder in folders.items()}
        series += interleaved(restarts, rounds=max(3, effort.rounds // 3))
    return _result((*series, *_memory(memory_mb)))


def named(functions: int) -> str:
    return f"{SERVER}, {functions:,} function{'s' if functions > 1 else ''}"


def _result(series: tuple[Series, ...]) -> ScenarioResult:
    few, many = named(FUNCTIONS[0]), named(FUNCTIONS[-1])
    names = {functions: named(functions) for functions in FUNCTIONS}
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=P50, of=many, to=few),
            ratio_check(series, metric=START, of=many, to=few),
            limit_check(MEMORY_OF_EACH, next(one for one in series if one.metric == MEMORY_OF_EACH)),
        ),
        notes=(SHARED_PAGES,),
        curves=tuple(
            Curve(dimension="functions", figure=metric, lines=(line_through(SERVER, metric, names),))
            for metric in (P50, START, MEMORY)
        ),
    )


def _memory(memory_mb: dict[str, float]) -> list[Series]:
    few, many = named(FUNCTIONS[0]), named(FUNCTIONS[-1])
    of_each = (memory_mb[many] - memory_mb[few]) * 1024 / (FUNCTIONS[-1] - FUNCTIONS[0])
    return [
        *(Series(contender=name, metric=MEMORY, unit="MB", values=(mb,)) for name, mb in memory_mb.items()),
        Series(contender=many, metric=MEMORY_OF_EACH, unit="KB", values=(of_each,)),
    ]


def _memory_mb(server: Server) -> float:
    return proportional_memory_mb(server.as_contender(FUNCTION).server_pids())


def _fill(server: Server, functions: int) -> None:
    """Creates the function that is invoked, warm, and as many others as are missing."""
    server.create_function(FUNCTION)
    run_load(server.target(FUNCTION), Load(requests=20))
    code = {"ZipFile": zipped_handlers()}

    def create(number: int) -> None:
        description = {"FunctionName": f"f{number:04d}", "Role": ROLE, "Runtime": RUNTIME, "Code": code}
        server.call("POST", FUNCTIONS_PATH, {**description, "Handler": "bench_handler.hello"})

    with ThreadPoolExecutor(CALLERS, thread_name_prefix="register") as threads:
        for _ in threads.map(create, range(1, functions)):
            pass
    if functions > 1:
        last = f"{FUNCTIONS_PATH}/f{functions - 1:04d}/configuration"
        server.process.wait_until(lambda: json.dumps(server.call("GET", last)).find('"Active"') > 0)


def _start(folder: Path) -> Metrics:
    with ended_at_last() as processes:
        begun = time.perf_counter()
        again = start(folder, executor="process", max_environments=1)
        processes.append(again.process)
        again.process.wait_until(again.is_ready)
        return {(START, "ms"): (time.perf_counter() - begun) * 1000}
