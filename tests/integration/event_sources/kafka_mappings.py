"""What the tests of Kafka share: a function that notes what it gets, mappings to topics, and a look at the notes."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import wait_until
from tests.integration.invoke.deploying import create
from tests.written import JsonLines

ARN = "arn:aws:kafka:us-east-1:000000000000:cluster/orders/8a1b2c3d-0000-4000-8000-000000000000-4"
NOTE = """
    import json, os, time

    def note(event):
        file = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (json.dumps(event) + "\\n").encode())
        os.close(file)

    def handler(event, context):
        note(event)
"""


class Notes:
    """Events in the order in which the function has got them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = JsonLines(path)

    @property
    def source(self) -> str:
        """Of a function that notes and succeeds."""
        return NOTE.format(path=str(self.path))

    def events(self) -> list[dict[str, Any]]:
        return self._lines.documents()

    def offsets(self) -> dict[str, list[int]]:
        """By ``topic-partition``."""
        found: dict[str, list[int]] = {}
        for event in self.events():
            for lane, records in event["records"].items():
                found.setdefault(lane, []).extend(record["offset"] for record in records)
        return found

    def distinct(self) -> int:
        return sum(len(set(offsets)) for offsets in self.offsets().values())


def is_in_order(offsets: Sequence[int]) -> bool:
    """Whether every record came after all before it: what is repeated goes back, and what is new leaves no gap."""
    seen = -1
    for offset in offsets:
        if offset > seen + 1:
            return False
        seen = max(seen, offset)
    return True


def create_mapping(client: Any, function: str, topic: str, servers: str | None, **members: Any) -> str:
    """The UUID of a mapping to self-managed Kafka, or with ``servers=None`` to the cluster ``ARN``."""
    source: Mapping[str, Any] = {"EventSourceArn": ARN}
    if servers is not None:
        source = {"SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": [servers]}}}
    members = {"StartingPosition": "TRIM_HORIZON", **members}
    if servers is not None:
        members.setdefault(
            "SourceAccessConfigurations",
            [{"Type": "VPC_SUBNET", "URI": "subnet:subnet-1"}, {"Type": "VPC_SECURITY_GROUP", "URI": "sg-1"}],
        )
    made = client.create_event_source_mapping(FunctionName=function, Topics=[topic], **source, **members)
    return str(made["UUID"])


def result(client: Any, mapping: str) -> str:
    return str(client.get_event_source_mapping(UUID=mapping).get("LastProcessingResult"))


def wait_for_result(client: Any, mapping: str, beginning: str, *, seconds: float = 20.0) -> str:
    def found() -> str:
        told = result(client, mapping)
        return told if told.startswith(beginning) else ""

    return str(wait_until(found, seconds=seconds, what=f"{beginning!r}, not {result(client, mapping)!r}"))


def new_topic() -> str:
    return f"orders.{uuid.uuid4().hex[:8]}"


def deploy(client: Any, notes: Notes, source: str | None = None, name: str = "notes") -> str:
    create(client, name, source or notes.source, Timeout=30)
    return name


def settle(look: Callable[[], Any], *, quiet_seconds: float = 1.0, seconds: float = 30.0) -> Any:
    """What ``look`` says once it has said the same for ``quiet_seconds``."""
    deadline, last, since = time.monotonic() + seconds, look(), time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < quiet_seconds:
        time.sleep(0.1)
        now = look()
        if now != last:
            last, since = now, time.monotonic()
    return last
