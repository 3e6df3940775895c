"""``sam local start-lambda``: the AWS SAM CLI's server of the Lambda API, with a container for each function.

In its container AWS's emulator runs between it and awslambdaric. It is installed once, through pip, into an environment
of its own in ``benchmarks/.cache``. It closes each connection after its reply.
"""

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders.containers import docker, has_image, remove_containers
from benchmarks.contenders.contender import Contender, Unavailable, ended_at_last, private_folder
from benchmarks.contenders.emulator import ARCHITECTURES, CACHE
from benchmarks.load import Load, Target, run_load
from benchmarks.processes import LOOPBACK, ChildProcess, ContenderFailed, clean_environment, free_port

NAME = "sam"
INSTALL_SECONDS_AT_MOST = 420.0
START_SECONDS_AT_MOST = 90.0
_HOME = CACHE / "sam"
_TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  bench:
    Type: AWS::Serverless::Function
    Properties: {{PackageType: Image, ImageUri: "{image}", MemorySize: 256, Timeout: 60}}
"""


def installed_sam() -> Path:
    """The Python that has the SAM CLI; installs it when it is not there yet.

    Raises:
        Unavailable: it cannot be installed.
    """
    python = _HOME / "bin" / "python"
    if not python.exists():
        begun = _HOME.with_name("sam.begun")  # what was broken off is begun again
        shutil.rmtree(begun, ignore_errors=True)
        try:
            for command in (
                [sys.executable, "-m", "venv", str(begun)],
                [str(begun / "bin" / "python"), "-m", "pip", "install", "--quiet", "aws-sam-cli"],
            ):
                subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS_AT_MOST)
        except (subprocess.SubprocessError, OSError) as failure:
            raise Unavailable("aws-sam-cli could not be installed") from failure
        begun.rename(_HOME)
    return python


def sam_version() -> str:
    """Of the one that is installed."""
    found = [one.name for one in _HOME.glob("lib/*/site-packages/aws_sam_cli-*.dist-info")]
    return found[0].removeprefix("aws_sam_cli-").removesuffix(".dist-info") if found else "?"


@contextmanager
def sam(image: str, *, warm: bool) -> Iterator[Contender]:
    """A server with one function.

    Args:
        image: of the function.
        warm: with ``--warm-containers EAGER``; else it starts a container for each invocation.

    Raises:
        Unavailable: there is no SAM CLI, or it does not work here.
    """
    python, port = installed_sam(), free_port()
    flags = ["--host", LOOPBACK, "--port", str(port), "--skip-pull-image", "--region", "us-east-1"]
    flags += ["--warm-containers", "EAGER"] if warm else []
    with private_folder() as folder, _images_removed(image), ended_at_last(may_leave=True) as processes:
        template = folder / "template.yaml"
        template.write_text(_TEMPLATE.format(image=image), encoding="utf-8")
        variables = {"HOME": str(folder), "TMPDIR": str(folder), "SAM_CLI_TELEMETRY": "0"}
        process = ChildProcess(
            [str(python), "-m", "samcli", "local", "start-lambda", "--template", str(template), *flags],
            environment=clean_environment(**variables, AWS_EC2_METADATA_DISABLED="true"),
            folder=folder,
        )
        processes.append(process)
        target = Target(host=LOOPBACK, port=port, path="/2015-03-31/functions/bench/invocations", closes=True)
        _wait_until_it_answers(process, target)
        yield Contender(name=NAME, target=target, processes=(process,))


def _wait_until_it_answers(process: ChildProcess, target: Target) -> None:
    """It may need what this machine has not, and says so only when it is started."""
    try:
        process.listens_on(target.port, seconds=START_SECONDS_AT_MOST)
        run_load(target, Load(requests=2, seconds=START_SECONDS_AT_MOST, warmup_requests=0))
    except ContenderFailed as failure:
        last_words = str(failure).strip().splitlines()[-1]
        raise Unavailable(f"sam local start-lambda does not work here: {last_words}") from failure


@contextmanager
def _images_removed(image: str) -> Iterator[None]:
    """Removes at last what is made of ``image``: one with the emulator inside, and its containers."""
    name = f"{image.partition(':')[0]}:rapid-{ARCHITECTURES.get(platform.machine(), '')}"
    try:
        yield
    finally:
        if has_image(name):
            remove_containers(f"ancestor={name}")
            docker("rmi", name)
