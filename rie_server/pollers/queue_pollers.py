"""Makes the pollers of SQS's mappings: fills ``polling.MakePoller``. Thread-safe; connects to nothing."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from rie_server.model.event_source import EventSourceMapping
from rie_server.model.filter_documents import passes
from rie_server.model.filter_pattern import compile_filters
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.message_queue import IsWanted, MessageQueuePoller
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_rules import QueueRules
from rie_server.polling import MappingReporter, PollObserver, QueueSource
from rie_server.ports import Clock, Invoker

# AWS's own figures: batches at a time in the end, a poller's share in provisioned mode, and how its number grows.
BATCHES_MOST = 1250
PROVISIONED_BATCHES = 10
PROVISIONED_PER_MINUTE = 1000
POLLERS_LEAST = 2
POLLERS_MOST = 200
# Threads that receive. Each of them brings thousands of messages in a second, and AWS's pollers have a host each.
RECEIVERS_MOST = 4


class HidingQueue(QueueSource, Protocol):
    """A queue that takes back what was received and not deleted in time."""

    def hold_seconds(self) -> float | None:
        """See ``QueueRules``."""


class SqsPollers:
    """
    Args:
        make_source: connects to nothing.
        batches_most: invocations that this server can run at a time.
        clock: the server's time.
    """

    def __init__(
        self,
        *,
        make_source: Callable[[EventSourceMapping], HidingQueue],
        invoker: Invoker,
        observer: PollObserver,
        clock: Clock,
        real: Clock,
        batches_most: int,
    ) -> None:
        self._make_source = make_source
        self._invoker = invoker
        self._observer = observer
        self._clock = clock
        self._real = real
        self._batches_most = batches_most

    def __call__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> MessageQueuePoller:
        source = self._make_source(mapping)
        invocation = BatchInvocation(
            mapping=mapping, source=source, invoker=self._invoker, observer=self._observer, clock=self._real
        )
        context = QueueContext(
            mapping=mapping,
            source=source,
            rules=sqs_rules(mapping, source, batches_most=self._batches_most),
            invocation=invocation,
            reporter=reporter,
            observer=self._observer,
            clock=self._clock,
            real=self._real,
        )
        return MessageQueuePoller(context, is_wanted=filters_of(mapping))


def filters_of(mapping: EventSourceMapping) -> IsWanted | None:
    """None where the mapping has no filters."""
    filters = compile_filters(mapping.filter_patterns)
    return partial(passes, filters, mapping.kind) if filters.patterns else None


def sqs_rules(mapping: EventSourceMapping, source: HidingQueue, *, batches_most: int) -> QueueRules:
    """How AWS scales a mapping, as far as this host goes."""
    most = mapping.members.get("ScalingConfig", {}).get("MaximumConcurrency") or BATCHES_MOST
    at_start, per_minute, receivers_least = 5, 300, 1
    provisioned = mapping.members.get("ProvisionedPollerConfig") or {}
    if provisioned:
        least = provisioned.get("MinimumPollers", POLLERS_LEAST)
        most = provisioned.get("MaximumPollers", max(POLLERS_MOST, least)) * PROVISIONED_BATCHES
        at_start, per_minute = least * PROVISIONED_BATCHES, PROVISIONED_PER_MINUTE
        receivers_least = min(least, RECEIVERS_MOST)
    most = min(most, batches_most)
    return QueueRules(
        batches_at_start=min(at_start, most),
        batches_per_minute=per_minute,
        batches_most=most,
        receivers_least=receivers_least,
        receivers_most=RECEIVERS_MOST,
        hold_seconds=source.hold_seconds,
    )
