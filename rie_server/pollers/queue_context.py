"""What the parts of a queue's poller have in common. Pure data."""

from dataclasses import dataclass

from rie_server.model.event_source import EventSourceMapping
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.queue_rules import QueueRules
from rie_server.polling import MappingReporter, PollObserver, QueueSource
from rie_server.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueContext:
    """
    Attributes:
        clock: the server's time: batching windows and the backoff after a throttle.
        real: everything that waits for the source.
    """

    mapping: EventSourceMapping
    source: QueueSource
    rules: QueueRules
    invocation: BatchInvocation
    reporter: MappingReporter
    observer: PollObserver
    clock: Clock
    real: Clock
