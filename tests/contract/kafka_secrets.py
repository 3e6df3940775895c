"""Mappings to Kafka, and the secrets that they name."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind

TOPIC = "orders"


class Secrets:
    """botocore's clients of Secrets Manager, MSK and Glue, with what a test has put there."""

    def __init__(self) -> None:
        self.secrets: dict[str, Any] = {}
        self.brokers: dict[str, str] = {}
        self.schemas: dict[str, dict[str, str]] = {}
        self.refusal = "EntityNotFoundException"

    def client(self, service: str, region: str) -> "Secrets":
        assert region == "eu-west-1"
        return self

    def put(self, name: str, **members: str) -> str:
        arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}"
        self.secrets[arn] = members
        return arn

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - botocore's
        return {"SecretString": json.dumps(self.secrets[SecretId])}

    def get_bootstrap_brokers(self, *, ClusterArn: str) -> dict[str, str]:  # noqa: N803 - botocore's
        assert ":cluster/" in ClusterArn
        return self.brokers

    def get_schema_version(self, *, SchemaVersionId: str) -> dict[str, str]:  # noqa: N803 - botocore's
        if SchemaVersionId not in self.schemas:
            error = {"Error": {"Code": self.refusal, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(error, "GetSchemaVersion")  # type: ignore[arg-type]
        return self.schemas[SchemaVersionId]


def mapping(servers: str | None, access: Mapping[str, str], **members: Any) -> EventSourceMapping:
    place = {} if servers is None else {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [servers]}}
    configurations = [{"Type": kind, "URI": uri} for kind, uri in access.items()]
    return EventSourceMapping(
        uuid=str(uuid.uuid4()),
        kind=SourceKind.MSK if servers is None else SourceKind.SELF_MANAGED_KAFKA,
        function=FunctionArn(region="eu-west-1", account="123456789012", name="orders"),
        source_arn="arn:aws:kafka:eu-west-1:123456789012:cluster/orders/1" if servers is None else None,
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="USER_INITIATED",
        members={
            "BatchSize": 100,
            "Topics": [TOPIC],
            "StartingPosition": "TRIM_HORIZON",
            "SelfManagedEventSource": place,
            "SourceAccessConfigurations": configurations,
            **members,
        },
        last_modified=0.0,
    )
