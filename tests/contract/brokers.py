"""One broker of each engine as the contract suite sees it: it publishes, breaks, and is a source."""

import uuid
from dataclasses import replace

import pytest

from rie_server.clock.system import SystemClock
from rie_server.model.arn import FunctionArn
from rie_server.model.broker_address import BasicAuth, BrokerAddress
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.polling import QueueSource
from tests.servers import activemq, rabbitmq

ARN = "arn:aws:mq:eu-west-1:123456789012:broker:orders:b-1234"


def mapping(queue: str, *, batch_size: int = 100, virtual_host: str | None = None) -> EventSourceMapping:
    access = [] if virtual_host is None else [{"Type": "VIRTUAL_HOST", "URI": virtual_host}]
    return EventSourceMapping(
        uuid=str(uuid.uuid4()),
        kind=SourceKind.MQ,
        function=FunctionArn(region="eu-west-1", account="123456789012", name="orders"),
        source_arn=ARN,
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="USER_INITIATED",
        members={"BatchSize": batch_size, "Queues": [queue], "SourceAccessConfigurations": access},
        last_modified=0.0,
    )


class RabbitMq:
    name = "rabbitmq"

    def __init__(self, server: rabbitmq.RabbitMqServer, clock: SystemClock) -> None:
        self.server = server
        self.clock = clock
        self.address = BrokerAddress(
            scheme="amqp",
            host="127.0.0.1",
            port=server.port,
            auth=BasicAuth(username=rabbitmq.USER, password=rabbitmq.PASSWORD),
        )

    def source(self, queue: str, *, password: str | None = None, batch_size: int = 100) -> QueueSource:
        from rie_server.sources.rabbitmq import RabbitMqSource  # noqa: PLC0415 - an extra

        address = self.address
        if password is not None:
            address = address.with_auth(BasicAuth(username=rabbitmq.USER, password=password))
        return RabbitMqSource(mapping(queue, batch_size=batch_size), lambda: address, self.clock)


class ActiveMq:
    name = "activemq"

    def __init__(self, server: activemq.ActiveMqServer, clock: SystemClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rie_server.sources.activemq.REDELIVERY_SECONDS", 0.01)
        self.server = server
        self.clock = clock
        self.address = BrokerAddress(
            scheme="stomp",
            host="127.0.0.1",
            port=server.port,
            auth=BasicAuth(username=activemq.USER, password=activemq.PASSWORD),
        )

    def source(self, queue: str, *, password: str | None = None, batch_size: int = 100) -> QueueSource:
        from rie_server.sources.activemq import ActiveMqSource  # noqa: PLC0415 - an extra

        address = self.address
        if password is not None:
            address = replace(address, auth=BasicAuth(username=activemq.USER, password=password))
        return ActiveMqSource(mapping(queue, batch_size=batch_size), lambda: address, self.clock, self.clock)


Broker = RabbitMq | ActiveMq
