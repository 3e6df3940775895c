"""What every DurableStore promises."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rie_server.enduring import DurableStore, ExecutionQuery, StoredExecution
from rie_server.errors import InvalidParameterValueException
from rie_server.model.arn import FunctionArn
from rie_server.model.durable_checkpoint import checkpoint
from rie_server.model.durable_config import DurableConfig
from rie_server.model.durable_draft import DurableDraft
from rie_server.model.durable_execution import DurableExecution, ExecutionStatus, ParentOperation
from rie_server.model.durable_life import Beginning, begun, end, wake
from rie_server.model.durable_names import DurableArn
from rie_server.model.durable_updates import ChainedTarget
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.durable import DurableExecutionStore
from tests.fakes.durable import MemoryDurableStore

ORDERS = FunctionArn(region="eu-west-1", account="123456789012", name="orders", qualifier="3")
NOW = 1_767_225_600.25
CONFIG = DurableConfig(execution_timeout_seconds=600, retention_days=2)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DurableStore]:
    if request.param == "memory":
        yield MemoryDurableStore()
        return
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    else:
        url = sqlite_url(tmp_path)
    database = Database(url)
    yield DurableExecutionStore(database)
    database.close()


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def new(number: int, *, at: float = NOW, function: FunctionArn = ORDERS, **members: Any) -> DurableDraft:
    arn = DurableArn(function=function, name=members.pop("name", f"order-{number}"), id=uuid(number))
    return begun(Beginning(arn=arn, config=CONFIG, trace_header="Root=1-0-0", **members), now=at)


def add(store: DurableStore, draft: DurableDraft, given: str = "{}") -> StoredExecution:
    """What the store has under that name now."""
    told: Future[StoredExecution] = Future()

    def on_done(found: StoredExecution | None, error: Exception | None) -> None:
        assert found is not None, error
        told.set_result(found)

    store.add(draft, given, on_done)
    return told.result(10)


def run(
    store: DurableStore, number: int, *updates: dict[str, Any], targets: dict[str, ChainedTarget] | None = None
) -> None:
    """An invocation begins, if none runs, and makes a checkpoint."""
    store.change(uuid(number), partial(_wake, owner="server/1"))
    names = {name for one in updates for name in (one["Id"], one.get("ParentId")) if name}

    def rule(draft: DurableDraft | None) -> None:
        assert draft is not None
        checkpoint(draft, updates, client_token=None, targets=targets or {}, now=NOW)

    store.change(uuid(number), rule, wanted=names)


def _wake(draft: DurableDraft | None, owner: str) -> None:
    assert draft is not None
    wake(draft, invocation_id=uuid(900), owner=owner, now=NOW)


def _end(draft: DurableDraft | None, at: float = NOW) -> None:
    assert draft is not None
    end(draft, ExecutionStatus.SUCCEEDED, result='"done"', now=at)


def step(name: str, action: str, **members: Any) -> dict[str, Any]:
    return {"Id": name, "Type": "STEP", "Action": action, **members}


def test_an_execution_comes_out_as_it_went_in(store: DurableStore) -> None:
    draft = new(1, tenant_id="blue", parent=ParentOperation(execution_id=uuid(7), operation_id="call"))

    found = add(store, draft, '{"ü": [1.5, null], "nul": "\\u0000"}')

    assert (
        found
        == store.load(uuid(1))
        == StoredExecution(execution=draft.execution, input_payload='{"ü": [1.5, null], "nul": "\\u0000"}')
    )
    assert store.load(uuid(2)) is None


def test_a_name_is_taken_once_in_a_function_whatever_its_version(store: DurableStore) -> None:
    first = add(store, new(1, name="monday"), '{"n": 1}')

    again = add(store, new(2, name="monday", function=ORDERS.qualified("4")), '{"n": 2}')
    elsewhere = add(store, new(3, name="monday", function=replace(ORDERS, name="returns")))

    assert again == first
    assert elsewhere.execution.arn.id == uuid(3)


def test_a_change_is_seen_by_the_next_one(store: DurableStore) -> None:
    add(store, new(1))

    run(store, 1, step("a", "START"), step("a", "SUCCEED", Payload='"ü"'))
    run(store, 1, step("b", "START"))

    state = store.state(uuid(1), after=0, most=10, most_bytes=10_000)
    assert [(one.id, one.status) for one in state.operations[1:]] == [("a", "SUCCEEDED"), ("b", "STARTED")]
    assert state.operations[1].details == {"Attempt": 1, "Result": '"ü"'}
    assert state.after is None


def test_a_rule_that_refuses_changes_nothing_and_its_caller_hears_of_it(store: DurableStore) -> None:
    add(store, new(1))

    def refuse(draft: DurableDraft | None) -> None:
        assert draft is not None
        end(draft, ExecutionStatus.FAILED, now=NOW)
        raise InvalidParameterValueException("no")

    with pytest.raises(InvalidParameterValueException, match="no"):
        store.change(uuid(1), refuse)

    found = store.load(uuid(1))
    assert found is not None
    assert found.execution.status is ExecutionStatus.RUNNING


def test_a_rule_hears_that_there_is_no_such_execution(store: DurableStore) -> None:
    seen: list[DurableDraft | None] = []

    changed = store.change(uuid(1), seen.append)

    assert seen == [None]
    assert changed.execution is None


def test_a_draft_has_what_is_open_what_is_unseen_and_what_is_wanted(store: DurableStore) -> None:
    add(store, new(1))
    wait = {"Id": "wait", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 60}}
    run(store, 1, step("old", "START"), step("old", "SUCCEED"), step("wanted", "START"), wait)

    def loaded(*wanted: str) -> set[str]:
        found: list[set[str]] = []
        store.change(uuid(1), lambda draft: found.append(set(draft.operations) if draft else set()), wanted=wanted)
        return found[-1] - {uuid(1)}

    assert loaded() == {"wait"}
    assert loaded("wanted", "nothing") == {"wait", "wanted"}


def test_changes_from_many_threads_all_count(store: DurableStore) -> None:
    add(store, new(1))

    def count(_: int) -> None:
        def rule(draft: DurableDraft | None) -> None:
            assert draft is not None
            draft.update(token=draft.execution.token + 1)

        store.change(uuid(1), rule)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(80)))

    found = store.load(uuid(1))
    assert found is not None
    assert found.execution.token == 80


def test_a_later_change_is_told_when_it_is_durable(store: DurableStore) -> None:
    add(store, new(1))
    told = threading.Event()
    seen: list[DurableExecution | None] = []

    def on_done(changed: Any, error: Exception | None) -> None:
        assert error is None
        seen.append(changed.execution)
        told.set()

    store.change_later(uuid(1), _end, on_done)

    assert told.wait(10)
    found = store.load(uuid(1))
    assert found is not None
    assert seen == [found.execution]


def test_the_state_comes_in_pages_by_count_and_by_size(store: DurableStore) -> None:
    add(store, new(1))
    big = '"' + "x" * 3000 + '"'
    for name in "abcd":
        run(store, 1, step(name, "START"), step(name, "SUCCEED", Payload=big))

    def page(after: int, most: int, most_bytes: int) -> tuple[list[str], int | None]:
        found = store.state(uuid(1), after=after, most=most, most_bytes=most_bytes)
        return [one.id for one in found.operations if one.id != uuid(1)], found.after

    assert page(0, 3, 10**6) == (["a", "b"], 3)
    assert page(3, 3, 10**6) == (["c", "d"], None)
    assert page(1, 100, 7200) == (["a", "b"], 3)
    assert page(3, 100, 10) == (["c"], 4)


def test_what_happened_inside_a_context_that_is_over_is_not_in_the_state(store: DurableStore) -> None:
    add(store, new(1))
    for name, options in (("closed", {}), ("replayed", {"ContextOptions": {"ReplayChildren": True}})):
        context = {"Id": name, "Type": "CONTEXT"}
        run(store, 1, {**context, "Action": "START"})
        run(store, 1, step(f"{name}-step", "START", ParentId=name), step(f"{name}-step", "SUCCEED", ParentId=name))
        run(store, 1, {**context, "Action": "SUCCEED", **options})

    state = store.state(uuid(1), after=0, most=100, most_bytes=10**6)

    assert [one.id for one in state.operations[1:]] == ["closed", "replayed", "replayed-step"]


def test_the_history_is_read_forwards_and_backwards_from_anywhere(store: DurableStore) -> None:
    add(store, new(1))
    run(store, 1, step("a", "START"), step("a", "SUCCEED"), step("b", "START"))

    def numbers(after: int | None, most: int, *, newest_first: bool) -> list[int]:
        events = store.history(uuid(1), after=after, most=most, newest_first=newest_first)
        return [one["EventId"] for one in events]

    assert numbers(None, 100, newest_first=False) == [1, 2, 3, 4]
    assert numbers(2, 1, newest_first=False) == [3]
    assert numbers(None, 2, newest_first=True) == [4, 3]
    assert numbers(3, 100, newest_first=True) == [2, 1]
    assert store.history(uuid(1), after=None, most=1, newest_first=False)[0]["EventType"] == "ExecutionStarted"
    assert numbers(4, 1, newest_first=False) == []


def test_executions_are_listed_by_what_is_asked_and_in_pages(store: DurableStore) -> None:
    for number in range(5):
        function = ORDERS.qualified("4") if number == 4 else ORDERS
        add(store, new(number, at=NOW + number // 2, function=function))
    store.change(uuid(1), _end)
    add(store, new(9, function=replace(ORDERS, name="returns")))
    asked = ExecutionQuery(function_key=str(ORDERS.unqualified), most=100)

    def numbers(query: ExecutionQuery) -> list[int]:
        return [int(one.arn.id[-12:]) for one in store.list(query)]

    assert numbers(asked) == [4, 3, 2, 1, 0]
    assert numbers(replace(asked, oldest_first=True)) == [0, 1, 2, 3, 4]
    assert numbers(replace(asked, most=2)) == [4, 3]
    assert numbers(replace(asked, after=(NOW + 1, uuid(3)))) == [2, 1, 0]
    assert numbers(replace(asked, after=(NOW, uuid(1)), oldest_first=True)) == [2, 3, 4]
    assert numbers(replace(asked, version="4")) == [4]
    assert numbers(replace(asked, name="order-2")) == [2]
    assert numbers(replace(asked, status=ExecutionStatus.SUCCEEDED)) == [1]
    assert numbers(replace(asked, started_after=NOW, started_before=NOW + 2)) == [3, 2]


def test_what_is_due_is_found_and_when_the_next_thing_is(store: DurableStore) -> None:
    add(store, new(1, at=NOW))
    add(store, new(2, at=NOW + 5))
    add(store, new(3, at=NOW - 5))

    assert [one.arn.id for one in store.due(now=NOW, most=10)] == [uuid(3), uuid(1)]
    assert [one.arn.id for one in store.due(now=NOW, most=1)] == [uuid(3)]
    assert store.next_due(after=NOW) == NOW + 5
    assert store.next_due(after=NOW + 700) is None


def test_an_execution_that_runs_is_due_when_its_time_is_over(store: DurableStore) -> None:
    add(store, new(1))
    store.change(uuid(1), partial(_wake, owner="server/1"))

    assert store.due(now=NOW + 599, most=10) == []
    assert [one.arn.id for one in store.due(now=NOW + 600, most=10)] == [uuid(1)]


def test_a_chained_execution_begins_with_the_checkpoint_that_asks_for_it(store: DurableStore) -> None:
    add(store, new(1))
    call = {
        "Id": "call",
        "Type": "CHAINED_INVOKE",
        "Action": "START",
        "Payload": '{"n": 1}',
        "ChainedInvokeOptions": {"FunctionName": "price"},
    }
    target = ChainedTarget(
        function=replace(ORDERS, name="price", qualifier=None), version="$LATEST", name="random", execution_id=uuid(5)
    )

    run(store, 1, call, targets={"call": target})

    child = store.load(uuid(5))
    assert child is not None
    assert child.input_payload == '{"n": 1}'
    assert child.execution.parent == ParentOperation(execution_id=uuid(1), operation_id="call")
    assert uuid(5) in [one.arn.id for one in store.due(now=NOW, most=10)]
    assert store.list(ExecutionQuery(function_key=str(target.function), most=10)) == []


def test_executions_are_forgotten_when_their_time_has_come_with_all_that_is_theirs(store: DurableStore) -> None:
    for number in (1, 2):
        add(store, new(number))
        run(store, number, step("a", "START"))
    store.change(uuid(1), _end)

    assert store.next_due(after=NOW + 600) == NOW + 2 * 86_400
    assert store.change(uuid(1), lambda _: None).wake_at == NOW + 2 * 86_400
    assert store.delete_expired(now=NOW + 2 * 86_400 - 1) == 0
    assert store.delete_expired(now=NOW + 2 * 86_400) == 1

    assert store.load(uuid(1)) is None
    assert store.history(uuid(1), after=None, most=10, newest_first=False) == []
    assert store.load(uuid(2)) is not None
    store.delete(uuid(2))
    assert store.load(uuid(2)) is None


def test_executions_whose_server_is_gone_are_found(store: DurableStore) -> None:
    for number, owner in ((1, "dead/1"), (2, "living/2")):
        add(store, new(number))
        store.change(uuid(number), partial(_wake, owner=owner))
    add(store, new(3))
    store.renew("living/2", 60.0)

    assert store.abandoned(lambda owner: owner == "dead/1") == [(uuid(1), "dead/1")]
    assert store.abandoned(lambda _: False) == []


def test_executions_outlive_the_process(tmp_path: Path) -> None:
    first = Database(sqlite_url(tmp_path))
    draft = new(1)
    add(DurableExecutionStore(first), draft, '{"n": 1}')
    run(DurableExecutionStore(first), 1, step("a", "START"))
    first.close()

    second = Database(sqlite_url(tmp_path))
    kept = DurableExecutionStore(second)
    assert [one.id for one in kept.state(uuid(1), after=0, most=9, most_bytes=9999).operations] == [uuid(1), "a"]
    assert kept.abandoned(lambda _: True) == [(uuid(1), "server/1")]
    second.close()


def test_an_invocation_of_a_silent_server_is_found_when_its_lease_has_run_out(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    kept = DurableExecutionStore(database)
    add(kept, new(1))
    kept.change(uuid(1), partial(_wake, owner="server/1"))
    assert kept.abandoned(lambda _: False) == []

    kept.renew("server/1", -1.0)

    assert kept.abandoned(lambda _: False) == [(uuid(1), "server/1")]
    database.close()
