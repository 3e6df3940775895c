"""Writes failure records to a topic of the mapping's own cluster (``kafka://topic``). Thread-safe; ``close`` it."""

import threading
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from rie_server.errors import DeliveryError
from rie_server.sources.kafka_access import KafkaCluster
from rie_server.sources.kafka_settings import client_settings

DELIVERY_SECONDS = 20
# What no further attempt changes.
_REFUSALS = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - its name for what the client itself has found
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
    }
)


class KafkaProducer:
    def __init__(self, cluster: KafkaCluster) -> None:
        settings = {"acks": "all", "message.timeout.ms": DELIVERY_SECONDS * 1000, "message.max.bytes": 16_000_000}
        self._producer = Producer(client_settings(cluster) | settings)

    def deliver(self, topic: str, body: bytes, key: bytes | None) -> None:
        """
        Raises:
            DeliveryError: the cluster refused the message or could not be reached.
        """
        done, outcome = threading.Event(), []

        def delivered(error: Any, _message: Any) -> None:
            outcome.append(error)
            done.set()

        try:
            self._producer.produce(topic, value=body, key=key, on_delivery=delivered)
        except (KafkaException, BufferError) as refusal:
            raise DeliveryError(f"kafka://{topic}: {refusal}", passes=isinstance(refusal, BufferError)) from refusal
        self._producer.flush(DELIVERY_SECONDS + 5)
        if not done.wait(1.0):
            raise DeliveryError(f"kafka://{topic}: no answer", passes=True)
        if outcome[0] is not None:
            raise DeliveryError(f"kafka://{topic}: {outcome[0].str()}", passes=outcome[0].code() not in _REFUSALS)

    def close(self) -> None:
        self._producer.flush(1.0)
