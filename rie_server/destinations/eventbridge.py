"""Records to EventBridge buses: the record is the detail of an event whose source is ``lambda``. Thread-safe; fills
``dispatch.Deliver``.
"""

from datetime import UTC, datetime
from typing import Any

from rie_server.aws_clients import ServiceClients
from rie_server.destinations.refusals import answered, member, refusals_of
from rie_server.model.delivery import Delivery, DeliveryKind
from rie_server.model.destination_arn import DestinationTarget

SOURCE = "lambda"
DETAIL_TYPES = {
    DeliveryKind.ON_SUCCESS: "Lambda Function Invocation Result - Success",
    DeliveryKind.ON_FAILURE: "Lambda Function Invocation Result - Failure",
}


class EventBridgeDestination:
    def __init__(self, clients: ServiceClients) -> None:
        self._clients = clients

    def __call__(self, delivery: Delivery, target: DestinationTarget) -> None:
        with refusals_of(target.arn):
            entry = _entry(delivery, target)
            answer = self._clients.client("events", target.region).put_events(Entries=[entry])
        if member(answer, "FailedEntryCount", target.arn):
            failed = answer["Entries"][0]
            error = {"Code": failed.get("ErrorCode", "Unknown"), "Message": failed.get("ErrorMessage", "")}
            raise answered(target.arn, error, answer["ResponseMetadata"]["HTTPStatusCode"])


def _entry(delivery: Delivery, target: DestinationTarget) -> dict[str, Any]:
    entry = {
        "Time": datetime.fromtimestamp(delivery.at, UTC),
        "Source": SOURCE,
        "DetailType": DETAIL_TYPES[delivery.kind],
        "Detail": delivery.body.decode(),
        "Resources": [target.arn, str(delivery.function)],
        "EventBusName": target.arn,
    }
    return entry | ({"TraceHeader": delivery.trace_header} if delivery.trace_header else {})
