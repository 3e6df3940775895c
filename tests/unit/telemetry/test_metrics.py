"""Counting, and what Prometheus reads of it."""

import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rie_server.errors import DeliveryError
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.event_invoke import EndingCondition, EventEnding
from rie_server.model.invocation import InvokeRequest
from rie_server.telemetry.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.fakes.streams import stream_mapping

ORDERS = FunctionArn(region="us-east-1", account="000000000000", name="orders")
LIVE = ORDERS.qualified("live")
LABELS = {"function_name": "orders", "resource": "orders", "region": "us-east-1"}


class Concurrency:
    """Fills ``observing.ConcurrencyCounts`` and ``ProvisionedCounts``."""

    def __init__(self) -> None:
        self.running: dict[FunctionArn, int] = {}
        self.provisioned: dict[FunctionArn, tuple[int, int]] = {}
        self.unreserved_running = 0

    def running_by_function(self) -> Mapping[FunctionArn, int]:
        return self.running

    def provisioned_by_function(self) -> Mapping[FunctionArn, tuple[int, int]]:
        return self.provisioned


class Stage:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(clock=self.clock)
        self.concurrency = Concurrency()

    def value(self, name: str, **labels: str) -> float | None:
        _, text = self.metrics.expose(self.concurrency, self.concurrency, "")
        wanted = {**LABELS, **labels} if name != "UnreservedConcurrentExecutions" else labels
        found = [
            sample.value
            for family in text_string_to_metric_families(text.decode())
            for sample in family.samples
            if sample.name == name and sample.labels == wanted
        ]
        assert len(found) < 2, f"{name} {wanted} is there {len(found)} times"
        return found[0] if found else None


@pytest.fixture
def stage() -> Stage:
    return Stage()


def event(stage: Stage, function: FunctionArn = ORDERS) -> QueuedEvent:
    return QueuedEvent(
        request=InvokeRequest(function=function, payload=b"{}", request_id="r"), enqueued_at=stage.clock.now()
    )


def test_runs_are_counted_with_their_errors_and_durations(stage: Stage) -> None:
    for duration_ms in (0.5, 1.0, 7.0, 950_000.0):
        stage.metrics.invocation_ended(ORDERS, duration_ms=duration_ms, failed=duration_ms == 7.0)
    assert stage.value("Invocations_total") == 4
    assert stage.value("Errors_total") == 1
    assert stage.value("Throttles_total") == 0
    assert stage.value("Duration_count") == 4
    assert stage.value("Duration_sum") == 950_008.5
    cumulative = {
        bound: stage.value("Duration_bucket", le=bound) for bound in ("1.0", "5.0", "10.0", "900000.0", "+Inf")
    }
    assert cumulative == {"1.0": 2, "5.0": 2, "10.0": 3, "900000.0": 3, "+Inf": 4}


def test_a_qualifier_is_a_resource_of_the_function(stage: Stage) -> None:
    stage.metrics.invocation_ended(ORDERS, duration_ms=1, failed=False)
    stage.metrics.invocation_ended(LIVE, duration_ms=1, failed=True)
    assert stage.value("Invocations_total") == 1
    assert stage.value("Invocations_total", resource="orders:live") == 1
    assert stage.value("Errors_total", resource="orders:live") == 1


def test_regions_are_told_apart_and_accounts_are_added_up(stage: Stage) -> None:
    stage.metrics.invocation_ended(ORDERS, duration_ms=1, failed=False)
    stage.metrics.invocation_ended(replace(ORDERS, region="eu-west-1"), duration_ms=1, failed=False)
    stage.metrics.invocation_ended(replace(ORDERS, account="111111111111"), duration_ms=1, failed=False)
    assert stage.value("Invocations_total") == 2
    assert stage.value("Invocations_total", region="eu-west-1") == 1


def test_throttles_are_no_invocations(stage: Stage) -> None:
    stage.metrics.invocation_throttled(ORDERS)
    assert (stage.value("Throttles_total"), stage.value("Invocations_total")) == (1, 0)


def test_what_runs_now_is_asked_for_when_somebody_looks(stage: Stage) -> None:
    stage.concurrency.running = {ORDERS: 3, replace(ORDERS, account="111111111111"): 1}
    stage.concurrency.unreserved_running = 2
    assert stage.value("ConcurrentExecutions") == 4
    assert stage.value("UnreservedConcurrentExecutions") == 2
    stage.concurrency.running = {}
    assert stage.value("ConcurrentExecutions") is None


def test_the_age_of_an_event_is_taken_at_every_attempt(stage: Stage) -> None:
    queued = event(stage)
    stage.metrics.received(queued)
    stage.metrics.started(queued)
    stage.clock.advance(60)
    stage.metrics.started(queued)
    assert stage.value("AsyncEventsReceived_total") == 1
    assert (stage.value("AsyncEventAge_count"), stage.value("AsyncEventAge_sum")) == (2, 60_000)
    assert stage.value("AsyncEventAge_bucket", le="10000.0") == 1


@pytest.mark.parametrize("condition", list(EndingCondition))
def test_whatever_ends_without_success_is_dropped(stage: Stage, condition: EndingCondition) -> None:
    stage.metrics.received(event(stage))
    stage.metrics.ended(event(stage), EventEnding(condition=condition, status_code=200, invoke_count=1), ())
    assert stage.value("AsyncEventsDropped_total") == (0 if condition is EndingCondition.SUCCESS else 1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (DeliveryKind.DEAD_LETTER, "DeadLetterErrors_total"),
        (DeliveryKind.ON_SUCCESS, "DestinationDeliveryFailures_total"),
        (DeliveryKind.ON_FAILURE, "DestinationDeliveryFailures_total"),
    ],
)
@pytest.mark.parametrize(("function", "resource"), [(ORDERS.qualified("$LATEST"), "orders"), (LIVE, "orders:live")])
def test_every_delivery_that_fails_is_counted(
    stage: Stage, kind: DeliveryKind, name: str, function: FunctionArn, resource: str
) -> None:
    delivery = Delivery(
        kind=kind, target_arn="arn", request_id="r", function=function, body=b"", trace_header="", at=0.0
    )
    for _ in range(2):
        stage.metrics.delivery_failed(delivery, DeliveryError("down", passes=True))
    assert stage.value(name, resource=resource) == 2
    assert {
        stage.value("DeadLetterErrors_total", resource=resource),
        stage.value("DestinationDeliveryFailures_total", resource=resource),
    } == {0, 2}


def test_a_failure_record_of_a_mapping_that_cannot_be_delivered_counts_for_its_function(stage: Stage) -> None:
    stage.metrics.polls.delivery_failed(replace(stream_mapping(), function=LIVE))
    assert stage.value("DestinationDeliveryFailures_total", resource="orders:live") == 1


def test_no_count_is_lost_between_threads(stage: Stage) -> None:
    def count() -> None:
        for _ in range(5_000):
            stage.metrics.invocation_ended(ORDERS, duration_ms=1, failed=True)

    threads = [threading.Thread(target=count, name=f"counting-{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stage.value("Invocations_total"), stage.value("Errors_total")) == (20_000, 20_000)


def test_the_format_is_the_one_that_is_asked_for(stage: Stage) -> None:
    stage.metrics.invocation_ended(ORDERS, duration_ms=1, failed=False)
    plain_type, plain = stage.metrics.expose(stage.concurrency, stage.concurrency, "")
    open_type, openly = stage.metrics.expose(
        stage.concurrency, stage.concurrency, "application/openmetrics-text; version=1.0.0"
    )
    assert plain_type.startswith("text/plain")
    assert b"# TYPE Invocations_total counter" in plain
    assert open_type.startswith("application/openmetrics-text")
    assert openly.endswith(b"# EOF\n")


def test_a_server_that_nobody_scrapes_does_without_the_library() -> None:
    script = "import sys, rie_server.wiring; print('prometheus_client' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


def test_provisioned_concurrency_has_awss_four_figures(stage: Stage) -> None:
    stage.concurrency.provisioned = {LIVE: (1, 4), ORDERS.qualified("1"): (0, 0)}
    for provisioned in (True, True, False, None):
        stage.metrics.invocation_ended(LIVE, duration_ms=1, failed=False, provisioned=provisioned)
    live, first = {"resource": "orders:live"}, {"resource": "orders:1"}
    assert stage.value("ProvisionedConcurrencyInvocations_total", **live) == 2
    assert stage.value("ProvisionedConcurrencySpilloverInvocations_total", **live) == 1
    assert stage.value("Invocations_total", **live) == 4
    assert stage.value("ProvisionedConcurrentExecutions", **live) == 1
    assert stage.value("ProvisionedConcurrencyUtilization", **live) == 0.25
    assert stage.value("ProvisionedConcurrencyUtilization", **first) == 0
