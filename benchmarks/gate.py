"""A gate before a function's environments: events are accepted and queued, and nothing is run until it opens.

Each environment is held by one synchronous invocation (``bench_handler.gated``), so what the queue does meanwhile is
what it does for any function that is busy. Not thread-safe.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders.contender import private_folder
from benchmarks.load import Load, Outcome, Target, run_load
from benchmarks.processes import ContenderFailed

HANDLER = "gated"
SHUT_SECONDS_AT_MOST = 30.0
"""How long a gate may stay shut: the server throttles what has found no room for a minute."""

_ARRIVAL_SECONDS_AT_MOST = 20.0


class Gate:
    """
    Args:
        folder: what the functions at the gate look at.
        holding: the invocations that hold them there.
    """

    def __init__(self, folder: Path, holding: "Future[Outcome]", environments: int) -> None:
        self._folder = folder
        self._holding = holding
        self._environments = environments

    def open(self) -> None:
        """Lets everything pass. Idempotent."""
        (self._folder / "open").touch()

    def wait_until_shut(self) -> None:
        """Returns once every environment is held.

        Raises:
            ContenderFailed: they are not.
        """
        deadline = time.monotonic() + _ARRIVAL_SECONDS_AT_MOST
        while (here := sum(1 for _ in self._folder.iterdir())) < self._environments:
            if self._holding.done():
                self._holding.result()
            if self._holding.done() or time.monotonic() > deadline:
                raise ContenderFailed(f"{here} of {self._environments} environments came to the gate")
            time.sleep(0.005)


@contextmanager
def shut_gate(target: Target, *, environments: int) -> Iterator[Gate]:
    """A gate that is shut before all ``environments`` of a server, and open at the end at the latest.

    Raises:
        ContenderFailed: an environment did not come to it, or failed there.
    """
    with private_folder() as folder, ThreadPoolExecutor(1, thread_name_prefix="gate") as thread:
        folder.chmod(0o777)  # functions may run as somebody else
        event = json.dumps({"gate": str(folder)})
        load = Load(clients=environments, requests=environments, warmup_requests=0, body=event)
        holding = thread.submit(run_load, target, load)
        gate = Gate(folder, holding, environments)
        try:
            gate.wait_until_shut()
            yield gate
        finally:
            gate.open()
        holding.result()
