"""What the tests of event source mappings begin with: members of CreateEventSourceMapping by kind of source."""

from typing import Any

from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.model.event_source_rules import new_settings
from rie_server.model.mapping_life_cycle import created

UUID = "11111111-1111-4111-8111-111111111111"
NOW = 1_767_225_600.0
ORDERS = FunctionArn(region="us-east-1", account="000000000000", name="orders")
QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders"
FIFO = f"{QUEUE}.fifo"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000"
CLUSTER = "arn:aws:kafka:us-east-1:000000000000:cluster/orders/11111111-1111-4111-8111-111111111111-1"
BROKER = "arn:aws:mq:us-east-1:000000000000:broker:orders:b-11111111-1111-4111-8111-111111111111"
DOCUMENTS = "arn:aws:rds:us-east-1:000000000000:cluster:orders"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:orders"
BASIC = {"Type": "BASIC_AUTH", "URI": SECRET}

MEMBERS: dict[SourceKind, dict[str, Any]] = {
    SourceKind.SQS: {"EventSourceArn": QUEUE},
    SourceKind.KINESIS: {"EventSourceArn": STREAM, "StartingPosition": "LATEST"},
    SourceKind.DYNAMODB: {"EventSourceArn": TABLE, "StartingPosition": "TRIM_HORIZON"},
    SourceKind.MSK: {"EventSourceArn": CLUSTER, "Topics": ["orders"]},
    SourceKind.SELF_MANAGED_KAFKA: {
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["127.0.0.1:9092"]}},
        "SourceAccessConfigurations": [BASIC],
        "Topics": ["orders"],
    },
    SourceKind.MQ: {"EventSourceArn": BROKER, "Queues": ["orders"], "SourceAccessConfigurations": [BASIC]},
    SourceKind.DOCUMENTDB: {
        "EventSourceArn": DOCUMENTS,
        "DocumentDBEventSourceConfig": {"DatabaseName": "shop"},
        "SourceAccessConfigurations": [BASIC],
    },
}


def mapping_of(
    kind: SourceKind, *, uuid: str = UUID, function: FunctionArn = ORDERS, enabled: bool = True, **members: Any
) -> EventSourceMapping:
    """A new mapping, as CreateEventSourceMapping with ``members`` besides the necessary ones makes it."""
    wanted = {**MEMBERS[kind], **members}
    _, settings = new_settings(wanted, uuid=uuid, now=NOW)
    return created(
        uuid,
        kind,
        function,
        settings,
        source_arn=wanted.get("EventSourceArn"),
        enabled=enabled,
        tags={},
        at=NOW,
    )
