"""Running the client against a contender, and what it came to.

The client is a child process (``client.py``); a plan goes in, an outcome comes back. Blocking; not thread-safe.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile
from benchmarks.processes import ContenderFailed, clean_environment

REPOSITORY = Path(__file__).resolve().parent.parent
HELLO_REPLY = '{"message": "hello"}'
CLIENT_SECONDS_AT_MOST = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a contender takes invocations.

    Attributes:
        closes: it closes each connection after its reply, whatever the client would like.
        headers: without which it does not know what is asked of it.
    """

    host: str
    port: int
    path: str
    closes: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: ends after ``requests`` or ``seconds``, whichever is first."""

    clients: int = 1
    requests: int = 1000
    seconds: float = 5.0
    warmup_requests: int = 20
    body: str = "{}"
    expected: str = HELLO_REPLY
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def event_load(*, clients: int, requests: int, seconds: float, warmup_requests: int = 20) -> Load:
    """Asynchronous invocations: each is over with its 202."""
    return Load(
        clients=clients,
        requests=requests,
        seconds=seconds,
        warmup_requests=warmup_requests,
        expected="",
        status=202,
        headers={"X-Amz-Invocation-Type": "Event"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    latencies_ms: tuple[float, ...]
    wall_seconds: float
    client_cpu_seconds: float

    def latency(self, percent: float) -> float:
        return percentile(self.latencies_ms, percent)

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.wall_seconds

    @property
    def client_cpu_us(self) -> float:
        """Processor time that the client itself took for each request."""
        return self.client_cpu_seconds / len(self.latencies_ms) * 1e6


def run_load(target: Target, load: Load) -> Outcome:
    """Runs one load to its end.

    Raises:
        ContenderFailed: a reply was missing or not the expected one.
    """
    plan = asdict(target) | asdict(load) | {"headers": {**target.headers, **load.headers}}
    return run_plan("benchmarks.client", plan)


def run_plan(module: str, plan: Mapping[str, Any]) -> Outcome:
    """Runs a program of the benchmarks that reads a plan and writes an outcome.

    Raises:
        ContenderFailed: it has failed, or did not end.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(plan).encode(),
            env=clean_environment(),
            cwd=REPOSITORY,
            capture_output=True,
            timeout=CLIENT_SECONDS_AT_MOST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ContenderFailed(f"the load did not end within {CLIENT_SECONDS_AT_MOST:g} s") from None
    if done.returncode:
        raise ContenderFailed(f"{module.rpartition('.')[2]}: {done.stderr.decode(errors='replace').strip()}")
    outcome = json.loads(done.stdout)
    return Outcome(
        latencies_ms=tuple(nanoseconds / 1e6 for nanoseconds in outcome["latencies_ns"]),
        wall_seconds=outcome["wall_seconds"],
        client_cpu_seconds=outcome["client_cpu_seconds"],
    )
