"""Looks at a queue of SQS before a mapping to it is created, as AWS does: fills ``polling.SourceInspector``.

Thread-safe; ``check`` blocks for two calls of SQS.
"""

from rie_server.aws_clients import ServiceClients
from rie_server.errors import InvalidParameterValueException, LambdaError, SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.ports import Clock, FunctionCatalog
from rie_server.sources.sqs import SqsSource


class SqsInspector:
    """
    Args:
        catalog: knows how long the mapping's function may run.
    """

    def __init__(self, *, clients: ServiceClients, catalog: FunctionCatalog, real: Clock) -> None:
        self._clients = clients
        self._catalog = catalog
        self._real = real

    def check(self, mapping: EventSourceMapping) -> None:
        queue = SqsSource(mapping.source_arn or "", clients=self._clients, real=self._real)
        try:
            queue.look()
        except SourceError as refusal:
            raise InvalidParameterValueException(str(refusal)) from refusal
        try:
            timeout_seconds = self._catalog.resolve(mapping.function).timeout_seconds
        except LambdaError:
            return  # whether there is such a function is not this one's to say
        visibility_seconds = queue.hold_seconds() or 0.0
        if visibility_seconds < timeout_seconds:
            raise InvalidParameterValueException(
                f"Queue visibility timeout: {visibility_seconds:.0f} seconds is less than "
                f"Function timeout: {timeout_seconds:.0f} seconds"
            )
