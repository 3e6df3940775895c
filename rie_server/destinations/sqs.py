"""Records and dead letters to SQS queues. Thread-safe; fills ``dispatch.Deliver``."""

from typing import Any

from rie_server.aws_clients import ServiceClients
from rie_server.destinations.refusals import member, refusals_of
from rie_server.model.delivery import Delivery
from rie_server.model.destination_arn import DestinationTarget


class SqsDestination:
    def __init__(self, clients: ServiceClients) -> None:
        self._clients = clients
        # ARN -> URL. Asked for, because every emulator builds its URLs in a way of its own.
        self._urls: dict[str, str] = {}

    def __call__(self, delivery: Delivery, target: DestinationTarget) -> None:
        with refusals_of(target.arn):
            sqs = self._clients.client("sqs", target.region)
            try:
                answer = sqs.send_message(QueueUrl=self._url(sqs, target), **_message(delivery))
                member(answer, "MessageId", target.arn)
            except Exception:
                self._urls.pop(target.arn, None)  # the queue may come back elsewhere
                raise

    def _url(self, sqs: Any, target: DestinationTarget) -> str:
        url = self._urls.get(target.arn)
        if url is None:
            answer = sqs.get_queue_url(QueueName=target.name, QueueOwnerAWSAccountId=target.account)
            url = self._urls[target.arn] = str(member(answer, "QueueUrl", target.arn))
        return url


def _message(delivery: Delivery) -> dict[str, Any]:
    message: dict[str, Any] = {"MessageBody": delivery.body.decode(), "MessageAttributes": attributes_of(delivery)}
    if delivery.trace_header:
        trace = {"DataType": "String", "StringValue": delivery.trace_header}
        message["MessageSystemAttributes"] = {"AWSTraceHeader": trace}
    return message


def attributes_of(delivery: Delivery) -> dict[str, dict[str, str]]:
    """The attributes as SQS and SNS take them."""
    return {
        name: {"DataType": data_type, "StringValue": value} for name, (data_type, value) in delivery.attributes.items()
    }
