"""A function's first invocation in a container, against ``docker run`` of the same image up to its first ``next``.

The bare container is given no limits, no labels and no name: only the image, the code and the address to call. It
listens on the bridge's gateway, where containers reach this machine and nobody else does. The SAM CLI (without warm
containers, which is how it is started unless asked otherwise) and moto start a container for every invocation.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.contenders.containers import IMAGE, function_image, gateway, missing_docker, remove_containers
from benchmarks.contenders.contender import (
    HANDLERS,
    Contender,
    Unavailable,
    ended_at_last,
    private_folder,
    runtime_variables,
)
from benchmarks.contenders.moto import NAME as MOTO
from benchmarks.contenders.moto import moto_in_containers
from benchmarks.contenders.sam import NAME as SAM
from benchmarks.contenders.sam import sam
from benchmarks.contenders.server import NAME as SERVER
from benchmarks.contenders.server import Server, running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.first_next import milliseconds_to_first_next
from benchmarks.processes import ChildProcess, clean_environment
from benchmarks.rounds import Effort, Metrics, interleaved
from benchmarks.scenarios.cold_start_process import first_invocation_ms

NAME = "cold_start_docker"
TITLE = "Cold start as a container"
CLAIM = "at most 1.2 times docker run to its first next"
METRIC = "cold start"
ANCHOR = "docker run"


def run(effort: Effort) -> ScenarioResult:
    if missing := missing_docker():
        return skipped(NAME, TITLE, CLAIM, missing)
    missed: dict[str, str] = {}
    with ExitStack() as stack:
        ours = stack.enter_context(running_server(executor="docker", max_environments=effort.starts + 1))
        names = [f"cold-{number}" for number in range(effort.starts + 1)]
        for name in names:
            ours.create_function(name)
        image = stack.enter_context(function_image())
        measures = {ANCHOR: partial(_docker_run, gateway()), SERVER: partial(_server, ours, iter(names))}
        for name, starting in ((SAM, sam(image, warm=False)), (MOTO, moto_in_containers())):
            try:
                measures[name] = partial(_invoked, stack.enter_context(starting))
            except Unavailable as reason:
                missed[name] = str(reason)
        for name in (ANCHOR, SERVER):
            measures[name]()
        series = interleaved(measures, rounds=effort.starts)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(
            ratio_check(series, metric=METRIC, of=SERVER, to=ANCHOR, limit=1.2),
            ratio_check(series, metric=METRIC, of=SERVER, to=SAM, reason=missed.get(SAM, "")),
            ratio_check(series, metric=METRIC, of=SERVER, to=MOTO, reason=missed.get(MOTO, "")),
        ),
        notes=(
            "The bare container's figure ends at its next, all others at the caller's reply.",
            "sam is `sam local start-lambda` without --warm-containers: AWS's emulator runs in its container.",
            "moto's container runs the handler and nothing else: there is no Runtime API in it.",
        ),
    )


def _server(ours: Server, names: Iterator[str]) -> Metrics:
    return {(METRIC, "ms"): first_invocation_ms(ours.target(next(names)))}


def _invoked(contender: Contender) -> Metrics:
    return {(METRIC, "ms"): first_invocation_ms(contender.target)}


@contextmanager
def _container_removed(name: str) -> Iterator[None]:
    try:
        yield
    finally:
        remove_containers(f"name={name}")


def _docker_run(host: str) -> Metrics:
    with private_folder() as folder, _container_removed(folder.name), ended_at_last() as processes:

        def start(host: str, port: int) -> None:
            variables = runtime_variables(f"{host}:{port}") | {"LAMBDA_TASK_ROOT": "/var/task"}
            del variables["PYTHONPATH"]
            flags = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
            flags += ["--name", folder.name, "--volume", f"{HANDLERS}:/var/task:ro"]
            command = ["docker", "run", *flags, IMAGE, "bench_handler.hello"]
            processes.append(ChildProcess(command, environment=clean_environment(), folder=folder))

        return {(METRIC, "ms"): milliseconds_to_first_next(start, host=host)}
