"""moto's server: AWS in one process, in memory, for scenarios about the control plane. Not thread-safe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import boto3

from benchmarks.contenders.contender import Unavailable, ended_at_last, private_folder
from benchmarks.processes import LOOPBACK, ChildProcess, clean_environment, free_port

NAME = "moto"
REGION = "us-east-1"
_TRUST = '{"Version": "2012-10-17", "Statement": []}'


@contextmanager
def moto() -> Iterator[tuple[int, str]]:
    """The port of a server that answers, and a role that its functions can have.

    Raises:
        Unavailable: moto is not installed.
    """
    if find_spec("moto") is None:
        raise Unavailable("moto is not installed")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
    with private_folder() as folder, ended_at_last() as processes:
        process = ChildProcess(command, environment=clean_environment(), folder=folder)
        processes.append(process)
        process.listens_on(port)
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
