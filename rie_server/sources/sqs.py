"""Queues of SQS, by boto's own settings (``AWS_ENDPOINT_URL_SQS``): fills ``polling.QueueSource``.

Promises: records are what AWS hands to functions, to the letter; every failure is a SourceError in AWS's words. A queue
that was deleted and made anew is found again. Thread-safe.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rie_server.aws_clients import ServiceClients
from rie_server.model.event_source import SourceRecord
from rie_server.ports import Clock
from rie_server.sources.sqs_failures import QueueMissingError, SqsUnreachableError, failures_of

# SQS's own limits of one call.
RECEIVE_MOST = 10
DELETE_MOST = 10
# How old what is known about the queue's visibility timeout may be.
ATTRIBUTES_SECONDS = 30.0
_ATTRIBUTES = ("VisibilityTimeout", "ApproximateNumberOfMessages")


class SqsSource:
    """
    Args:
        queue_arn: ``arn:aws:sqs:eu-west-1:123456789012:orders``.
        clients: may be shared; not this source's to close.
        real: says how old is what is known about the queue.
    """

    def __init__(self, queue_arn: str, *, clients: ServiceClients, real: Clock) -> None:
        self._arn = queue_arn
        _, _, _, self._region, self._account, self._name = queue_arn.split(":", 5)
        self._clients = clients
        self._real = real
        self._lock = threading.Lock()
        self._url: str | None = None
        self._visibility_seconds: float | None = None
        self._asked_at = 0.0

    # --- polling.QueueSource ------------------------------------------------------------------------------------------

    def receive(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        if self._visibility_seconds is None or self._real.monotonic() - self._asked_at > ATTRIBUTES_SECONDS:
            self.attributes()
        answer = self._call(
            "ReceiveMessage",
            MaxNumberOfMessages=min(most, RECEIVE_MOST),
            WaitTimeSeconds=int(wait_seconds),
            # Emulators of an older date know the older name alone.
            AttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [self._record(message) for message in answer.get("Messages") or ()]

    def acknowledge(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        kept: list[SourceRecord] = []
        for start in range(0, len(records), DELETE_MOST):
            some = records[start : start + DELETE_MOST]
            entries = [{"Id": str(number), "ReceiptHandle": record.handle} for number, record in enumerate(some)]
            answer = self._call("DeleteMessageBatch", Entries=entries)
            deleted = {int(entry["Id"]) for entry in answer.get("Successful") or ()}
            kept += [record for number, record in enumerate(some) if number not in deleted]
        return kept

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        """Nothing: AWS leaves messages that failed to the queue's visibility timeout."""

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {"Records": [record.document for record in records]}

    def backlog(self) -> int | None:
        return int(self.attributes().get("ApproximateNumberOfMessages", 0))

    def close(self) -> None:
        """Nothing: connections are shared, and SQS knows no readers."""

    # --- what only SQS has --------------------------------------------------------------------------------------------

    def hold_seconds(self) -> float | None:
        """The queue's visibility timeout as it was last known; None before the first ``receive``."""
        return self._visibility_seconds

    def look(self) -> None:
        """Whether the queue is there and may be received from, as far as that can be told without receiving.

        Raises:
            SourceError: in the words of ReceiveMessage, as AWS says it.
        """
        self._ask_url("ReceiveMessage")
        self.attributes()

    def attributes(self) -> Mapping[str, str]:
        """The queue's ``VisibilityTimeout`` and ``ApproximateNumberOfMessages``."""
        answer = self._call("GetQueueAttributes", AttributeNames=list(_ATTRIBUTES))
        with failures_of("GetQueueAttributes"):
            found: Mapping[str, str] = answer["Attributes"]
            self._visibility_seconds = float(found["VisibilityTimeout"])
        self._asked_at = self._real.monotonic()
        return found

    # --- calls --------------------------------------------------------------------------------------------------------

    def _call(self, operation: str, **members: Any) -> dict[str, Any]:
        """One call for this queue; once more at once where the queue has moved."""
        known = self._url
        try:
            return self._call_at(known or self._ask_url(operation), operation, members)
        except SqsUnreachableError:
            self._url = None  # it may come back elsewhere
            raise
        except QueueMissingError:
            self._url = None
            if known is None:
                raise
        return self._call_at(self._ask_url(operation), operation, members)

    def _call_at(self, url: str, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        with failures_of(operation):
            return self._clients.json_calls("sqs", self._region).call(operation, {"QueueUrl": url, **members})

    def _ask_url(self, operation: str) -> str:
        """Asked for, because every emulator builds its URLs in a way of its own."""
        with failures_of(operation):
            client = self._clients.client("sqs", self._region)
            answer = client.get_queue_url(QueueName=self._name, QueueOwnerAWSAccountId=self._account)
            self._url = url = str(answer["QueueUrl"])
            return url

    def _record(self, message: Mapping[str, Any]) -> SourceRecord:
        document = record_document(message, queue_arn=self._arn, region=self._region)
        attributes = document["attributes"]
        return SourceRecord(
            identifier=document["messageId"],
            lane=attributes.get("MessageGroupId") if self._name.endswith(".fifo") else None,
            arrived_at=int(attributes.get("SentTimestamp", 0)) / 1000,
            size_bytes=len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()),
            document=document,
            handle=document["receiptHandle"],
        )


def record_document(message: Mapping[str, Any], *, queue_arn: str, region: str) -> dict[str, Any]:
    """A message as ReceiveMessage gives it, as an element of ``Records``."""
    attributes = message.get("MessageAttributes") or {}
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message.get("Body", ""),
        "attributes": dict(message.get("Attributes") or {}),
        "messageAttributes": {name: _message_attribute(value) for name, value in attributes.items()},
        "md5OfMessageAttributes": message.get("MD5OfMessageAttributes"),
        "md5OfBody": message.get("MD5OfBody"),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }


def _message_attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if "StringValue" in value:
        document["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        document["binaryValue"] = value["BinaryValue"]  # base64 on both sides
    # SQS has reserved lists for later, and AWS hands them out empty.
    return {**document, "stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
