"""moto's server: AWS in one process, in memory. Not thread-safe.

It can invoke functions in two ways: it runs each invocation in a container that it makes, and removes, for that; or it
runs nothing and answers with the event. It closes each connection after its reply.
"""

import http.client
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

import boto3

from benchmarks.contenders.containers import IMAGE, built_image, has_image
from benchmarks.contenders.contender import RUNTIME, Contender, Unavailable, ended_at_last, private_folder
from benchmarks.contenders.server import FUNCTIONS_PATH, zipped_handlers
from benchmarks.load import Load, Target, run_load
from benchmarks.processes import LOOPBACK, ChildProcess, ContenderFailed, clean_environment, free_port

NAME = "moto"
NOTHING_RUN = "moto, nothing is run"
REGION = "us-east-1"
ECHOED = '{"message": "hello"}'
"""The event with which a moto that runs nothing answers what the function would."""

HEADERS = {
    "Authorization": f"AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/lambda/aws4_request, "
    "SignedHeaders=host, Signature=0"
}
_TRUST = '{"Version": "2012-10-17", "Statement": []}'
_RUN_IMAGE = "rie-bench/moto"
_RUN = f"""
FROM {IMAGE}
USER root
COPY moto_entry.py /moto_entry.py
ENTRYPOINT ["python3", "/moto_entry.py"]
"""
# moto unpacks a function's code with the help of a container of this name, which only sleeps.
_SLEEPER = "busybox:latest"
_SLEEP = f"""
FROM {IMAGE}
USER root
ENTRYPOINT []
"""


@contextmanager
def moto_process(variables: Mapping[str, str] | None = None) -> Iterator[tuple[ChildProcess, int]]:
    """A server that answers, and its port.

    Args:
        variables: further ones of its process.

    Raises:
        Unavailable: moto is not installed.
    """
    if find_spec("moto") is None:
        raise Unavailable("moto is not installed")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
    with private_folder() as folder, ended_at_last() as processes:
        process = ChildProcess(command, environment=clean_environment(**(variables or {})), folder=folder)
        processes.append(process)
        process.wait_until(lambda: _answers(port))
        yield process, port


@contextmanager
def moto(variables: Mapping[str, str] | None = None) -> Iterator[tuple[int, str]]:
    """The port of a server, and a role that its functions can have; else as ``moto_process``."""
    with moto_process(variables) as (_, port):
        iam = boto3.client(
            "iam",
            endpoint_url=f"http://{LOOPBACK}:{port}",
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
        iam.close()
        yield port, str(role)


@contextmanager
def moto_that_runs_nothing() -> Iterator[Contender]:
    """Answers each invocation with its event: the road to a function, without the function."""
    with moto() as (port, role):
        _post(port, "/moto-api/config", {"lambda": {"use_docker": False}}, expected=201)
        yield _contender(NOTHING_RUN, port, role, Load(requests=5, body=ECHOED))


@contextmanager
def moto_in_containers() -> Iterator[Contender]:
    """Runs each invocation in a container of its own, of the least image that can do it."""
    with ExitStack() as stack:
        image = stack.enter_context(built_image(_RUN_IMAGE, _RUN))
        if not has_image(_SLEEPER):
            stack.enter_context(built_image(_SLEEPER, _SLEEP))
        port, role = stack.enter_context(moto({"MOTO_DOCKER_LAMBDA_IMAGE": f"{image}:latest"}))
        yield _contender(NAME, port, role, Load(requests=1))


def _contender(name: str, port: int, role: str, warm: Load) -> Contender:
    description = {"FunctionName": "bench", "Role": role, "Runtime": RUNTIME, "Handler": "bench_handler.hello"}
    more = {"MemorySize": 256, "Timeout": 60, "Code": {"ZipFile": zipped_handlers()}}
    _post(port, FUNCTIONS_PATH, description | more, expected=201)
    target = Target(
        host=LOOPBACK, port=port, path=f"{FUNCTIONS_PATH}/bench/invocations", closes=True, headers=dict(HEADERS)
    )
    run_load(target, warm)
    return Contender(name=name, target=target, processes=())


def _post(port: int, path: str, document: object, *, expected: int) -> None:
    status, content = _ask(port, "POST", path, json.dumps(document))
    if status != expected:
        raise ContenderFailed(f"POST {path}: {status} {content[:300]!r}")


def _answers(port: int) -> bool:
    try:
        return _ask(port, "GET", FUNCTIONS_PATH)[0] == 200
    except OSError:
        return False


def _ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **HEADERS})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
