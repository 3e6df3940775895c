"""Whatever a handler, the clock and the world outside do to an execution, in any order, certain things hold."""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rie_server.errors import CallbackTimeoutException, InvalidParameterValueException, ResourceConflictException
from rie_server.model import durable_callbacks as callbacks
from rie_server.model.durable_answers import after_invocation
from rie_server.model.durable_checkpoint import answered_again, chained_ended, check_token, checkpoint
from rie_server.model.durable_document import execution_document, execution_of, operation_document, operation_of
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableOperation, OperationStatus, OperationType
from rie_server.model.durable_life import begun, lose_invocation, stop, wake
from rie_server.model.durable_pauses import pause, resume
from rie_server.model.invocation import InvokeResult
from tests.unit.durable.durable_story import EXECUTION, NOW, beginning
from tests.unit.durable.test_checkpoints import PRICE

IDS = st.sampled_from(["a", "b", "c", "d"])
KINDS = st.sampled_from(["STEP", "WAIT", "WAIT", "CALLBACK", "CONTEXT", "CHAINED_INVOKE", "EXECUTION"])
ACTIONS = st.sampled_from(["START", "START", "START", "SUCCEED", "FAIL", "RETRY", "CANCEL"])
OVER = frozenset(OperationStatus) - {OperationStatus.STARTED, OperationStatus.PENDING, OperationStatus.READY}
OPTIONS = {
    "StepOptions": {"NextAttemptDelaySeconds": 3},
    "WaitOptions": {"WaitSeconds": 5},
    "CallbackOptions": {"TimeoutSeconds": 20, "HeartbeatTimeoutSeconds": 7},
    "ChainedInvokeOptions": {"FunctionName": "price"},
}


@st.composite
def updates(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Mostly steps that make sense, and whatever else there is."""
    found = []
    for _ in range(draw(st.integers(0, 2))):
        one = {"Id": draw(IDS), "Type": draw(KINDS), "Action": draw(ACTIONS), **OPTIONS}
        if draw(st.integers(0, 5)) == 0:
            one["ParentId"] = draw(IDS)
        found.append(one)
    return found


class Execution(RuleBasedStateMachine):
    """One execution, kept as a store keeps it; ``known`` is what the handler has been told."""

    def __init__(self) -> None:
        super().__init__()
        draft = begun(beginning(), now=NOW)
        self.execution, self.operations, self.events = draft.execution, draft.changed, list(draft.events)
        self.known: dict[str, DurableOperation] = {}
        self.now = NOW
        self.invocations = 0

    def change(self, act: Any) -> Any:
        """As a store does it: with what is open or unseen and no more; nothing is kept of what is refused."""
        seen = self.execution.seen
        loaded = {
            name: one
            for name, one in self.operations.items()
            if one.is_open or one.touched > seen or name in {EXECUTION, "a", "b", "c", "d"}
        }
        draft = DurableDraft(execution_of(json.loads(json.dumps(execution_document(self.execution)))), loaded)
        try:
            value = act(draft)
        except (InvalidParameterValueException, CallbackTimeoutException, ResourceConflictException):
            return None
        self.check(draft)
        self.execution = draft.execution
        self.operations = {**self.operations, **draft.changed}
        self.events += draft.events
        return value

    def check(self, draft: DurableDraft) -> None:
        for name, one in draft.changed.items():
            assert operation_of(json.loads(json.dumps(operation_document(one)))) == one
            before = self.operations.get(name)
            if before is not None:
                assert before.status not in OVER, "what is over does not change"
                assert before.sequence == one.sequence
        if self.execution.is_over:
            assert draft.execution.status is self.execution.status
            assert draft.changed == {}

    @rule(seconds=st.floats(0, 12))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds
        self.invocations += 1
        number = f"00000000-0000-4000-8000-{self.invocations:012}"
        begins = self.change(lambda draft: wake(draft, invocation_id=number, owner="s", now=self.now))
        if begins is not None:
            self.known = dict(self.operations)

    @rule(sent=updates(), repeats=st.booleans())
    def the_handler_makes_a_checkpoint(self, sent: list[dict[str, Any]], repeats: bool) -> None:
        token = self.execution.checkpoint_token
        targets = {one["Id"]: PRICE for one in sent}

        def act(draft: DurableDraft) -> Any:
            check_token(draft, token, EXECUTION)
            return checkpoint(draft, sent, client_token="c", targets=targets, now=self.now)

        answer = self.change(act)
        if answer is None:
            return
        self.known.update({one.id: one for one in answer.operations})
        if answer.token is None:
            return
        assert self.known == self.operations, "the handler knows all there is to know"
        if repeats:
            again = self.change(lambda draft: answered_again(draft, token, "c"))
            assert (again.token, again.operations) == (answer.token, list(answer.operations))

    @rule(answer=st.sampled_from(["PENDING", "PENDING", "PENDING", "SUCCEEDED", "FAILED", "error", "nonsense"]))
    def the_invocation_ends(self, answer: str) -> None:
        invocation = self.execution.invocation
        if invocation is None:
            return
        result = InvokeResult(
            payload=json.dumps({"Status": answer}).encode(),
            function_error="Unhandled" if answer == "error" else None,
            executed_version="1",
        )
        self.change(lambda draft: after_invocation(draft, invocation.id, result, now=self.now))

    @rule(name=IDS, seconds=st.sampled_from([0.0, 4.0, 6.0]))
    def the_handler_waits(self, name: str, seconds: float) -> None:
        """What handlers mostly do: something begins that is waited for, and the invocation ends a little later."""
        self.the_handler_makes_a_checkpoint([{"Id": name, "Type": "WAIT", "Action": "START", **OPTIONS}], False)
        self.time_goes_by(seconds)
        self.the_invocation_ends("PENDING")

    @rule()
    def the_server_dies(self) -> None:
        self.change(lambda draft: lose_invocation(draft, "s", now=self.now))

    @rule(name=IDS, way=st.sampled_from(["succeed", "fail", "beat"]))
    def somebody_answers_a_callback(self, name: str, way: str) -> None:
        calls = {
            "succeed": lambda draft: callbacks.succeed(draft, name, "1", now=self.now),
            "fail": lambda draft: callbacks.fail(draft, name, {}, now=self.now),
            "beat": lambda draft: callbacks.beat(draft, name, now=self.now),
        }
        self.change(calls[way])

    @rule(name=IDS)
    def a_chained_function_ends(self, name: str) -> None:
        operation = self.operations.get(name)
        if operation is not None and operation.type is OperationType.CHAINED_INVOKE:
            status = OperationStatus.SUCCEEDED
            self.change(lambda draft: chained_ended(draft, name, status, result="1", error=None, now=self.now))

    @rule(stops=st.booleans())
    def somebody_pauses_it(self, stops: bool) -> None:
        self.change(lambda draft: pause(draft, reason=None, stops_timeout=stops, client_token=None, now=self.now))

    @rule()
    def somebody_resumes_it(self) -> None:
        self.change(lambda draft: resume(draft, reason=None, client_token=None, now=self.now))

    @precondition(lambda self: self.now > NOW + 200)
    @rule()
    def somebody_stops_it(self) -> None:
        self.change(lambda draft: stop(draft, None, now=self.now))

    @invariant()
    def operations_and_events_are_numbered_without_gaps(self) -> None:
        assert sorted(one.sequence for one in self.operations.values()) == list(range(1, len(self.operations) + 1))
        assert [event["EventId"] for event in self.events] == list(range(1, len(self.events) + 1))
        assert max(one.touched for one in self.operations.values()) == self.execution.changes

    @invariant()
    def an_execution_ends_once_and_says_so(self) -> None:
        ends = [one for one in self.events if one["EventType"].startswith("Execution") and one["EventType"][9:] in ENDS]
        assert len(ends) == self.execution.is_over
        assert (self.execution.ended_at is not None) == self.execution.is_over

    @invariant()
    def it_wakes_in_time_for_everything_it_waits_for(self) -> None:
        draft = DurableDraft(self.execution, self.operations)
        if self.execution.is_over:
            assert draft.wake_at is None
            return
        assert draft.wake_at is not None
        due = [one.due_at for one in self.operations.values() if one.is_open and one.due_at is not None]
        assert draft.wake_at <= min([*due, self.execution.timeout_at])

    @invariant()
    def it_never_waits_for_nothing(self) -> None:
        """An execution that is neither over, nor run, nor paused has something that will run it."""
        execution = self.execution
        if execution.is_over or execution.invocation is not None or execution.is_halted:
            return
        assert execution.run_at is not None or any(one.is_open for one in self.operations.values())


ENDS = {"Succeeded", "Failed", "TimedOut", "Stopped"}
TestAnyOrder = Execution.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
