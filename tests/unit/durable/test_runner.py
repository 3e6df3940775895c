"""Executions from their beginning to their end, on a store in memory, with functions that answer as a test says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from rie_server.durable.dead_letters import DeadLetters
from rie_server.durable.executions import CheckpointRequest, DurableExecutions
from rie_server.durable.runner import AT_ONCE, DurableRunner
from rie_server.durable.starting import DurableEvents, DurableStarts
from rie_server.durable.waiting import Waiters
from rie_server.errors import (
    DurableExecutionAlreadyStartedException,
    InvalidParameterValueException,
    LambdaError,
    ResourceNotFoundException,
    ServiceException,
    TooManyRequestsException,
)
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_execution import DurableExecution, ExecutionStatus
from rie_server.model.durable_names import DurableArn, parse_durable_arn
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function import FunctionVersion, ImageConfig
from rie_server.model.invocation import InvokeRequest, InvokeResult
from tests.conftest import wait_until
from tests.fakes.clock import FakeClock
from tests.fakes.durable import MemoryDurableStore
from tests.fakes.invoker import FakeInvoker, answer, failure

FLOW = FunctionArn(region="us-east-1", account="123456789012", name="flow", qualifier="live")
PENDING = answer({"Status": "PENDING"})


def version(name: str, config: DurableConfig | None) -> FunctionVersion:
    return FunctionVersion(
        arn=FunctionArn(region="us-east-1", account="123456789012", name=name),
        version="3",
        deployment_id=name,
        runtime="python3.12",
        handler="app.handler",
        timeout_seconds=3,
        memory_size_mb=128,
        ephemeral_storage_mb=512,
        architecture="x86_64",
        variables={},
        code_directory=None,
        image_uri=None,
        image_config=ImageConfig(),
        log_group="",
        role="",
        durable=config,
    )


class Catalog:
    """Fills ``ports.FunctionCatalog``: ``flow`` and ``child`` are durable, ``plain`` is not."""

    functions: ClassVar = {
        "flow": version("flow", DurableConfig(execution_timeout_seconds=600)),
        "child": version("child", DurableConfig(execution_timeout_seconds=60)),
        "plain": version("plain", None),
    }

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        if function.name not in self.functions:
            raise ResourceNotFoundException(f"Function not found: {function}")
        return self.functions[function.name]

    def allows_recursion(self, _: FunctionArn) -> bool:
        return False


class Queue:
    def __init__(self) -> None:
        self.requests: list[InvokeRequest] = []

    def submit(self, request: InvokeRequest, on_durable: Callable[[Exception | None], None]) -> None:
        self.requests.append(request)
        on_durable(None)


class World:
    """A server's durable part; ``restart`` makes another one on the same store."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryDurableStore()
        self.gone: set[str] = set()
        self.elsewhere: set[str] = set()
        self.queue = Queue()
        self.letters: list[QueuedEvent] = []
        self.dead_letter_queue: str | None = None
        self.letter_failure: Exception | None = None
        self.process = 0
        self.restart()

    def restart(self) -> None:
        self.process += 1
        self.invoker = FakeInvoker()
        self.invoker.decide = lambda _: None
        self.waiters = Waiters()
        self.runner = DurableRunner(
            store=self.store,
            invoker=self.invoker,
            waiters=self.waiters,
            dead_letters=DeadLetters(store=self.store, configs=self, add=self.add_letter),
            clock=self.clock,
            real=self.clock,
            owner=f"server/{self.process}",
            is_gone=self.gone.__contains__,
            is_elsewhere=self.elsewhere.__contains__,
        )
        self.starts = DurableStarts(store=self.store, runner=self.runner, waiters=self.waiters, clock=self.clock)
        self.events = DurableEvents(catalog=Catalog(), starts=self.starts, queue=self.queue)
        self.executions = DurableExecutions(store=self.store, runner=self.runner, catalog=Catalog(), clock=self.clock)
        self.runner.start()

    def close(self) -> None:
        self.runner.close()

    def event_invoke_config(self, function: FunctionArn) -> EventInvokeConfig:
        """Fills ``ports.EventInvokeConfigs``."""
        assert function == FLOW
        return EventInvokeConfig(dead_letter=self.dead_letter_queue, on_failure="arn:aws:sqs:us-east-1:1:other")

    def add_letter(self, event: QueuedEvent, on_durable: Callable[[Exception | None], None]) -> None:
        if self.letter_failure is None:
            self.letters.append(event)
        on_durable(self.letter_failure)

    def begin(self, payload: bytes = b'{"n":1}', name: str | None = None, function: FunctionArn = FLOW) -> DurableArn:
        """Starts an execution that nobody waits for."""
        told: list[tuple[DurableExecution | None, LambdaError | None]] = []
        request = InvokeRequest(
            function=function, payload=payload, request_id="r", trace_header="Root=1-0-0", durable_execution_name=name
        )
        self.starts.start(Catalog.functions[function.name], request, lambda *outcome: told.append(outcome))
        ((execution, refusal),) = told
        if execution is None:
            raise refusal or AssertionError
        return execution.arn

    def running(self, count: int = 1) -> Any:
        """The newest event, once so many invocations run."""
        wait_until(lambda: len(self.invoker.running) == count, what=f"{count} invocations")
        return self.invoker.running[-1][0]

    def settle(self) -> None:
        wait_until(lambda: self.runner.is_settled() or self.invoker.running, what="the runner")

    def finish(self, result: InvokeResult) -> None:
        self.invoker.finish(result)
        wait_until(self.runner.is_settled, what="the runner")

    def save(self, event: Any, *updates: dict[str, Any]) -> Any:
        arn = parse_durable_arn(event["DurableExecutionArn"])
        assert arn is not None
        request = CheckpointRequest(arn=arn, token=event["CheckpointToken"], updates=updates, client_token=None)
        _, answered = self.executions.checkpoint(request)
        event["CheckpointToken"] = answered.token
        return answered

    def status(self, arn: DurableArn) -> ExecutionStatus:
        return self.executions.get(arn).execution.status


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def wait_of(seconds: int) -> dict[str, Any]:
    return {"Id": "wait", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": seconds}}


def call_of(function: str, payload: str = "[]") -> dict[str, Any]:
    options = {"FunctionName": function}
    return {
        "Id": "call",
        "Type": "CHAINED_INVOKE",
        "Action": "START",
        "Payload": payload,
        "ChainedInvokeOptions": options,
    }


def test_the_first_invocation_carries_the_input_and_a_token(world: World) -> None:
    arn = world.begin(b'{"n": "\xc3\xbc"}')

    event = world.running()

    assert event["DurableExecutionArn"] == str(arn)
    (itself,) = event["InitialExecutionState"]["Operations"]
    assert itself["ExecutionDetails"] == {"InputPayload": '{"n": "ü"}'}
    assert itself["StartTimestamp"] == 1_767_225_600_000
    assert (event["InitialExecutionState"]["NextMarker"], event["UpdatedOperationIds"]) == ("", [])
    assert world.invoker.requests[0].function == FLOW.qualified("3")
    assert world.invoker.requests[0].is_durable_invocation


def test_a_wait_that_is_over_invokes_the_function_again(world: World) -> None:
    arn = world.begin()
    world.save(world.running(), wait_of(30))
    world.finish(PENDING)
    world.clock.advance(29)
    world.settle()
    assert world.invoker.running == []

    world.clock.advance(1)

    event = world.running()
    assert event["UpdatedOperationIds"] == ["wait"]
    assert [one["Status"] for one in event["InitialExecutionState"]["Operations"]] == ["STARTED", "SUCCEEDED"]
    world.finish(answer({"Status": "SUCCEEDED", "Result": '"done"'}))
    assert world.status(arn) is ExecutionStatus.SUCCEEDED


def test_who_waits_for_an_execution_hears_how_it_ends(world: World) -> None:
    results: list[InvokeResult] = []
    request = InvokeRequest(function=FLOW, payload=b"{}", request_id="r")
    world.starts.execute(Catalog.functions["flow"], request, results.append)
    world.running()
    assert results == []

    world.finish(answer({"Status": "FAILED", "Error": {"ErrorMessage": "no", "ErrorType": "SoldOut"}}))

    (result,) = results
    assert (result.function_error, result.executed_version) == ("Unhandled", "3")
    assert json.loads(result.payload) == {"errorMessage": "no", "errorType": "SoldOut"}
    assert result.durable_execution_arn is not None


def test_a_name_that_is_used_again_joins_the_execution_it_has_begun(world: World) -> None:
    arn = world.begin(name="monday")
    assert world.begin(name="monday") == arn
    results: list[InvokeResult] = []
    request = InvokeRequest(function=FLOW, payload=b'{"n":1}', request_id="r", durable_execution_name="monday")
    world.starts.execute(Catalog.functions["flow"], request, results.append)
    world.running()
    world.finish(answer({"Status": "SUCCEEDED", "Result": "5"}))
    world.starts.execute(Catalog.functions["flow"], request, results.append)

    assert [result.payload for result in results] == [b"5", b"5"]
    assert len(world.invoker.requests) == 1
    with pytest.raises(DurableExecutionAlreadyStartedException, match=f"Execution already started: .*{arn.id}"):
        world.begin(b'{"n":2}', name="monday")


def test_an_event_for_a_durable_function_begins_an_execution_and_all_others_are_queued(world: World) -> None:
    told: list[Exception | None] = []
    for name in ("flow", "plain", "gone"):
        function = FunctionArn(region="us-east-1", account="123456789012", name=name, qualifier="live")
        world.events.submit(InvokeRequest(function=function, payload=b"{}", request_id=name), told.append)

    assert told == [None, None, None]
    assert [request.request_id for request in world.queue.requests] == ["plain", "gone"]
    world.running()


def test_an_execution_that_cannot_be_stored_is_not_acknowledged(world: World) -> None:
    world.store.failure = ServiceException("disk full")

    with pytest.raises(ServiceException, match="disk full"):
        world.begin()
    world.store.failure = None


def test_a_crash_of_the_function_is_tried_again_from_the_last_checkpoint(world: World) -> None:
    world.begin()
    world.save(world.running(), {"Id": "step", "Type": "STEP", "Action": "SUCCEED", "Payload": "1"})
    world.finish(failure())

    world.clock.advance(1)

    event = world.running()
    assert [one["Id"] for one in event["InitialExecutionState"]["Operations"][1:]] == ["step"]


def test_whatever_goes_wrong_with_an_invocation_it_is_tried_again(world: World) -> None:
    def break_down(_: Any) -> None:
        raise RuntimeError("a defect")

    world.invoker.decide = break_down
    arn = world.begin()
    wait_until(lambda: world.invoker.requests and world.runner.is_settled())
    assert world.executions.get(arn).execution.invocation is None
    world.invoker.decide = lambda _: None

    world.clock.advance(1)

    world.running()


def test_more_updates_than_an_execution_may_have_are_refused_before_they_are_looked_at(world: World) -> None:
    world.begin()
    event = world.running()
    updates = [{"Id": str(number), "Type": "STEP", "Action": "SUCCEED"} for number in range(6001)]

    with pytest.raises(InvalidParameterValueException, match="operation count"):
        world.save(event, *updates)
    with pytest.raises(InvalidParameterValueException, match="operation count"):
        world.save(event, *updates[:3000])
    world.save(event, *updates[:2999])


def test_a_throttled_invocation_is_tried_again(world: World) -> None:
    world.invoker.decide = lambda _: TooManyRequestsException("ConcurrentInvocationLimitExceeded")
    arn = world.begin()
    wait_until(lambda: world.invoker.requests and world.runner.is_settled())
    assert world.status(arn) is ExecutionStatus.RUNNING
    world.invoker.decide = lambda _: None

    world.clock.advance(1)

    world.running()


def test_a_durable_function_that_is_chained_wakes_its_parent_with_its_result(world: World) -> None:
    parent = world.begin()
    world.save(world.running(), call_of("child:live", "[7]"))
    event = world.running(2)
    assert event["InitialExecutionState"]["Operations"][0]["ExecutionDetails"]["InputPayload"] == "[7]"
    world.invoker.finish(PENDING)

    world.invoker.finish(answer({"Status": "SUCCEEDED", "Result": '"child"'}))

    event = world.running()
    assert event["DurableExecutionArn"] == str(parent)
    assert event["InitialExecutionState"]["Operations"][1]["ChainedInvokeDetails"] == {"Result": '"child"'}


def test_an_ordinary_function_that_is_chained_gets_its_payload_as_it_is(world: World) -> None:
    world.begin()
    world.save(world.running(), call_of("plain", '{"price": 5}'))
    assert world.running(2) == {"price": 5}
    world.invoker.finish(PENDING)

    world.invoker.finish(failure())

    event = world.running()
    call = event["InitialExecutionState"]["Operations"][1]
    assert (call["Status"], call["ChainedInvokeDetails"]["Error"]["ErrorMessage"]) == ("FAILED", "no")


@pytest.mark.parametrize(
    ("function", "error_type"),
    [("gone:live", "ResourceNotFoundException"), ("child", "InvalidParameterValueException")],
)
def test_what_cannot_be_chained_is_told_in_the_answer(world: World, function: str, error_type: str) -> None:
    world.begin()

    answered = world.save(world.running(), call_of(function))

    assert [one.details["Error"]["ErrorType"] for one in answered.operations] == [error_type]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("arn:aws:lambda:eu-west-1:123456789012:function:plain", "in another region."),
        ("arn:aws:lambda:us-east-1:210987654321:function:plain", "in another account."),
    ],
)
def test_functions_elsewhere_cannot_be_chained(world: World, function: str, words: str) -> None:
    world.begin()
    event = world.running()

    with pytest.raises(InvalidParameterValueException, match=words):
        world.save(event, call_of(function))


def test_an_execution_that_was_running_when_its_server_died_is_run_again(world: World) -> None:
    arn = world.begin()
    event = world.running()
    world.save(event, {"Id": "step", "Type": "STEP", "Action": "SUCCEED"})
    world.close()
    late = world.invoker
    world.gone.add("server/1")

    world.restart()

    again = world.running()
    assert [one["Id"] for one in again["InitialExecutionState"]["Operations"][1:]] == ["step"]
    late.finish(answer({"Status": "SUCCEEDED", "Result": '"late"'}))
    with pytest.raises(InvalidParameterValueException, match="Invalid checkpoint token"):
        world.save(event)
    assert world.status(arn) is ExecutionStatus.RUNNING


def test_a_timer_that_went_off_while_no_server_ran_is_noticed_at_the_next_start(world: World) -> None:
    world.begin()
    world.save(world.running(), wait_of(30))
    world.finish(PENDING)
    world.close()
    world.clock.advance(60)

    world.restart()

    assert world.running()["UpdatedOperationIds"] == ["wait"]


def test_a_chained_result_reaches_a_parent_whose_server_died_before_it_was_told(world: World) -> None:
    world.begin()
    world.save(world.running(), call_of("plain"))
    world.running(2)
    world.invoker.finish(PENDING)
    world.close()
    world.gone.add("server/1")
    world.restart()

    assert world.running() == []
    world.invoker.finish(answer("again"))

    assert world.running()["UpdatedOperationIds"] == ["call"]


def test_executions_that_wait_for_another_server_stand_in_nobodys_way(world: World) -> None:
    child = replace(FLOW, name="child")
    world.elsewhere.add(str(child.unqualified))
    for _ in range(AT_ONCE + 1):
        world.begin(function=child)
    world.settle()

    arn = world.begin()

    assert world.running()["DurableExecutionArn"] == str(arn)


def test_a_server_that_drains_invokes_nothing_more(world: World) -> None:
    world.begin()
    world.save(world.running(), wait_of(1))
    world.finish(PENDING)

    assert world.runner.drain(1.0)
    world.clock.advance(5)

    assert world.invoker.running == []


def test_a_draining_server_waits_for_what_runs(world: World) -> None:
    world.begin()
    world.running()
    assert not world.runner.drain(0.01)

    world.invoker.finish(answer({"Status": "SUCCEEDED"}))

    assert world.runner.drain(5.0)


def test_what_became_of_an_invocation_is_stored_as_soon_as_the_store_works_again(world: World) -> None:
    arn = world.begin()
    world.running()
    world.store.failure = ServiceException("disk full")
    world.invoker.finish(answer({"Status": "SUCCEEDED", "Result": "1"}))
    assert not world.runner.is_settled()
    world.store.failure = None

    world.clock.advance(1)

    assert world.status(arn) is ExecutionStatus.SUCCEEDED


def test_an_event_whose_execution_has_failed_goes_to_the_dead_letter_queue_once(world: World) -> None:
    world.dead_letter_queue = "arn:aws:sqs:us-east-1:123456789012:dead"
    world.letter_failure = ServiceException("disk full")
    arn = world.begin(b'{"n": 7}')
    world.running()
    world.finish(answer({"Status": "FAILED", "Error": {"ErrorMessage": "no"}}))
    wait_until(world.runner.is_settled)
    assert world.letters == []
    world.letter_failure = None

    world.clock.advance(1)

    (letter,) = wait_until(lambda: world.letters, what="the letter")
    assert (letter.request.payload, letter.request.request_id) == (b'{"n": 7}', "r")
    assert letter.request.function == FLOW
    assert letter.ended is not None
    assert letter.ended.ending.response_payload == b'{"errorMessage":"no"}'
    assert letter.ended.config == EventInvokeConfig(dead_letter=world.dead_letter_queue)
    wait_until(world.runner.is_settled)
    assert world.executions.get(arn).execution.owes_news is False
    world.clock.advance(60)
    wait_until(world.runner.is_settled)
    assert len(world.letters) == 1


def test_nobody_hears_of_executions_that_succeed_or_that_somebody_waited_for(world: World) -> None:
    world.dead_letter_queue = "arn:aws:sqs:us-east-1:123456789012:dead"
    world.begin()
    world.running()
    world.finish(answer({"Status": "SUCCEEDED"}))
    results: list[InvokeResult] = []
    world.starts.execute(
        Catalog.functions["flow"], InvokeRequest(function=FLOW, payload=b"{}", request_id="s"), results.append
    )
    world.running()
    world.finish(answer({"Status": "FAILED"}))

    wait_until(world.runner.is_settled)
    assert len(results) == 1
    assert world.letters == []


def test_executions_are_forgotten_after_their_retention(world: World) -> None:
    arn = world.begin()
    world.running()
    world.finish(answer({"Status": "SUCCEEDED"}))

    world.clock.advance(14 * 86_400 - 1)
    world.executions.get(arn)
    world.clock.advance(1)

    def is_forgotten() -> bool:
        try:
            world.executions.get(arn)
        except ResourceNotFoundException:
            return True
        return False

    wait_until(is_forgotten, what="the execution to be forgotten")


def test_a_state_larger_than_an_event_comes_in_pages(world: World) -> None:
    arn = world.begin()
    event = world.running()
    big = json.dumps("x" * 1_000_000)
    for number in range(7):
        world.save(event, {"Id": f"step-{number}", "Type": "STEP", "Action": "SUCCEED", "Payload": big})
    world.finish(failure())
    world.clock.advance(1)

    event = world.running()

    first = [one["Id"] for one in event["InitialExecutionState"]["Operations"][1:]]
    marker = event["InitialExecutionState"]["NextMarker"]
    assert 0 < len(first) < 7
    _, page = world.executions.state(arn, event["CheckpointToken"], after=int(marker), most=1000)
    assert [*first, *(one.id for one in page.operations)] == [f"step-{number}" for number in range(7)]
    assert page.after is None
