"""Makes the pollers of DocumentDB's mappings: fills ``polling.MakePoller``. Thread-safe; connects to nothing."""

from collections.abc import Callable

from rie_server.model.event_source import EventSourceMapping
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.change_stream import ChangeStreamPoller
from rie_server.polling import ChangeStreamSource, CheckpointStore, MappingReporter, PollObserver
from rie_server.ports import Clock, Invoker


class ChangeStreamPollers:
    """
    Args:
        clock: the server's time.
    """

    def __init__(
        self,
        *,
        make_source: Callable[[EventSourceMapping], ChangeStreamSource],
        invoker: Invoker,
        checkpoints: CheckpointStore,
        observer: PollObserver,
        clock: Clock,
        real: Clock,
    ) -> None:
        self._make_source = make_source
        self._invoker = invoker
        self._checkpoints = checkpoints
        self._observer = observer
        self._clock = clock
        self._real = real

    def __call__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> ChangeStreamPoller:
        source = self._make_source(mapping)
        invocation = BatchInvocation(
            mapping=mapping, source=source, invoker=self._invoker, observer=self._observer, clock=self._real
        )
        return ChangeStreamPoller(
            mapping=mapping,
            source=source,
            invocation=invocation,
            checkpoints=self._checkpoints,
            reporter=reporter,
            observer=self._observer,
            clock=self._clock,
        )
