"""Counting what pollers do, and what Prometheus reads of it."""

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import SourceKind
from rie_server.telemetry.metrics import Metrics
from rie_server.telemetry.poll_metrics import PollMetrics
from tests.fakes.clock import FakeClock
from tests.unit.event_sources.mappings import ORDERS, UUID, mapping_of

LABELS = {
    "event_source_mapping_uuid": UUID,
    "function_name": "orders",
    "resource": "orders:live",
    "region": "us-east-1",
}
LIVE = mapping_of(SourceKind.KINESIS, function=ORDERS.qualified("live"))


class Idle:
    """Fills ``observing.ConcurrencyCounts`` and ``ProvisionedCounts``."""

    unreserved_running = 0

    def running_by_function(self) -> Mapping[FunctionArn, int]:
        return {}

    def provisioned_by_function(self) -> Mapping[FunctionArn, tuple[int, int]]:
        return {}


def samples(metrics: PollMetrics) -> dict[str, float]:
    """The samples of the mapping with ``LABELS``; of histograms the sum and the count."""
    everything = Metrics(clock=FakeClock())
    everything.polls = metrics
    _, text = everything.expose(Idle(), Idle(), "")
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.labels == LABELS
    }


@pytest.mark.parametrize(
    ("method", "name", "number"),
    [
        ("polled", "PolledEventCount", "polled"),
        ("filtered_out", "FilteredOutEventCount", "filtered_out"),
        ("invoked", "InvokedEventCount", "invoked"),
        ("failed_invoke", "FailedInvokeEventCount", "failed_invoke"),
        ("deleted", "DeletedEventCount", "deleted"),
        ("delivered_on_failure", "OnFailureDestinationDeliveredEventCount", "delivered_on_failure"),
        ("dropped", "DroppedEventCount", "dropped"),
    ],
)
def test_records_are_counted_under_awss_names(method: str, name: str, number: str) -> None:
    metrics = PollMetrics()
    getattr(metrics, method)(LIVE, 3)
    getattr(metrics, method)(LIVE, 4)

    found = samples(metrics)
    assert found.pop(f"{name}_total") == 7
    assert set(found.values()) == {0}
    assert {key: value for key, value in metrics.numbers(UUID).items() if value} == {number: 7}


def test_the_age_of_the_iterator_is_a_histogram() -> None:
    metrics = PollMetrics()
    metrics.iterator_age(LIVE, 5.0)
    metrics.iterator_age(LIVE, 70_000.0)

    assert samples(metrics)["IteratorAge_sum"] == 70_005
    assert samples(metrics)["IteratorAge_count"] == 2


def test_counts_go_with_their_mapping() -> None:
    metrics = PollMetrics()
    metrics.polled(LIVE, 1)
    metrics.forget(UUID)
    metrics.forget(UUID)

    assert samples(metrics) == {}
    assert set(metrics.numbers(UUID).values()) == {0}


def test_a_snapshot_stands_still() -> None:
    metrics = PollMetrics()
    metrics.polled(LIVE, 1)
    (snapshot,) = metrics.snapshot()
    metrics.polled(LIVE, 1)
    metrics.iterator_age(LIVE, 1.0)

    assert (snapshot.polled, sum(snapshot.iterator_age.counts)) == (1, 0)
