"""What the lanes of one mapping to Kafka have in common. Pure data."""

from collections.abc import Callable
from dataclasses import dataclass

from rie_server.model.event_source import EventSourceMapping
from rie_server.model.filter_pattern import Filters
from rie_server.model.stream_batch import StreamRules
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.partition_failures import PartitionFailures
from rie_server.pollers.partition_slots import PartitionSlots
from rie_server.polling import MappingReporter, PollObserver
from rie_server.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """What the lanes of one mapping share.

    Attributes:
        run: has something done on one of the crew's threads; harmless after the crew has gone.
        clock: the server's time.
        on_room: called, from any thread, when a lane is no longer full, or has less than a batch.
    """

    mapping: EventSourceMapping
    filters: Filters
    rules: StreamRules
    invocation: BatchInvocation
    failures: PartitionFailures
    slots: PartitionSlots
    observer: PollObserver
    reporter: MappingReporter
    clock: Clock
    run: Callable[[Callable[[], None]], None]
    on_room: Callable[[], None]
