"""Fills ``ports.Destinations``: finds the adapter for a target by its ARN. Thread-safe; ``close`` it."""

from collections.abc import Callable, Mapping

from rie_server.aws_clients import ServiceClients
from rie_server.destinations.eventbridge import EventBridgeDestination
from rie_server.destinations.function import FunctionDestination, Submit
from rie_server.destinations.s3 import S3Destination
from rie_server.destinations.sns import SnsDestination
from rie_server.destinations.sqs import SqsDestination
from rie_server.errors import DeliveryError
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.destination_arn import DestinationKind, DestinationTarget, destination_target
from rie_server.ports import FunctionCatalog

_DEAD_LETTER_KINDS = frozenset({DestinationKind.SQS, DestinationKind.SNS})

# Sends one record; raises DeliveryError.
Deliver = Callable[[Delivery, DestinationTarget], None]


class DestinationDispatcher:
    def __init__(self, *, catalog: FunctionCatalog, submit: Submit) -> None:
        """Connects to nothing before the first delivery.

        Args:
            submit: ``EventQueue.submit``, for targets that are functions.
        """
        self._clients = ServiceClients()
        self._adapters: Mapping[DestinationKind, Deliver] = {
            DestinationKind.SQS: SqsDestination(self._clients),
            DestinationKind.SNS: SnsDestination(self._clients),
            DestinationKind.EVENTBRIDGE: EventBridgeDestination(self._clients),
            DestinationKind.S3: S3Destination(self._clients),
            DestinationKind.LAMBDA: FunctionDestination(catalog=catalog, submit=submit),
        }

    def deliver(self, delivery: Delivery) -> None:
        target = destination_target(delivery.target_arn)
        if target is None:
            raise DeliveryError(f"{delivery.target_arn} is no target for records.", passes=False)
        if delivery.kind is DeliveryKind.DEAD_LETTER and target.kind not in _DEAD_LETTER_KINDS:
            raise DeliveryError(f"{delivery.target_arn} is no target for dead letters.", passes=False)
        self._adapters[target.kind](delivery, target)

    def close(self) -> None:
        self._clients.close()
