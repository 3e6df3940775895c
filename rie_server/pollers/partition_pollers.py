"""Makes the poller of a mapping to a source with partitions; fills ``polling.MakePoller``. Thread-safe."""

from collections.abc import Callable

from rie_server.model.event_source import EventSourceMapping
from rie_server.model.filter_pattern import compile_filters
from rie_server.model.partition_rules import partition_rules
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.partition import BACKOFF_SECONDS, PartitionPoller
from rie_server.pollers.partition_crew import Crew
from rie_server.pollers.partition_failures import PartitionFailures
from rie_server.pollers.partition_slots import PartitionSlots, poller_bounds
from rie_server.polling import MappingReporter, PartitionSource, PollObserver
from rie_server.ports import Clock, Destinations, Invoker


class PartitionPollers:
    """
    Args:
        make_source: of a mapping; connects to nothing yet.
        clock: the server's time: windows, ages, backoff.
        real: whatever has to do with the cluster, and trace headers.
    """

    def __init__(
        self,
        *,
        make_source: Callable[[EventSourceMapping], PartitionSource],
        invoker: Invoker,
        destinations: Destinations,
        observer: PollObserver,
        clock: Clock,
        real: Clock,
        backoff_seconds: tuple[float, float] = BACKOFF_SECONDS,
    ) -> None:
        self._make_source = make_source
        self._invoker = invoker
        self._destinations = destinations
        self._observer = observer
        self._clock = clock
        self._real = real
        self._backoff_seconds = backoff_seconds

    def __call__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> PartitionPoller:
        source = self._make_source(mapping)
        invocation = BatchInvocation(
            mapping=mapping, source=source, invoker=self._invoker, observer=self._observer, clock=self._real
        )
        failures = PartitionFailures(
            mapping=mapping,
            source=source,
            invocation=invocation,
            destinations=self._destinations,
            clock=self._clock,
        )

        def make_crew(run: Callable[[Callable[[], None]], None], on_room: Callable[[], None]) -> Crew:
            return Crew(
                mapping=mapping,
                filters=compile_filters(mapping.filter_patterns),
                rules=partition_rules(mapping),
                invocation=invocation,
                failures=failures,
                slots=PartitionSlots(poller_bounds(mapping), self._real),
                observer=self._observer,
                reporter=reporter,
                clock=self._clock,
                run=run,
                on_room=on_room,
            )

        return PartitionPoller(
            mapping=mapping,
            source=source,
            make_crew=make_crew,
            reporter=reporter,
            observer=self._observer,
            real=self._real,
            backoff_seconds=self._backoff_seconds,
        )
