"""Records and dead letters to SNS topics. Thread-safe; fills ``dispatch.Deliver``."""

from rie_server.aws_clients import ServiceClients
from rie_server.destinations.refusals import member, refusals_of
from rie_server.destinations.sqs import attributes_of
from rie_server.model.delivery import Delivery
from rie_server.model.destination_arn import DestinationTarget


class SnsDestination:
    def __init__(self, clients: ServiceClients) -> None:
        self._clients = clients

    def __call__(self, delivery: Delivery, target: DestinationTarget) -> None:
        with refusals_of(target.arn):
            answer = self._clients.client("sns", target.region).publish(
                TopicArn=target.arn, Message=delivery.body.decode(), MessageAttributes=attributes_of(delivery)
            )
            member(answer, "MessageId", target.arn)
