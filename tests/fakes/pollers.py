"""Pollers that do nothing but remember what was asked of them, and a source that answers as a test says."""

import threading
from collections.abc import Mapping
from typing import Any

from rie_server.model.event_source import EventSourceMapping
from rie_server.polling import MappingReporter


class FakePoller:
    """Fills ``polling.Poller``.

    Attributes:
        calls: ``start``, ``stop`` and ``join``, in order.
        idle: while not set, something is in flight, and ``join`` does not come to an end.
    """

    def __init__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> None:
        self.mapping = mapping
        self.reporter = reporter
        self.calls: list[str] = []
        self.idle = threading.Event()
        self.idle.set()

    @property
    def is_running(self) -> bool:
        return "start" in self.calls and "stop" not in self.calls

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def join(self, timeout_seconds: float) -> bool:
        self.calls.append("join")
        return self.idle.wait(timeout_seconds)

    def is_settled(self) -> bool:
        return self.idle.is_set()

    def describe(self) -> Mapping[str, Any]:
        return {"backlog": 3, "pollers": 1, "in_flight": 0 if self.idle.is_set() else 1}


class FakePollers:
    """Fills ``polling.MakePoller``.

    Attributes:
        made: all pollers, in order.
        failures: raised, one for each poller that is asked for, before any is made.
        gate: while not set, nothing is made: whoever asks waits.
    """

    def __init__(self) -> None:
        self.made: list[FakePoller] = []
        self.failures: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> FakePoller:
        self.gate.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        poller = FakePoller(mapping, reporter)
        self.made.append(poller)
        return poller

    @property
    def running(self) -> list[FakePoller]:
        return [poller for poller in self.made if poller.is_running]


class FakeInspector:
    """Fills ``polling.SourceInspector``.

    Attributes:
        refusal: what ``check`` raises.
    """

    def __init__(self) -> None:
        self.checked: list[EventSourceMapping] = []
        self.refusal: Exception | None = None

    def check(self, mapping: EventSourceMapping) -> None:
        self.checked.append(mapping)
        if self.refusal is not None:
            raise self.refusal
