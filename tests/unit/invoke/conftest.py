"""The stage whole, over fakes: a clock the test moves, an executor that starts nothing, threads that run at once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rie_server.errors import ResourceNotFoundException
from rie_server.invoke.answers import Answers
from rie_server.invoke.environments import Invocation
from rie_server.invoke.extensions import Extensions
from rie_server.invoke.fleet import Fleet
from rie_server.invoke.front_controller import FrontController
from rie_server.invoke.mailbox import Mailbox
from rie_server.invoke.supervisor import Supervisor
from rie_server.invoke.variables import Variables
from rie_server.model.arn import FunctionArn
from rie_server.model.function import FunctionVersion, ImageConfig
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.telemetry.logs import LogWriter
from tests.fakes.clock import FakeClock
from tests.fakes.executor import FakeExecutor, FakeRunning

ARN = FunctionArn(region="us-east-1", account="000000000000", name="orders")


def function_version(deployment_id: str = "d1", *, timeout_seconds: int = 3, name: str = "orders") -> FunctionVersion:
    return FunctionVersion(
        arn=FunctionArn(region="us-east-1", account="000000000000", name=name),
        version="$LATEST",
        deployment_id=deployment_id,
        runtime="python3.11",
        handler="app.handler",
        timeout_seconds=timeout_seconds,
        memory_size_mb=128,
        ephemeral_storage_mb=512,
        architecture="x86_64",
        variables={"STAGE": "test"},
        code_directory=Path("/var/task"),
        image_uri=None,
        image_config=ImageConfig(),
        log_group=f"/aws/lambda/{name}",
        role="arn:aws:iam::000000000000:role/r",
    )


class OneByOne:
    """In place of the supervisor's threads: runs each task on the caller's thread, after the one that runs now."""

    def __init__(self) -> None:
        self._tasks: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._busy = False

    def submit(self, task: Callable[..., None], *arguments: object) -> None:
        self._tasks.append((task, arguments))
        if self._busy:
            return
        self._busy = True
        while self._tasks:
            task, arguments = self._tasks.pop(0)
            task(*arguments)
        self._busy = False

    def shutdown(self, *, wait: bool) -> None: ...


class Catalog:
    def __init__(self) -> None:
        self.functions = {"orders": function_version()}
        self.recursive: set[str] = set()

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        if function.name not in self.functions:
            raise ResourceNotFoundException(f"Function not found: {function.qualified('$LATEST')}")
        return self.functions[function.name]

    def allows_recursion(self, function: FunctionArn) -> bool:
        return function.name in self.recursive


class Runtime:
    """A runtime in one environment, as a test plays it; also the poll that it waits in."""

    def __init__(self, stage: "Stage", running: FakeRunning) -> None:
        self.stage = stage
        self.running = running
        self.id = running.spec.environment_id
        self.connected = True
        self.got: list[Invocation] = []

    def is_connected(self) -> bool:
        return self.connected

    def deliver(self, invocation: Invocation) -> None:
        self.got.append(invocation)

    def next(self) -> "Runtime":
        self.stage.mailbox.next(self.id, self)
        return self

    @property
    def request_id(self) -> str:
        return self.got[-1].request.request_id

    def respond(self, payload: bytes = b'"done"') -> None:
        self.stage.mailbox.response(self.id, self.request_id, payload)


class Stage:
    def __init__(
        self,
        tmp_path: Path,
        *,
        max_environments: int = 10,
        concurrency_limit: int = 10,
        stream_bandwidth: int = 0,
        later: Callable[[Callable[[], object]], None] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.shown: list[str] = []
        self.executor = FakeExecutor()
        self.catalog = Catalog()
        self.logs = LogWriter(directory=tmp_path / "logs", clock=self.clock, show=self.shown.append)
        self.fleet = Fleet(clock=self.clock, logs=self.logs, max_environments=max_environments, keepalive_seconds=60.0)
        self.threads = OneByOne()
        self.answers = Answers(clock=self.clock, later=later)
        self.supervisor = Supervisor(
            fleet=self.fleet,
            executor=self.executor,
            clock=self.clock,
            variables=Variables({}),
            threads=self.threads,
            answers=self.answers,
        )
        self.mailbox = Mailbox(
            fleet=self.fleet,
            supervisor=self.supervisor,
            answers=self.answers,
            clock=self.clock,
            stream_bandwidth=stream_bandwidth,
        )
        self.extensions = Extensions(fleet=self.fleet, supervisor=self.supervisor, mailbox=self.mailbox)
        self.front_controller = FrontController(
            catalog=self.catalog, fleet=self.fleet, clock=self.clock, concurrency_limit=concurrency_limit
        )
        self.results: dict[str, InvokeResult] = {}

    def invoke(
        self,
        request_id: str,
        *,
        name: str = "orders",
        want_log_tail: bool = False,
        trace_header: str = "",
        tenant_id: str | None = None,
    ) -> None:
        request = InvokeRequest(
            function=FunctionArn(region="us-east-1", account="000000000000", name=name),
            payload=b"{}",
            request_id=request_id,
            want_log_tail=want_log_tail,
            trace_header=trace_header,
            tenant_id=tenant_id,
        )

        def keep(result: InvokeResult) -> None:
            assert request_id not in self.results, "an invocation was answered twice"
            self.results[request_id] = result

        self.front_controller.invoke(request, keep)

    def runtime(self, number: int = -1) -> Runtime:
        return Runtime(self, self.executor.started[number])

    def error_of(self, request_id: str) -> dict[str, str]:
        result = self.results[request_id]
        assert result.function_error == "Unhandled"
        return json.loads(result.payload)

    def log_text(self) -> str:
        self.logs.flush()
        return "".join(self.shown)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)
