"""Subscribers in an environment: what each gets, in which order, and what becomes of what it does not take."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rie_server.errors import RuntimeApiError
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.log_settings import LogSettings
from rie_server.model.telemetry_subscription import Subscribable
from rie_server.model.tracing import InvocationSegments
from rie_server.telemetry.logs import LogWriter
from rie_server.telemetry.subscriber import WAITING_BATCHES
from rie_server.telemetry.subscriptions import Subscriptions
from tests.fakes.clock import FakeClock
from tests.fakes.telemetry import FakeConnection, FakeConnector, subscription
from tests.unit.invoke.conftest import function_version

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
REPORT = InvocationReport(request_id="r1", duration_ms=20.0, init_duration_ms=None, max_memory_used_mb=36)


class Environment:
    """An environment's log, as the engine talks to it, with its subscribers."""

    def __init__(self, tmp_path: Path, settings: LogSettings | None = None) -> None:
        self.clock = FakeClock()
        self.shown: list[str] = []
        self.writer = LogWriter(directory=tmp_path, clock=self.clock, show=self.shown.append)
        self.connector = FakeConnector()
        self.subscriptions = Subscriptions(logs=self.writer, clock=self.clock, connector=self.connector)
        self.function = replace(function_version(), log_settings=settings or LogSettings())
        self.log = self.subscriptions.open(self.function, "e1")

    def subscribe(self, *types: str, name: str = "agent", **changes: Any) -> FakeConnection:
        assert self.subscriptions.subscribe("e1", name, subscription(*types, **changes))
        return self.connector.connections[-1]

    def end_init(self) -> None:
        self.log.init_ended(duration_ms=12.3456, phase="init")
        self.log = self.log.settled()

    def invoke(self, request_id: str = "r1", *outputs: bytes) -> None:
        self.log.started(request_id, want_tail=False, trace_header=HEADER)
        for line in outputs:
            self.log.output(line)
        self.log.answered(RuntimeAnswer(request_id=request_id, duration_ms=15.0, produced_bytes=42))
        self.clock.advance(0.002)
        self.log.runtime_ready()
        self.clock.advance(0.003)
        self.log.finished(replace(REPORT, request_id=request_id))

    def advance_until(self, is_there: Callable[[], bool]) -> None:
        """Moves the clock on while the subscribers' threads work."""
        for _ in range(500):
            if is_there():
                return
            self.clock.advance(0.1)
            threading.Event().wait(0.002)
        raise AssertionError("it does not come")

    def batch(self, connection: FakeConnection) -> list[Any]:
        """What a subscriber gets when its time has come."""
        before = len(connection.batches)
        self.clock.advance(1.0)
        connection.wait_for(batches=before + 1)
        return connection.batches[-1]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    environment = Environment(tmp_path)
    yield environment
    environment.log.close()


@pytest.fixture
def make_environment(tmp_path: Path) -> Iterator[Callable[[LogSettings], Environment]]:
    made: list[Environment] = []

    def make(settings: LogSettings) -> Environment:
        made.append(Environment(tmp_path, settings))
        return made[-1]

    yield make
    for environment in made:
        environment.log.close()


def kinds(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("platform.") for event in events]


def test_a_subscriber_gets_what_initialization_told_before_it_came(environment: Environment) -> None:
    environment.log.init_started()
    environment.log.output(b"imported")
    connection = environment.subscribe()
    environment.end_init()
    events = environment.batch(connection)
    assert kinds(events) == ["initStart", "function", "telemetrySubscription", "initRuntimeDone", "initReport"]
    assert events[1] == {"time": "2026-01-01T00:00:00.000Z", "type": "function", "record": "imported"}
    assert events[2]["record"] == {
        "name": "agent",
        "state": "Subscribed",
        "types": ["platform", "function", "extension"],
    }
    assert events[4]["record"] == {
        "initializationType": "on-demand",
        "phase": "init",
        "status": "success",
        "metrics": {"durationMs": 12.346},
    }


def test_an_invocation_is_told_in_full_and_in_order(environment: Environment) -> None:
    connection = environment.subscribe()
    environment.end_init()
    environment.invoke("r1", b"hello")
    events = environment.batch(connection)[-4:]
    assert kinds(events) == ["start", "function", "runtimeDone", "report"]
    tracing = {"type": "X-Amzn-Trace-Id", "value": HEADER}
    assert events[0]["record"] == {"requestId": "r1", "version": "$LATEST", "tracing": tracing}
    assert events[2]["record"] == {
        "requestId": "r1",
        "status": "success",
        "metrics": {"durationMs": 15.0, "producedBytes": 42},
        "spans": [
            {"name": "responseLatency", "start": "2025-12-31T23:59:59.985Z", "durationMs": 15.0},
            {"name": "responseDuration", "start": "2026-01-01T00:00:00.000Z", "durationMs": 0.0},
            {"name": "runtimeOverhead", "start": "2026-01-01T00:00:00.000Z", "durationMs": 2.0},
        ],
        "tracing": tracing,
    }
    report = events[3]["record"]
    assert report["metrics"] == {"durationMs": 20.0, "billedDurationMs": 20, "memorySizeMB": 128, "maxMemoryUsedMB": 36}
    assert [(span["name"], span["durationMs"]) for span in report["spans"]] == [("extensionOverhead", 5.0)]


def test_runtime_done_comes_before_the_extensions_have_finished(environment: Environment) -> None:
    """An extension may wait for it before it asks for its next event."""
    connection = environment.subscribe("platform")
    environment.end_init()
    environment.log.started("r1", want_tail=False)
    environment.log.answered(RuntimeAnswer(request_id="r1", duration_ms=15.0, produced_bytes=42))
    environment.log.runtime_ready()
    assert kinds(environment.batch(connection))[-1] == "runtimeDone"


def test_a_traced_invocation_names_its_segment(environment: Environment) -> None:
    connection = environment.subscribe("platform")
    environment.end_init()
    segments = InvocationSegments(trace_id="1-a-b", parent_id=None, lambda_id="1" * 16, function_id="2" * 16)
    environment.log.started("r1", want_tail=False, trace_header=HEADER, segments=segments)
    assert environment.batch(connection)[-1]["record"]["tracing"]["spanId"] == "2" * 16


def test_the_tenant_is_told_at_the_start_and_when_the_runtime_has_done(environment: Environment) -> None:
    connection = environment.subscribe("platform")
    environment.end_init()
    environment.log.started("r1", want_tail=False, tenant_id="blue")
    environment.log.finished(REPORT)
    start, done, report = environment.batch(connection)[-3:]
    assert (start["record"]["tenantId"], done["record"]["tenantId"]) == ("blue", "blue")
    assert "tenantId" not in report["record"]


def test_an_invocation_that_ends_badly_says_so_once(environment: Environment) -> None:
    connection = environment.subscribe("platform")
    environment.end_init()
    environment.log.started("r1", want_tail=False)
    environment.log.finished(replace(REPORT, status="error", error_type="Runtime.ExitError"))
    done, report = environment.batch(connection)[-2:]
    assert (done["type"], done["record"]["status"]) == ("platform.runtimeDone", "error")
    assert (report["record"]["status"], report["record"]["errorType"]) == ("error", "Runtime.ExitError")
    assert "spans" not in done["record"]


def test_invocations_that_share_an_environment_are_told_apart_and_have_no_runtime_done(
    environment: Environment,
) -> None:
    environment.log.init_started("lambda-managed-instances")
    connection = environment.subscribe("platform")
    environment.end_init()
    log = environment.log
    for request_id in ("r1", "r2"):
        log.started(request_id, want_tail=False, trace_header=f"Root={request_id}")
    for request_id, duration_ms in (("r2", 10.0), ("r1", 30.0)):
        log.answered(RuntimeAnswer(request_id=request_id, duration_ms=duration_ms, produced_bytes=1, latency_ms=5.0))
        log.runtime_ready()
        log.finished(replace(REPORT, request_id=request_id, duration_ms=duration_ms))
    events = environment.batch(connection)[-4:]
    assert [(event["type"], event["record"]["requestId"]) for event in events] == [
        ("platform.start", "r1"),
        ("platform.start", "r2"),
        ("platform.report", "r2"),
        ("platform.report", "r1"),
    ]
    report = events[-1]["record"]
    assert report["metrics"] == {"durationMs": 30.0}
    assert [(span["name"], span["durationMs"]) for span in report["spans"]] == [
        ("responseLatency", 5.0),
        ("responseDuration", 25.0),
    ]
    assert report["tracing"]["value"] == "Root=r1"


def test_before_its_end_an_environment_hands_over_what_waits(environment: Environment) -> None:
    connection = environment.subscribe("function", timeout_ms=30_000)
    environment.log.output(b"last words")
    environment.log.flush()
    connection.wait_for(batches=1)
    assert connection.events[0]["record"] == "last words"


def test_subscribers_get_the_streams_they_asked_for(environment: Environment) -> None:
    function = environment.subscribe("function", name="one")
    extension = environment.subscribe("extension", name="two")
    environment.end_init()
    environment.log.extension_output(b"of the extension")
    environment.invoke("r1", b"of the function")
    assert [event["record"] for event in environment.batch(function)] == ["of the function"]
    extension.wait_for(batches=1)
    assert [event["record"] for event in extension.events] == ["of the extension"]


def test_the_logs_api_has_records_of_its_own(environment: Environment) -> None:
    connection = environment.subscribe("platform", api=Subscribable.LOGS, schema_version="2020-08-15")
    newer = environment.subscribe("platform", name="b", api=Subscribable.LOGS, schema_version="2021-03-18")
    environment.end_init()
    environment.log.started("r1", want_tail=False)
    environment.log.finished(replace(REPORT, status="error", error_type="Runtime.ExitError"))
    events = environment.batch(connection)
    assert kinds(events) == ["logsSubscription", "logsSubscription", "start", "fault", "end", "report"]
    assert events[3]["record"] == "RequestId: r1 Status: error\tErrorType: Runtime.ExitError"
    assert set(events[5]["record"]) == {"requestId", "metrics"}
    newer.wait_for(batches=1)
    done = [event["record"] for event in newer.events if event["type"] == "platform.runtimeDone"]
    assert done == [{"requestId": "r1", "status": "error"}]


def test_a_function_that_logs_in_json_is_told_in_objects(
    make_environment: Callable[[LogSettings], Environment],
) -> None:
    environment = make_environment(LogSettings(is_json=True))
    newer = environment.subscribe("function", schema_version="2022-12-13")
    older = environment.subscribe("function", name="b", schema_version="2022-07-01")
    environment.end_init()
    environment.log.output(b'{"level":"DEBUG","message":"m"}')
    environment.log.output(b"plain")
    records = [event["record"] for event in environment.batch(newer)]
    assert records == [{"level": "DEBUG", "message": "m"}, "plain"], "the log's own level is for the log"
    older.wait_for(batches=1)
    assert older.events[0]["record"] == '{"level":"DEBUG","message":"m"}'


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_line_with_a_number_that_json_does_not_have_stays_text(
    make_environment: Callable[[LogSettings], Environment], number: str
) -> None:
    environment = make_environment(LogSettings(is_json=True))
    connection = environment.subscribe("function")
    environment.end_init()
    line = f'{{"loss":{number},"rate":1.5}}'
    environment.log.output(line.encode())
    assert [event["record"] for event in environment.batch(connection)] == [line]


def test_the_log_itself_is_told_what_subscribers_are_told(
    make_environment: Callable[[LogSettings], Environment],
) -> None:
    environment = make_environment(LogSettings(is_json=True, system_level="DEBUG"))
    environment.subscribe("platform")
    environment.end_init()
    environment.invoke("r1")
    environment.writer.flush()
    lines = [line.removeprefix("[orders] ") for line in "".join(environment.shown).splitlines()]
    done = next(json.loads(line) for line in lines if "platform.runtimeDone" in line)
    assert done["record"]["metrics"]["producedBytes"] == 42


def test_a_version_without_later_members_leaves_them_out(environment: Environment) -> None:
    environment.log.init_started()
    connection = environment.subscribe("platform", schema_version="2022-07-01")
    start = environment.batch(connection)[0]["record"]
    assert set(start) == {"initializationType", "phase", "runtimeVersion", "runtimeVersionArn"}


def test_the_log_tells_of_subscriptions_and_extensions(environment: Environment) -> None:
    environment.subscribe("platform", "function")
    environment.log.extension("agent", "Ready", ["INVOKE", "SHUTDOWN"], None)
    environment.writer.flush()
    text = "".join(environment.shown)
    assert "TELEMETRY\tName: agent\tState: Subscribed\tTypes: [Platform, Function]\n" in text
    assert "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n" in text


def test_the_same_subscription_again_changes_nothing(environment: Environment) -> None:
    connection = environment.subscribe("platform")
    assert not environment.subscriptions.subscribe("e1", "agent", subscription("platform"))
    assert len(environment.connector.connections) == 1
    states = [event["record"]["state"] for event in environment.batch(connection)]
    assert states == ["Subscribed", "Already subscribed"]


def test_an_extension_uses_one_of_the_two_apis(environment: Environment) -> None:
    environment.subscribe("platform")
    other = subscription("platform", api=Subscribable.LOGS, schema_version="2020-08-15")
    with pytest.raises(RuntimeApiError) as refused:
        environment.subscriptions.subscribe("e1", "agent", other)
    assert (refused.value.status, refused.value.error_type) == (400, "Logs.AccessDenied")
    assert environment.subscriptions.subscribe("e1", "another", other)


def test_nobody_subscribes_when_initialization_is_over(environment: Environment) -> None:
    environment.subscribe("platform")
    environment.end_init()
    with pytest.raises(RuntimeApiError) as refused:
        environment.subscriptions.subscribe("e1", "late", subscription())
    assert refused.value.error_type == "Telemetry.SubscriptionClosed"
    assert refused.value.message == "Telemetry API subscription is closed"


def test_an_environment_without_subscribers_goes_on_with_its_log_alone(environment: Environment) -> None:
    environment.end_init()
    assert not environment.log.is_observed
    with pytest.raises(RuntimeApiError):
        environment.subscriptions.subscribe("e1", "late", subscription())


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_goes_when_its_time_has_come(environment: Environment) -> None:
    connection = environment.subscribe("function", timeout_ms=5000)
    environment.log.output(b"one")
    environment.clock.advance(4.9)
    environment.log.output(b"two")
    assert connection.attempts == 0
    environment.clock.advance(0.1)
    connection.wait_for(batches=1)
    assert [event["record"] for event in connection.events] == ["one", "two"]


def test_a_batch_goes_when_it_is_full(environment: Environment) -> None:
    connection = environment.subscribe("function")
    for number in range(1000):
        environment.log.output(b"%d" % number)
    connection.wait_for(batches=1)
    assert [event["record"] for event in connection.events] == [str(number) for number in range(1000)]


def test_a_batch_goes_when_it_is_large_and_no_batch_is_larger(environment: Environment) -> None:
    connection = environment.subscribe("function")
    for _ in range(3):
        environment.log.output(b"x" * 200_000)
    connection.wait_for(batches=1)  # without the clock: the second event made the first batch full
    environment.advance_until(lambda: len(connection.batches) == 3)
    assert [len(batch) for batch in connection.batches] == [1, 1, 1]


def test_what_is_refused_comes_again_in_order(environment: Environment) -> None:
    connection = environment.subscribe("function")
    connection.refusing = True
    environment.log.output(b"one")
    environment.clock.advance(1.0)
    connection.wait_for(attempts=1)
    environment.log.output(b"two")
    connection.refusing = False
    environment.advance_until(lambda: len(connection.events) == 2)
    assert [event["record"] for event in connection.events] == ["one", "two"]


def test_a_subscriber_that_falls_behind_is_told_how_much_it_has_missed(environment: Environment) -> None:
    connection = environment.subscribe("function")
    connection.refusing = True
    kept = WAITING_BATCHES * 1000
    for number in range(kept + 2000):
        environment.log.output(b"%d" % number)
    connection.wait_for(attempts=1)
    connection.refusing = False

    def told() -> list[Any]:
        return [event["record"] for event in connection.events if event["type"] == "platform.logsDropped"]

    def got() -> list[str]:
        return [event["record"] for event in connection.events if event["type"] == "function"]

    environment.advance_until(lambda: len(got()) + sum(one["droppedRecords"] for one in told()) == kept + 2000)
    assert sum(one["droppedRecords"] for one in told()) > 0
    assert got() == [str(number) for number in range(len(got()))]
    assert told()[0]["reason"].startswith("Consumer seems to have fallen behind")


def test_threads_end_with_the_environment(environment: Environment) -> None:
    connection = environment.subscribe()
    connection.refusing = True
    environment.log.output(b"never taken")
    environment.clock.advance(1.0)
    connection.wait_for(attempts=1)
    environment.log.close()
    assert connection.closed
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("telemetry-")]


def test_a_thousand_invocations_are_told_exactly_once_each_in_order(environment: Environment) -> None:
    connection = environment.subscribe("platform")
    environment.end_init()
    for number in range(1000):
        environment.invoke(str(number))
    environment.advance_until(lambda: kinds(connection.events).count("report") == 1000)
    told = [
        (event["type"].removeprefix("platform."), event["record"]["requestId"])
        for event in connection.events
        if "requestId" in event["record"]
    ]
    assert told == [(kind, str(number)) for number in range(1000) for kind in ("start", "runtimeDone", "report")]


def test_events_are_one_line_of_json_each(environment: Environment) -> None:
    connection = environment.subscribe("function")
    environment.log.output("ü\u2028\nx".encode())
    assert json.dumps(environment.batch(connection)[0]["record"], ensure_ascii=False) == '"ü\u2028\\nx"'
