"""The counts of ``metrics`` as Prometheus reads them. Imported at the first scrape, for its library is slow to import.

Pure. Labels are CloudWatch's dimensions FunctionName and Resource (``orders``, or ``orders:live`` for a qualifier), and
the region; functions of two accounts that agree in all three are added up.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rie_server.model.arn import FunctionArn
from rie_server.observing import ConcurrencyCounts, ProvisionedCounts
from rie_server.telemetry.counts import FunctionCounts, Histogram, PollCounts

Labels = tuple[str, str, str]
LABELS = ("function_name", "resource", "region")
POLL_LABELS = ("event_source_mapping_uuid", *LABELS)

_COUNTERS: tuple[tuple[str, str, Callable[[FunctionCounts], int]], ...] = (
    ("Invocations", "Times that the function has run, successfully or not.", lambda one: one.invocations),
    ("Errors", "Runs that ended in an error of the function or its runtime.", lambda one: one.errors),
    ("Throttles", "Requests to run the function that were refused for want of concurrency.", lambda one: one.throttles),
    (
        "ProvisionedConcurrencyInvocations",
        "Runs in environments of provisioned concurrency.",
        lambda one: one.provisioned,
    ),
    (
        "ProvisionedConcurrencySpilloverInvocations",
        "Runs in other environments, because those of provisioned concurrency were all at work.",
        lambda one: one.spilled_over,
    ),
    ("AsyncEventsReceived", "Events that were accepted into the queue.", lambda one: one.received),
    ("AsyncEventsDropped", "Events that ended without a successful run.", lambda one: one.dropped),
    (
        "DeadLetterErrors",
        "Attempts to send an event to the dead-letter queue that failed.",
        lambda one: one.dead_letter_errors,
    ),
    (
        "DestinationDeliveryFailures",
        "Attempts to send a record to a destination that failed.",
        lambda one: one.destination_failures,
    ),
)
_HISTOGRAMS: tuple[tuple[str, str, Callable[[FunctionCounts], Histogram]], ...] = (
    ("Duration", "Milliseconds that the function worked on an event.", lambda one: one.duration),
    ("AsyncEventAge", "Milliseconds between the acceptance of an event and an attempt at it.", lambda one: one.age),
)
_POLL_COUNTERS: tuple[tuple[str, str, Callable[[PollCounts], int]], ...] = (
    ("PolledEventCount", "Records that were read from an event source.", lambda one: one.polled),
    ("FilteredOutEventCount", "Records that filters have kept from the function.", lambda one: one.filtered_out),
    ("InvokedEventCount", "Records that were handed to the function, at each attempt.", lambda one: one.invoked),
    ("FailedInvokeEventCount", "Records whose invocation failed, at each attempt.", lambda one: one.failed_invoke),
    ("DeletedEventCount", "Messages that were deleted from their queue.", lambda one: one.deleted),
    (
        "OnFailureDestinationDeliveredEventCount",
        "Records that an on-failure destination has taken.",
        lambda one: one.delivered_on_failure,
    ),
    ("DroppedEventCount", "Records that were given up and that no destination has taken.", lambda one: one.dropped),
)
_ITERATOR_AGE = "Milliseconds between a record's arrival in its stream and the function's getting it."


def exposition(
    functions: Mapping[FunctionArn, FunctionCounts],
    concurrency: ConcurrencyCounts,
    provisioned: ProvisionedCounts,
    accept: str,
    polls: Sequence[PollCounts],
) -> tuple[str, bytes]:
    """Content type and text, in the format that an Accept header prefers."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(functions, concurrency))
    registry.register(_ProvisionedSnapshot(provisioned))
    registry.register(_PollSnapshot(polls))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


class _Snapshot(Collector):
    def __init__(self, functions: Mapping[FunctionArn, FunctionCounts], concurrency: ConcurrencyCounts) -> None:
        self._functions: dict[Labels, FunctionCounts] = {}
        for function, counts in functions.items():
            self._functions.setdefault(_labels(function), FunctionCounts()).add(counts)
        self._concurrency = concurrency

    def collect(self) -> Iterator[Metric]:
        for name, words, count in _COUNTERS:
            counter = CounterMetricFamily(name, words, labels=LABELS)
            for labels, counts in self._functions.items():
                counter.add_metric(labels, count(counts))
            yield counter
        for name, words, histogram in _HISTOGRAMS:
            family = HistogramMetricFamily(name, words, labels=LABELS)
            for labels, counts in self._functions.items():
                buckets, total = _cumulative(histogram(counts))
                family.add_metric(labels, buckets, total)
            yield family
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        running: dict[Labels, int] = {}
        for function, number in self._concurrency.running_by_function().items():
            labels = _labels(function)
            running[labels] = running.get(labels, 0) + number
        gauge = GaugeMetricFamily("ConcurrentExecutions", "Invocations that run now.", labels=LABELS)
        for labels, number in running.items():
            gauge.add_metric(labels, number)
        yield gauge
        words = "Invocations that run now at the expense of what all functions share."
        yield GaugeMetricFamily("UnreservedConcurrentExecutions", words, self._concurrency.unreserved_running)


class _ProvisionedSnapshot(Collector):
    def __init__(self, provisioned: ProvisionedCounts) -> None:
        self._provisioned = provisioned

    def collect(self) -> Iterator[Metric]:
        running = GaugeMetricFamily(
            "ProvisionedConcurrentExecutions", "Environments of provisioned concurrency that work now.", labels=LABELS
        )
        utilization = GaugeMetricFamily(
            "ProvisionedConcurrencyUtilization", "Their share of those that there are, from 0 to 1.", labels=LABELS
        )
        for function, (busy, allocated) in self._provisioned.provisioned_by_function().items():
            running.add_metric(_labels(function), busy)
            utilization.add_metric(_labels(function), busy / allocated if allocated else 0.0)
        yield running
        yield utilization


class _PollSnapshot(Collector):
    def __init__(self, polls: Sequence[PollCounts]) -> None:
        self._polls = polls

    def collect(self) -> Iterator[Metric]:
        for name, words, count in _POLL_COUNTERS:
            counter = CounterMetricFamily(name, words, labels=POLL_LABELS)
            for counts in self._polls:
                counter.add_metric((counts.uuid, *_labels(counts.function)), count(counts))
            yield counter
        family = HistogramMetricFamily("IteratorAge", _ITERATOR_AGE, labels=POLL_LABELS)
        for counts in self._polls:
            buckets, total = _cumulative(counts.iterator_age)
            family.add_metric((counts.uuid, *_labels(counts.function)), buckets, total)
        yield family


def _labels(function: FunctionArn) -> Labels:
    resource = function.name if function.qualifier is None else f"{function.name}:{function.qualifier}"
    return function.name, resource, function.region


def _cumulative(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Buckets as Prometheus wants them, and the sum of all values."""
    buckets, total = [], 0
    for bound, count in zip((*histogram.bounds, inf), histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == inf else str(bound), float(total)))
    return buckets, histogram.sum
