"""AWS's own emulator, the Go binary that ``aws-sam-cli`` carries, with awslambdaric behind it.

It runs one environment and cannot take overlapping requests. The binary is fetched once, through pip, into
``benchmarks/.cache``.
"""

import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders.contender import (
    Contender,
    Unavailable,
    ended_at_last,
    private_folder,
    runtime_command,
    runtime_variables,
)
from benchmarks.load import REPOSITORY, Load, Target, run_load
from benchmarks.processes import LOOPBACK, ChildProcess, clean_environment, free_port

NAME = "emulator"
CACHE = REPOSITORY / "benchmarks" / ".cache"
DOWNLOAD_SECONDS_AT_MOST = 180.0
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def emulator_binary() -> Path:
    """The binary for this machine, downloaded when it is not there yet.

    Raises:
        Unavailable: no binary for this machine, or no package index.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise Unavailable(f"AWS ships no emulator for {platform.machine()}")
    binary = CACHE / f"aws-lambda-rie-{architecture}"
    if not binary.exists():
        CACHE.mkdir(exist_ok=True)
        with zipfile.ZipFile(_downloaded_wheel()) as wheel:
            binary.write_bytes(wheel.read(f"samcli/local/rapid/{binary.name}"))
        binary.chmod(0o755)
    return binary


def _downloaded_wheel() -> Path:
    found = sorted(CACHE.glob("aws_sam_cli-*.whl"))
    if found:
        return found[-1]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), "aws-sam-cli"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_SECONDS_AT_MOST)
    except (subprocess.SubprocessError, OSError) as failure:
        raise Unavailable("aws-sam-cli could not be downloaded") from failure
    return max(CACHE.glob("aws_sam_cli-*.whl"))


@contextmanager
def emulator(*, handler: str = "hello", warm: Load | None = None, warm_up: bool = True) -> Iterator[Contender]:
    binary = emulator_binary()
    port, runtime_port = free_port(), free_port()
    addresses = ["--runtime-interface-emulator-address", f"{LOOPBACK}:{port}"]
    addresses += ["--runtime-api-address", f"{LOOPBACK}:{runtime_port}"]
    # Whether it ends its runtime is not what we measure.
    with private_folder() as folder, ended_at_last(may_leave=True) as processes:
        process = ChildProcess(
            [str(binary), "--log-level", "error", *addresses, *runtime_command(handler)],
            environment=clean_environment(**runtime_variables()),
            folder=folder,
        )
        processes.append(process)
        process.listens_on(port)
        target = Target(host=LOOPBACK, port=port, path="/2015-03-31/functions/function/invocations")
        if warm_up:
            run_load(target, warm or Load(requests=20))
        yield Contender(name=NAME, target=target, processes=(process,))
