"""librdkafka's settings for a mapping. Pure."""

from collections.abc import Mapping
from typing import Any

from rie_server.model.event_source import EventSourceMapping
from rie_server.sources.kafka_access import KafkaCluster

SESSION_SECONDS = 10
"""After so long without a sign of life a server's partitions go to others."""
POLL_SECONDS = 300
"""The reading thread must call within this time; handlers may run longer, because it does not wait for them."""
METADATA_SECONDS = 5
"""New partitions, and topics that have been made after all, are seen after this time."""
SOCKET_SECONDS = 10
FETCH_KILOBYTES = 16 * 1024
"""What librdkafka keeps ready; its own default of 64 MB for each mapping is too much for a laptop."""
PARTITION_FETCH_BYTES = 256 * 1024
"""Small, so that records of all partitions come in turn: one lane would be full and the others empty otherwise."""
FETCH_AGAIN_MS = 10
"""How soon librdkafka fetches again after it had enough; by its own default it looks a second later, and a poller that
has emptied it by then stands still."""


def group_id(mapping: EventSourceMapping) -> str:
    for name in ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig"):
        wanted = (mapping.members.get(name) or {}).get("ConsumerGroupId")
        if wanted:
            return str(wanted)
    return mapping.uuid


def client_settings(cluster: KafkaCluster) -> dict[str, Any]:
    """What producers and consumers share."""
    return {
        "bootstrap.servers": ",".join(cluster.bootstrap_servers),
        "client.id": "rie-server",
        "socket.timeout.ms": SOCKET_SECONDS * 1000,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2_000,
        # A broker that is away is a line for every attempt to reach it; the poller says so once.
        "log_level": 2,
        **cluster.security,
    }


def consumer_settings(mapping: EventSourceMapping, cluster: KafkaCluster) -> Mapping[str, Any]:
    return {
        **client_settings(cluster),
        "group.id": group_id(mapping),
        "partition.assignment.strategy": "cooperative-sticky",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Counts only for an offset that has expired: what is still there has not been seen.
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "session.timeout.ms": SESSION_SECONDS * 1000,
        "heartbeat.interval.ms": SESSION_SECONDS * 1000 // 4,
        "max.poll.interval.ms": POLL_SECONDS * 1000,
        "topic.metadata.refresh.interval.ms": METADATA_SECONDS * 1000,
        "queued.max.messages.kbytes": FETCH_KILOBYTES,
        "max.partition.fetch.bytes": PARTITION_FETCH_BYTES,
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": FETCH_AGAIN_MS,
    }
