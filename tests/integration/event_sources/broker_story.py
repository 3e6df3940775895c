"""A mapping to Amazon MQ as its user sees it, of either engine: a real broker, and a server that finds it."""

import base64
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import RieServer
from tests.integration.event_sources.stories import Story, serving
from tests.servers import activemq, rabbitmq
from tests.servers.moto import REGION, MotoServer

BrokerServer = rabbitmq.RabbitMqServer | activemq.ActiveMqServer
ARN = f"arn:aws:mq:{REGION}:123456789012:broker:orders:b-1234"


class BrokerStory(Story):
    """
    Attributes:
        keeps_order: whether one batch is with the function at a time.
    """

    def __init__(self, broker: BrokerServer, moto: MotoServer, rie: RieServer, folder: Path) -> None:
        self.broker = broker
        self.keeps_order = isinstance(broker, rabbitmq.RabbitMqServer)
        own = rabbitmq if self.keeps_order else activemq
        self.password = own.PASSWORD
        super().__init__(moto, rie, folder, user=own.USER, password=own.PASSWORD)

    def members(self, queue: str, *access: Any, **members: Any) -> dict[str, Any]:
        """Of CreateEventSourceMapping, for ``queue``; ``access`` goes beside the password."""
        configurations = [self.basic_auth(), *access]
        return {"EventSourceArn": ARN, "Queues": [queue], "SourceAccessConfigurations": configurations, **members}

    def new_queue(self) -> str:
        name = f"orders-{uuid.uuid4().hex[:8]}"
        self.broker.create_queue(name)
        return name


def messages(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        message
        for event in events
        for some in event.get("rmqMessagesByQueue", {"": event.get("messages", [])}).values()
        for message in some
    ]


def bodies(events: list[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(message["data"]) for message in messages(events)]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(body) for body in bodies(events)]


@contextlib.contextmanager
def broker_story(broker: BrokerServer, folder: Path) -> Iterator[BrokerStory]:
    """Starts ``broker`` and all that is around it."""
    with broker, serving(folder, mq_endpoints=f"{ARN}={broker.url}") as (moto, rie):
        yield BrokerStory(broker, moto, rie, folder)
