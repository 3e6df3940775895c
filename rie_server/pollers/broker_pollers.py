"""Makes the pollers of Amazon MQ's mappings: fills ``polling.MakePoller``. Thread-safe; connects to nothing."""

from collections.abc import Callable

from rie_server.model.event_source import EventSourceMapping
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.message_queue import MessageQueuePoller
from rie_server.pollers.queue_context import QueueContext
from rie_server.pollers.queue_pollers import filters_of
from rie_server.pollers.queue_rules import QueueRules
from rie_server.polling import BrokerSource, MappingReporter, PollObserver
from rie_server.ports import Clock, Invoker

# What a broker sends lies here before anybody asks for it: a short wait lets a poller end soon, and costs the broker
# nothing.
RECEIVE_SECONDS = 0.25


class BrokerPollers:
    """
    Args:
        make_source: may ask AWS where the broker is; raises SourceError.
        clock: the server's time.
    """

    def __init__(
        self,
        *,
        make_source: Callable[[EventSourceMapping], BrokerSource],
        invoker: Invoker,
        observer: PollObserver,
        clock: Clock,
        real: Clock,
    ) -> None:
        self._make_source = make_source
        self._invoker = invoker
        self._observer = observer
        self._clock = clock
        self._real = real

    def __call__(self, mapping: EventSourceMapping, reporter: MappingReporter) -> MessageQueuePoller:
        source = self._make_source(mapping)
        context = QueueContext(
            mapping=mapping,
            source=source,
            rules=broker_rules(mapping, source),
            invocation=BatchInvocation(
                mapping=mapping, source=source, invoker=self._invoker, observer=self._observer, clock=self._real
            ),
            reporter=reporter,
            observer=self._observer,
            clock=self._clock,
            real=self._real,
        )
        return MessageQueuePoller(context, is_wanted=filters_of(mapping))


def broker_rules(mapping: EventSourceMapping, source: BrokerSource) -> QueueRules:
    """AWS does not scale a mapping to a broker. One thread receives and one acknowledges, which keeps the queue's
    order; a message is this consumer's until it is acknowledged or released.
    """
    return QueueRules(
        batches_at_start=source.consumers,
        batches_most=source.consumers,
        batches_ahead=1,
        receivers_most=1,
        receive_most=mapping.batch_size,
        acknowledge_most=mapping.batch_size,
        acknowledge_threads=1,
        long_poll_seconds=RECEIVE_SECONDS,
        failure_pause_seconds=source.failure_pause_seconds,
    )
