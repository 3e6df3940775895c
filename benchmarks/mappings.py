"""What the scenarios of brokers share: the figures of a bare consumer, and of a server that polls for a function."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.contenders.server import Server
from benchmarks.load import run_plan
from benchmarks.processes import ContenderFailed
from benchmarks.rounds import Metrics

PATH = "/2015-03-31/event-source-mappings"
SECONDS_AT_MOST = 60.0
LOOK_SECONDS = 0.02

Look = Callable[[Mapping[str, Any]], bool]


def consumed(module: str, plan: Mapping[str, Any], *, metric: str, count: int) -> Metrics:
    """Of a bare consumer that takes ``count`` of them, as a process of its own."""
    outcome = run_plan(module, plan)
    return {
        (metric, "/s"): count / outcome.wall_seconds,
        ("consumer's processor time", "us"): outcome.client_cpu_seconds / count * 1e6,
    }


def polled(
    server: Server, function: str, uuid: str, *, begin: Callable[[], None], is_through: Look, metric: str, count: int
) -> Metrics:
    """Of a mapping that brings ``count`` of them to ``function``; deletes it.

    Args:
        begin: returns when the clock is to start.
        is_through: by what ``/_rie/mappings`` says of the mapping.
    """
    contender = server.as_contender(function)
    served, ran = contender.server_cpu_seconds(), contender.runtime_cpu_seconds()
    begin()
    begun = time.perf_counter()
    wait_for(server, uuid, is_through)
    seconds = time.perf_counter() - begun
    served, ran = contender.server_cpu_seconds() - served, contender.runtime_cpu_seconds() - ran
    wait_for(server, uuid, lambda one: one["state"] == "Enabled")
    server.call("DELETE", f"{PATH}/{uuid}")
    return {
        (metric, "/s"): count / seconds,
        ("server's processor time", "us"): served / count * 1e6,
        ("runtimes' processor time", "us"): ran / count * 1e6,
    }


def wait_for(server: Server, uuid: str, is_so: Look) -> None:
    deadline = time.perf_counter() + SECONDS_AT_MOST
    while not any(is_so(one) for one in server.call("GET", "/_rie/mappings")["mappings"] if one["uuid"] == uuid):
        if time.perf_counter() > deadline:
            raise ContenderFailed("the mapping did not get so far in time")
        time.sleep(LOOK_SECONDS)
