"""How brokers and clusters are found and entered, without any of them."""

import json
import math
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pika import BasicProperties

from rie_server.config import Settings
from rie_server.errors import ConfigurationError, InvalidParameterValueException, SourceError
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.model.rabbitmq_message import header_value, java_date, message_head, rabbitmq_document
from rie_server.sources.access import BrokerAccess
from rie_server.sources.broker_sources import BrokerSources
from rie_server.sources.cluster_access import ClusterAccess
from tests.fakes.clock import FakeClock

BROKER = "arn:aws:mq:eu-west-1:123456789012:broker:orders:b-1234"
CLUSTER = "arn:aws:rds:eu-west-1:123456789012:cluster:orders"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders"


class Aws:
    """All clients in one, with the answers that a test sets."""

    def __init__(self) -> None:
        self.endpoints = ["ssl://b-1:61617", "amqps://b-1:5671"]
        self.engine = "RABBITMQ"
        self.secret = json.dumps({"username": "me", "password": "p@ss"})

    def client(self, service: str, region: str) -> "Aws":
        assert region == "eu-west-1"
        return self

    def describe_broker(self, **members: str) -> dict[str, Any]:
        if members["BrokerId"] != "b-1234":
            error = {"Code": "NotFoundException", "Message": "Can't find requested broker."}
            raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 404}}, "DescribeBroker")
        return {"EngineType": self.engine, "BrokerInstances": [{"Endpoints": self.endpoints}]}

    def describe_db_clusters(self, **members: str) -> dict[str, Any]:
        return {"DBClusters": [{"Endpoint": f"{members['DBClusterIdentifier']}.docdb", "Port": 27018}]}

    def get_secret_value(self, **members: str) -> dict[str, Any]:
        return {"SecretString": self.secret}


def mapping(arn: str = BROKER) -> EventSourceMapping:
    return EventSourceMapping(
        uuid=str(uuid.uuid4()),
        kind=SourceKind.MQ,
        function=FunctionArn(region="eu-west-1", account="123456789012", name="orders"),
        source_arn=arn,
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="USER_INITIATED",
        members={"SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": SECRET}], "Queues": ["q"]},
        last_modified=0.0,
    )


def test_a_broker_is_described_and_entered_with_its_secret() -> None:
    address = BrokerAccess(Aws(), {}).enter(mapping())

    assert (address.scheme, address.host, address.port, address.uses_tls) == ("amqps", "b-1", 5671, True)
    assert address.auth is not None
    assert (address.auth.username, address.auth.password) == ("me", "p@ss")
    assert "p@ss" not in repr(address)


def test_an_activemq_is_reached_by_stomp() -> None:
    aws = Aws()
    aws.engine, aws.endpoints = "ActiveMQ", ["ssl://b-1:61617", "amqp+ssl://b-1:5671", "stomp+ssl://b-1:61614"]

    assert BrokerAccess(aws, {}).locate(mapping()).scheme == "stomp+ssl"


def test_a_setting_wins_and_a_user_in_it_stands_in_for_the_secret() -> None:
    address = BrokerAccess(Aws(), {BROKER: "stomp://a%40b:c@localhost"}).enter(mapping())

    assert (address.host, address.port, address.is_rabbitmq) == ("localhost", 61613, False)
    assert address.auth is not None
    assert (address.auth.username, address.auth.password) == ("a@b", "c")


@pytest.mark.parametrize(
    ("arn", "secret", "words"),
    [
        (f"{BROKER}-gone", "{}", "Error occurred while DescribeBroker. AmazonMQ Error Code: NotFoundException."),
        (BROKER, "no JSON", "EVENT_SOURCE_AUTHN_ERROR"),
        (BROKER, '{"username": "me"}', "EVENT_SOURCE_AUTHN_ERROR"),
    ],
)
def test_a_mapping_without_a_broker_or_a_secret_is_refused(arn: str, secret: str, words: str) -> None:
    aws, clock = Aws(), FakeClock()
    aws.secret = secret
    with pytest.raises(InvalidParameterValueException, match=words):
        BrokerSources(BrokerAccess(aws, {}), clock=clock, server_time=clock).check(mapping(arn))


def test_a_cluster_is_described_and_reached_with_tls() -> None:
    address = ClusterAccess(Aws(), {}).enter(mapping(CLUSTER))

    assert address.url.startswith("mongodb://orders.docdb:27018/?tls=true&replicaSet=rs0")
    assert address.options() == {"username": "me", "password": "p@ss"}


def test_the_addresses_of_a_replica_set_may_hold_commas() -> None:
    value = f"{CLUSTER}=mongodb://a:1,b:2/?replicaSet=rs0, {CLUSTER}2=mongodb://c"
    settings = Settings.from_environ({"RIE_DOCUMENTDB_ENDPOINTS": value})

    assert dict(settings.documentdb_endpoints) == {
        CLUSTER: "mongodb://a:1,b:2/?replicaSet=rs0",
        f"{CLUSTER}2": "mongodb://c",
    }


@pytest.mark.parametrize("value", [f"{BROKER}=http://a", "amqp://a", f"{BROKER}=amqp://", "x"])
def test_an_address_that_is_none_stops_the_start(value: str) -> None:
    with pytest.raises(ConfigurationError, match="RIE_MQ_ENDPOINTS"):
        Settings.from_environ({"RIE_MQ_ENDPOINTS": value})


def test_a_password_in_an_address_that_is_none_is_not_told() -> None:
    for name in ("RIE_MQ_ENDPOINTS", "RIE_DOCUMENTDB_ENDPOINTS"):
        with pytest.raises(ConfigurationError) as refused:
            Settings.from_environ({name: f"{BROKER}=amqp:/me:secret@localhost"})
        assert str(refused.value).startswith(f"{name}=... is not a list such as ")
        assert "secret" not in str(refused.value)


def test_dates_and_headers_are_written_as_java_does() -> None:
    assert java_date(2021) == "Jan 1, 1970, 12:33:41 AM"
    assert java_date(1_767_225_600 + 13 * 3600 + 65) == "Jan 1, 2026, 1:01:05 PM"
    assert java_date(2**62) is None
    assert header_value({"a": ["é", 1, True, None]}) == {"a": [{"bytes": [-61, -87]}, 1, True, None]}
    assert header_value([math.nan, -math.inf, 1.5]) == [None, None, 1.5]


def test_a_rabbitmq_message_is_written_as_json() -> None:
    properties = BasicProperties(content_type='"\u00e4"', headers={"\n": 1}, timestamp=2021)
    head = message_head(properties)

    assert head.timestamp == 2021
    document = json.loads(rabbitmq_document(head, b"\xff", redelivered=True))
    assert document == {
        "basicProperties": {
            **dict.fromkeys(("contentEncoding", "deliveryMode", "priority", "correlationId", "replyTo", "expiration")),
            **dict.fromkeys(("messageId", "type", "userId", "appId", "clusterId")),
            "contentType": '"\u00e4"',
            "headers": {"\n": 1},
            "timestamp": "Jan 1, 1970, 12:33:41 AM",
            "bodySize": 1,
        },
        "redelivered": True,
        "data": "/w==",
    }
    assert json.loads(rabbitmq_document(message_head(BasicProperties()), b"", redelivered=False))["data"] == ""


def test_properties_that_are_no_text_are_shown_as_java_reads_them() -> None:
    properties = BasicProperties(content_type=b"a\xff", headers={b"\xff": b"\xff"})
    shown = json.loads(rabbitmq_document(message_head(properties), b"", redelivered=False))["basicProperties"]

    assert (shown["contentType"], shown["headers"]) == ("a\ufffd", {"\ufffd": {"bytes": [-1]}})


def test_an_address_with_an_impossible_port_is_refused_in_words() -> None:
    with pytest.raises(SourceError, match="ESM_CONFIG_NOT_VALID"):
        BrokerAccess(Aws(), {BROKER: "amqp://localhost:99999"}).locate(mapping())
