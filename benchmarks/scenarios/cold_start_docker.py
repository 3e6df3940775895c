"""A function's first invocation in a container, against ``docker run`` of the same image up to its first ``next``.

The anchor is given no limits, no labels and no name: only the image, the code and the address to call. It listens on
the bridge's gateway, where containers reach this machine and nobody else does.
"""

import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

from benchmarks.contenders.contender import HANDLERS, RUNTIME, ended_at_last, private_folder, runtime_variables
from benchmarks.contenders.server import running_server
from benchmarks.figures import ScenarioResult, ratio_check, skipped
from benchmarks.first_next import milliseconds_to_first_next
from benchmarks.processes import ChildProcess, clean_environment
from benchmarks.rounds import Effort, Metrics, interleaved
from benchmarks.scenarios.cold_start_process import first_invocation_ms

NAME = "cold_start_docker"
TITLE = "Cold start as a container"
CLAIM = "at most 1.3 times docker run to its first next"
METRIC = "cold start"
ANCHOR = "docker run"
IMAGE = f"rie-server/{RUNTIME}"
DOCKER_SECONDS_AT_MOST = 20.0


def run(effort: Effort) -> ScenarioResult:
    missing = _missing()
    if missing:
        return skipped(NAME, TITLE, CLAIM, missing)
    gateway = _gateway()
    with running_server(executor="docker", max_environments=effort.starts + 1) as ours:
        names = [f"cold-{number}" for number in range(effort.starts + 1)]
        for name in names:
            ours.create_function(name)
        first_invocation_ms(ours.target(names[0]))
        _docker_run(gateway)
        numbers = count(1)

        def server() -> Metrics:
            return {(METRIC, "ms"): first_invocation_ms(ours.target(names[next(numbers)]))}

        series = interleaved({ANCHOR: partial(_docker_run, gateway), "server": server}, rounds=effort.starts)
    return ScenarioResult(
        name=NAME,
        title=TITLE,
        series=series,
        checks=(ratio_check(series, metric=METRIC, of="server", to=ANCHOR, limit=1.3),),
        notes=("The server's figure ends at the caller's reply, the bare container's at its next.",),
    )


def _missing() -> str:
    """Why this cannot be measured here; empty when it can."""
    try:
        _docker("version", "--format", "{{.Server.Version}}")
    except (OSError, subprocess.SubprocessError):
        return "no Docker engine answers"
    try:
        _docker("image", "inspect", "--format", "{{.Id}}", IMAGE)
    except subprocess.SubprocessError:
        return f"there is no image {IMAGE} (make images)"
    return ""


def _gateway() -> str:
    """The bridge's address on this machine; an engine that does not say takes the first of its subnet."""
    template = "{{with index .IPAM.Config 0}}{{.Gateway}} {{.Subnet}}{{end}}"
    gateway, _, subnet = _docker("network", "inspect", "bridge", "--format", template).rpartition(" ")
    return gateway.strip() or str(next(ipaddress.ip_network(subnet).hosts()))


def _docker(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True, timeout=DOCKER_SECONDS_AT_MOST
    )
    return done.stdout.strip()


@contextmanager
def _container_removed(name: str) -> Iterator[None]:
    try:
        yield
    finally:
        left = _docker("ps", "--all", "--quiet", "--filter", f"name={name}").split()
        if left:
            _docker("rm", "--force", *left)


def _docker_run(gateway: str) -> Metrics:
    with private_folder() as folder, _container_removed(folder.name), ended_at_last() as processes:

        def start(host: str, port: int) -> None:
            variables = runtime_variables(f"{host}:{port}") | {"LAMBDA_TASK_ROOT": "/var/task"}
            del variables["PYTHONPATH"]
            flags = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
            flags += ["--name", folder.name, "--volume", f"{HANDLERS}:/var/task:ro"]
            command = ["docker", "run", *flags, IMAGE, "bench_handler.hello"]
            processes.append(ChildProcess(command, environment=clean_environment(), folder=folder))

        return {(METRIC, "ms"): milliseconds_to_first_next(start, host=gateway)}
