"""A worker over a store in memory, clocks that the test moves and an Invoker that the test is."""

import time
from collections.abc import Callable

from rie_server.errors import TooManyRequestsException
from rie_server.events.attempts import Attempts
from rie_server.events.courier import Courier
from rie_server.events.worker import EventWorker
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.destination_record import deliveries
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.ports import Destinations
from tests.fakes.clock import FakeClock
from tests.fakes.destinations import MemoryDestinations
from tests.fakes.journal import RecordingJournal
from tests.fakes.stores import MemoryEventStore

FUNCTION = FunctionArn(region="us-east-1", account="000000000000", name="orders", qualifier="live")
RESULT = InvokeResult(payload=b"null", function_error=None, executed_version="$LATEST")
THROTTLED = TooManyRequestsException("ReservedFunctionConcurrentInvocationLimitExceeded")


class ScriptedInvoker:
    """Answers by function name: at once, with a refusal, or when the test says so."""

    def __init__(self) -> None:
        self.requests: list[InvokeRequest] = []
        self.waiting: dict[str, Callable[[InvokeResult], None]] = {}
        self.refuse: dict[str, Exception] = {}
        self.results: dict[str, InvokeResult] = {}
        self.hold = False

    def invoke(self, request: InvokeRequest, on_result: Callable[[InvokeResult], None]) -> None:
        self.requests.append(request)
        if request.function.name in self.refuse:
            raise self.refuse[request.function.name]
        if self.hold:
            self.waiting[request.request_id] = on_result
        else:
            on_result(self.results.get(request.function.name, RESULT))

    def finish(self, request_id: str) -> None:
        self.waiting.pop(request_id)(RESULT)

    @property
    def ids(self) -> list[str]:
        return [request.request_id for request in self.requests]


class Configs:
    """What every function is configured to."""

    def __init__(self) -> None:
        self.config = EventInvokeConfig()

    def event_invoke_config(self, function: FunctionArn) -> EventInvokeConfig:
        return self.config


class Stage:
    """A worker and everything around it. ``clock`` is the time that events live in, ``real`` that of leases."""

    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.invoker = ScriptedInvoker()
        self.configs = Configs()
        self.destinations = MemoryDestinations()
        self.journal = RecordingJournal()
        self.clock = FakeClock()
        self.real = FakeClock()
        self.gone: set[str] = set()
        self.elsewhere: set[str] = set()
        self.workers: list[EventWorker] = []
        self.new_worker()

    def new_worker(self, *, slots: int = 128, threads: int = 16, destinations: Destinations | None = None) -> None:
        """Takes the place of the worker that was, which goes on working (if it was started) until ``close``."""
        courier = Courier(
            destinations=destinations or self.destinations,
            rule=deliveries,
            journal=self.journal,
            clock=self.clock,
            threads=threads,
        )
        attempts = Attempts(
            store=self.store,
            invoker=self.invoker,
            configs=self.configs,
            courier=courier,
            journal=self.journal,
            clock=self.clock,
            real=self.real,
            owner="me",
            retry_base_seconds=60.0,
        )
        self.worker = EventWorker(
            store=self.store,
            attempts=attempts,
            courier=courier,
            journal=self.journal,
            clock=self.clock,
            real=self.real,
            owner="me",
            is_gone=lambda owner: owner in self.gone,
            is_elsewhere=lambda lane: lane.rpartition(":")[2] in self.elsewhere,
            slots=slots,
        )
        self.workers.append(self.worker)

    def close(self) -> None:
        for worker in self.workers:
            worker.close()

    def claim_for(self, owner: str, *, lease_seconds: float = 60.0) -> None:
        """Another server claims one event of ``orders``."""
        lane = str(FUNCTION.unqualified)
        claimed = self.store.claim(owner, {lane: 1}, now=self.clock.now(), lease_seconds=lease_seconds)
        assert len(claimed) == 1

    def claim_for_silent(self, request_id: str) -> None:
        """An event that another server has claimed, from which nothing is heard any more."""
        request = InvokeRequest(function=FUNCTION.unqualified, payload=b"{}", request_id=request_id)
        self.store.add(QueuedEvent(request=request, enqueued_at=self.clock.now()), lambda error: None)
        self.claim_for("silent")

    def submit(self, request_id: str, *, name: str = "orders") -> Exception | None:
        told: list[Exception | None] = []
        request = InvokeRequest(
            function=FunctionArn(region="us-east-1", account="000000000000", name=name),
            payload=b'{"a": 1}',
            request_id=request_id,
        )
        self.worker.submit(request, told.append)
        assert len(told) == 1
        return told[0]

    def queued(self) -> list[str]:
        return [event.request.request_id for event in self.store]

    def advance_until(self, condition: Callable[[], bool], *, step_seconds: float) -> float:
        """Moves both clocks until ``condition`` holds; returns how far."""
        moved_seconds = 0.0
        while not condition():
            assert moved_seconds < 100_000
            self.clock.advance(step_seconds)
            self.real.advance(step_seconds)
            moved_seconds += step_seconds
            settle(condition)
        return moved_seconds


def settle(condition: Callable[[], bool], seconds: float = 0.1) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


def eventually(condition: Callable[[], bool]) -> None:
    assert settle(condition, 5.0)
