"""Records to S3 buckets, one object each. Thread-safe; fills ``dispatch.Deliver``.

A delivery that is repeated, because its answer was lost, writes the same object again.
"""

import uuid
from datetime import UTC, datetime

from rie_server.aws_clients import ServiceClients
from rie_server.destinations.refusals import member, refusals_of
from rie_server.model.delivery import Delivery
from rie_server.model.destination_arn import DestinationTarget


class S3Destination:
    def __init__(self, clients: ServiceClients) -> None:
        self._clients = clients

    def __call__(self, delivery: Delivery, target: DestinationTarget) -> None:
        with refusals_of(target.arn):
            # A bucket's ARN names no region; AWS redirects where it is another than the function's.
            answer = self._clients.client("s3", delivery.function.region).put_object(
                Bucket=target.name, Key=object_key(delivery), Body=delivery.body, ContentType="application/json"
            )
            member(answer, "ETag", target.arn)


def object_key(delivery: Delivery) -> str:
    """``aws/lambda/async/orders/2026/01/01/2026-01-01T00.00.00-UUID``, or what the delivery says."""
    if delivery.object_key is not None:
        return delivery.object_key
    moment = datetime.fromtimestamp(delivery.at, UTC)
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{delivery.request_id} {delivery.kind} {delivery.at}")
    return f"aws/lambda/async/{delivery.function.name}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{name}"
