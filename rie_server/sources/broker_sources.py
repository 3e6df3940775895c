"""What wiring needs of Amazon MQ and DocumentDB: a source for a mapping, and a look at it before there is one.

The client libraries are extras and are loaded with the first mapping that needs them. Thread-safe.
"""

from importlib.util import find_spec

from rie_server.errors import InvalidParameterValueException, SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.polling import BrokerSource, ChangeStreamSource
from rie_server.ports import Clock
from rie_server.sources.access import BrokerAccess
from rie_server.sources.cluster_access import ClusterAccess


class BrokerSources:
    """
    Args:
        clock: the real one.
        server_time: what the wait before a redelivery goes by.
    """

    def __init__(self, access: BrokerAccess, *, clock: Clock, server_time: Clock) -> None:
        self._access = access
        self._clock = clock
        self._server_time = server_time

    def __call__(self, mapping: EventSourceMapping) -> BrokerSource:
        """A source that connects when it is first read; which engine it is, the broker's address tells.

        Raises:
            SourceError: the broker is not known or cannot be asked for.
        """
        if self._access.locate(mapping).is_rabbitmq:
            from rie_server.sources.rabbitmq import RabbitMqSource  # noqa: PLC0415 - an extra

            return RabbitMqSource(mapping, lambda: self._access.enter(mapping), self._clock)
        from rie_server.sources.activemq import ActiveMqSource  # noqa: PLC0415 - an extra

        return ActiveMqSource(mapping, lambda: self._access.enter(mapping), self._clock, self._server_time)

    def check(self, mapping: EventSourceMapping) -> None:
        """Fills ``polling.SourceInspector``: the broker and the secret are there. Nothing is connected: AWS accepts a
        mapping to a queue that is still to be made.
        """
        _check_extra("mq", "pika", "stomp")
        try:
            self._access.enter(mapping)
        except SourceError as trouble:
            raise InvalidParameterValueException(str(trouble)) from trouble


class ClusterSources:
    """
    Args:
        clock: the real one.
    """

    def __init__(self, access: ClusterAccess, *, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    def __call__(self, mapping: EventSourceMapping) -> ChangeStreamSource:
        from rie_server.sources.documentdb import DocumentDbSource  # noqa: PLC0415 - an extra

        return DocumentDbSource(mapping, lambda: self._access.enter(mapping), self._clock)

    def check(self, mapping: EventSourceMapping) -> None:
        """Fills ``polling.SourceInspector``: the cluster and the secret are there."""
        _check_extra("documentdb", "pymongo")
        try:
            self._access.enter(mapping)
        except SourceError as trouble:
            raise InvalidParameterValueException(str(trouble)) from trouble


def _check_extra(extra: str, *modules: str) -> None:
    if any(find_spec(module) is None for module in modules):
        raise InvalidParameterValueException(f"This server was installed without its extra {extra}.")
