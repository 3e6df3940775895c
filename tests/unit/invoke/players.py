"""Extensions as a test plays them."""

import json
from typing import Any

from tests.unit.invoke.conftest import Runtime, Stage


class ExtensionPlayer:
    """One extension in the environment of ``runtime``; also the poll that it waits in."""

    def __init__(self, stage: Stage, runtime: Runtime, name: str = "watcher") -> None:
        self.stage = stage
        self.environment_id = runtime.id
        self.name = name
        self.identifier = ""
        self.connected = True
        self.got: list[dict[str, Any]] = []

    def is_connected(self) -> bool:
        return self.connected

    def deliver(self, event: bytes) -> None:
        self.got.append(json.loads(event))

    def register(self, *events: str) -> "ExtensionPlayer":
        body = json.dumps({"events": events}).encode()
        self.identifier, _ = self.stage.extensions.register(self.environment_id, self.name, body)
        return self

    def next(self) -> "ExtensionPlayer":
        self.stage.extensions.next(self.environment_id, self.identifier, self)
        return self

    @property
    def events(self) -> list[str]:
        return [event["eventType"] for event in self.got]
