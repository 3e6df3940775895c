"""Change streams through pymongo, from the wire to the function: the source and its poller together."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from pymongo import MongoClient

from rie_server.clock.system import SystemClock
from rie_server.errors import HistoryLostError, SourceError
from rie_server.model.arn import FunctionArn
from rie_server.model.broker_address import BasicAuth
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.change_stream import ChangeStreamPoller
from rie_server.sources.cluster_access import ClusterAddress
from rie_server.sources.documentdb import DocumentDbSource
from tests.conftest import wait_until
from tests.servers.documentdb import USER, DocumentDbServer

ARN = "arn:aws:rds:eu-west-1:123456789012:cluster:orders"


class Function:
    """An Invoker, a checkpoint store, a reporter and an observer in one, that remember."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.failures = 0
        self.saved: dict[str, Any] = {}
        self.results: list[str] = []
        self.disabled: str | None = None
        self.dropped_count = 0

    def invoke(self, request: InvokeRequest, on_result: Callable[[InvokeResult], None]) -> None:
        failed, self.failures = self.failures > 0, self.failures - 1
        if not failed:
            self.events.append(json.loads(request.payload))
        on_result(
            InvokeResult(payload=b"null", function_error="Unhandled" if failed else None, executed_version="$LATEST")
        )

    def load(self, uuid: str) -> Mapping[str, Any]:
        return dict(self.saved)

    def save(self, uuid: str, shard_id: str, document: Mapping[str, Any], on_durable: Any = None) -> None:
        self.saved[shard_id] = document

    def processed(self, result: str) -> None:
        self.results.append(result)

    def disable(self, reason: str) -> None:
        self.disabled = reason

    def delivery_failed(self, mapping: EventSourceMapping) -> None: ...

    def dropped(self, mapping: EventSourceMapping, count: int) -> None:
        self.dropped_count += count

    def __getattr__(self, name: str) -> Any:
        if name in ("polled", "invoked", "failed_invoke"):
            return lambda mapping, count: None
        raise AttributeError(name)

    def changes(self) -> list[dict[str, Any]]:
        return [one["event"] for event in self.events for one in event["events"]]


class Setting:
    def __init__(self, server: DocumentDbServer, clock: SystemClock, client: Any) -> None:
        self.server, self.clock, self.client = server, clock, client
        self.function = Function()

    def source(self, mapping: EventSourceMapping) -> DocumentDbSource:
        def enter() -> ClusterAddress:
            url = f"{self.server.url}&serverSelectionTimeoutMS=500"
            return ClusterAddress(url=url, auth=BasicAuth(username=USER, password="let me in"))

        return DocumentDbSource(mapping, enter, self.clock)

    def poller(self, mapping: EventSourceMapping) -> ChangeStreamPoller:
        source, function = self.source(mapping), self.function
        invoker: Any = function
        invocation = BatchInvocation(
            mapping=mapping, source=source, invoker=invoker, observer=invoker, clock=self.clock
        )
        return ChangeStreamPoller(
            mapping=mapping,
            source=source,
            invocation=invocation,
            checkpoints=invoker,
            reporter=invoker,
            observer=invoker,
            clock=self.clock,
        )


def mapping(*, position: str = "TRIM_HORIZON", batch_size: int = 100, **config: str) -> EventSourceMapping:
    return EventSourceMapping(
        uuid="m-1",
        kind=SourceKind.DOCUMENTDB,
        function=FunctionArn(region="eu-west-1", account="123456789012", name="orders"),
        source_arn=ARN,
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="USER_INITIATED",
        members={
            "BatchSize": batch_size,
            "MaximumBatchingWindowInSeconds": 0,
            "StartingPosition": position,
            "DocumentDBEventSourceConfig": {"DatabaseName": "shop", **config},
        },
        last_modified=0.0,
    )


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    monkeypatch.setattr("rie_server.pollers.change_stream.BACKOFF_SECONDS", (0.05, 0.05))
    clock = SystemClock()
    clock.start()
    with DocumentDbServer() as server:
        client: Any = MongoClient(server.url, username=USER, password="let me in")
        yield Setting(server, clock, client)
        client.close()
    clock.close()


@pytest.fixture
def run(setting: Setting) -> Iterator[Callable[..., ChangeStreamPoller]]:
    pollers: list[ChangeStreamPoller] = []

    def start(**options: Any) -> ChangeStreamPoller:
        pollers.append(setting.poller(mapping(**options)))
        pollers[-1].start()
        return pollers[-1]

    yield start
    for poller in pollers:
        poller.stop()
        assert poller.join(20)


def test_changes_reach_the_function_in_order_and_in_awss_shape(setting: Setting, run: Callable[..., Any]) -> None:
    for number in range(5):
        setting.client.shop.orders.insert_one({"_id": number, "price": 2.5})
    run()
    wait_until(lambda: len(setting.function.changes()) == 5, what="five changes")

    event = setting.function.events[0]
    assert (event["eventSource"], event["eventSourceArn"]) == ("aws:docdb", ARN)
    assert [change["documentKey"]["_id"] for change in setting.function.changes()] == list(range(5))
    first = setting.function.changes()[0]
    assert first["ns"] == {"db": "shop", "coll": "orders"}
    assert set(first["clusterTime"]["$timestamp"]) == {"t", "i"}
    assert first["fullDocument"] == {"_id": 0, "price": 2.5}
    assert setting.function.results[-1] == "OK"


def test_a_failed_batch_comes_again_until_it_succeeds(setting: Setting, run: Callable[..., Any]) -> None:
    setting.function.failures = 3
    setting.client.shop.orders.insert_one({"_id": 1})
    run()
    wait_until(setting.function.changes, what="the change")

    assert setting.function.results[:3] == ["PROBLEM: Function call failed"] * 3


def test_a_restart_goes_on_after_the_last_batch_that_succeeded(setting: Setting, run: Callable[..., Any]) -> None:
    setting.client.shop.orders.insert_one({"_id": 1})
    first = run()
    wait_until(lambda: "OK" in setting.function.results, what="the first batch")
    first.stop()
    assert first.join(20)
    setting.client.shop.orders.insert_one({"_id": 2})
    run()
    wait_until(lambda: len(setting.function.changes()) == 2, what="the second change")

    assert [change["documentKey"]["_id"] for change in setting.function.changes()] == [1, 2]


def test_latest_is_pinned_before_anything_has_come(setting: Setting, run: Callable[..., Any]) -> None:
    setting.client.shop.orders.insert_one({"_id": 1})
    first = run(position="LATEST")
    wait_until(lambda: setting.function.saved, what="a checkpoint")
    first.stop()
    assert first.join(20)
    setting.client.shop.orders.insert_one({"_id": 2})
    run(position="LATEST")
    wait_until(setting.function.changes, what="the change")

    assert [change["documentKey"]["_id"] for change in setting.function.changes()] == [2]


def test_an_expired_stream_disables_the_mapping(setting: Setting, run: Callable[..., Any]) -> None:
    setting.function.failures = 1_000_000
    setting.client.shop.orders.insert_one({"_id": 1})
    setting.function.saved["changeStream"] = {"resumeToken": {"_data": f"{0:016x}"}}
    run()
    wait_until(lambda: setting.function.results, what="a failure")
    setting.server.expire()
    wait_until(lambda: setting.function.disabled, what="the end")

    assert setting.function.results[-1].startswith("PROBLEM: The change stream has expired")


def test_a_cluster_that_comes_back_is_read_on(setting: Setting, run: Callable[..., Any]) -> None:
    setting.client.shop.orders.insert_one({"_id": 1})
    run()
    wait_until(lambda: "OK" in setting.function.results, what="the first batch")
    setting.server.stop()
    wait_until(lambda: "cannot be reached" in setting.function.results[-1], seconds=30, what="a problem")
    setting.server.start()
    setting.client.shop.orders.insert_one({"_id": 2})
    wait_until(lambda: len(setting.function.changes()) == 2, seconds=30, what="the second change")


def test_a_change_too_large_for_an_event_is_dropped_and_counted(setting: Setting, run: Callable[..., Any]) -> None:
    setting.client.shop.orders.insert_many([{"_id": 1, "x": "x" * 7_000_000}, {"_id": 2}])
    run()
    wait_until(setting.function.changes, what="the other change")

    assert [change["documentKey"]["_id"] for change in setting.function.changes()] == [2]
    assert setting.function.dropped_count == 1


def test_scopes_and_full_documents_are_as_configured(setting: Setting) -> None:
    source = setting.source(mapping(CollectionName="orders", FullDocument="UpdateLookup"))
    source.open(None)
    setting.client.shop.other.insert_one({"_id": 1})
    setting.client.shop.orders.insert_one({"_id": 1})
    setting.client.shop.orders.update_one({"_id": 1}, {"$set": {"paid": True}})
    records = list(source.read(10, 1.0))
    source.close()

    assert [record.document["ns"]["coll"] for record in records] == ["orders", "orders"]
    assert records[1].document["fullDocument"] == {"_id": 1, "paid": True}


def test_a_wrong_password_and_an_expired_token_are_told(setting: Setting) -> None:
    setting.client.shop.orders.insert_one({"_id": 1})
    source = setting.source(mapping())
    source.open(None)
    setting.server.expire()
    with pytest.raises(HistoryLostError):
        source.verify({"_data": f"{0:016x}"})
    setting.server.password = "changed"
    with pytest.raises(SourceError, match="EVENT_SOURCE_AUTHN_ERROR"):
        source.open(None)
    source.close()
    setting.server.password = "let me in"
