"""What the scenarios of brokers share: the figures of a bare consumer, and of a server that polls for a function."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.contenders.server import Server
from benchmarks.load import run_plan
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Metrics

PATH = "/2015-03-31/event-source-mappings"
SECONDS_AT_MOST = 60.0
# A look is a request of its own, which costs the server a millisecond.
LOOK_SECONDS = 0.05

Look = Callable[[Mapping[str, Any]], bool]


def consumed(module: str, plan: Mapping[str, Any], *, metric: str, count: int) -> Metrics:
    """Of a bare consumer that takes ``count`` of them, as a process of its own."""
    outcome = run_plan(module, plan)
    return {
        (metric, "/s"): count / outcome.wall_seconds,
        ("consumer's processor time", "us"): outcome.client_cpu_seconds / count * 1e6,
    }


def polled(
    server: Server, function: str, uuid: str, *, begin: Callable[[], int], is_through: Look, metric: str, count: int
) -> Metrics:
    """Of a mapping that brings ``count`` of them to ``function``; deletes it.

    Args:
        begin: returns when the clock is to start, with how many the function has had before that; they do not count.
        is_through: by what ``/_rie/mappings`` says of the mapping.
    """
    contender = server.as_contender(function)
    served, ran = contender.server_cpu_seconds(), contender.runtime_cpu_seconds()
    count -= begin()
    begun = time.perf_counter()
    wait_for(server, uuid, is_through)
    seconds = time.perf_counter() - begun
    served, ran = contender.server_cpu_seconds() - served, contender.runtime_cpu_seconds() - ran
    wait_for(server, uuid, lambda one: one["state"] == "Enabled")
    server.call("DELETE", f"{PATH}/{uuid}")
    _wait(server, lambda mappings: all(one["uuid"] != uuid for one in mappings))
    return {
        (metric, "/s"): count / seconds,
        ("server's processor time", "us"): served / count * 1e6,
        ("runtimes' processor time", "us"): ran / count * 1e6,
    }


def wait_for(server: Server, uuid: str, is_so: Look) -> Mapping[str, Any]:
    """Returns what ``/_rie/mappings`` says of the mapping once that is so.

    Raises:
        ContenderFailed: it has not become so in time.
    """
    found: list[Mapping[str, Any]] = []

    def look(mappings: Sequence[Mapping[str, Any]]) -> bool:
        found[:] = [one for one in mappings if one["uuid"] == uuid and is_so(one)]
        return bool(found)

    _wait(server, look)
    return found[0]


def _wait(server: Server, is_so: Callable[[Sequence[Mapping[str, Any]]], bool]) -> None:
    deadline = time.perf_counter() + SECONDS_AT_MOST
    while not is_so(server.call("GET", "/_rie/mappings")["mappings"]):
        if time.perf_counter() > deadline:
            raise ContenderFailed("the mapping did not get so far in time")
        time.sleep(LOOK_SECONDS)
