"""What telemetry stands on, in a test's hands: extensions, connections, and a clock whose timers run on their own."""

import json
import threading
from collections.abc import Sequence
from typing import Any

from rie_server.errors import RuntimeApiError
from rie_server.model.telemetry_subscription import ListenerAddress, Subscribable, Subscription


class FakeExtensions:
    """Fills ``observing.ExtensionDirectory``."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], str] = {}
        self.is_init = True

    def subscriber(self, environment_id: str, identifier: str | None) -> str | None:
        name = self.names.get((environment_id, identifier or ""))
        if name is None:
            raise RuntimeApiError(403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")
        return name if self.is_init else None


class FakeConnection:
    """Fills ``observing.TelemetryConnection``.

    Attributes:
        batches: what was taken.
        refusing: while set, nothing is.
        attempts: sends that were tried.
    """

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.refusing = False
        self.attempts = 0
        self.closed = False
        self._changed = threading.Condition()

    def send(self, events: Sequence[bytes]) -> None:
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
            if self.refusing:
                raise ConnectionRefusedError("nobody listens")
            self.batches.append([json.loads(event) for event in events])

    def close(self) -> None:
        self.closed = True

    @property
    def events(self) -> list[Any]:
        return [event for batch in tuple(self.batches) for event in batch]

    def wait_for(self, batches: int = 0, attempts: int = 0) -> None:
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.batches) >= batches and self.attempts >= attempts, 10.0)
        assert there, f"{len(self.batches)} batches after {self.attempts} attempts"


class FakeConnector:
    """Fills ``observing.TelemetryConnector``."""

    def __init__(self) -> None:
        self.connections: list[FakeConnection] = []
        self.listeners: list[tuple[str, ListenerAddress]] = []

    def connect(self, environment_id: str, listener: ListenerAddress) -> FakeConnection:
        self.listeners.append((environment_id, listener))
        self.connections.append(FakeConnection())
        return self.connections[-1]


def subscription(*types: str, **changes: Any) -> Subscription:
    """To everything in the newest schema, unless a test says otherwise."""
    settings: dict[str, Any] = {
        "api": Subscribable.TELEMETRY,
        "schema_version": "2025-01-29",
        "max_items": 1000,
        "max_bytes": 262144,
        "timeout_ms": 1000,
        "listener": ListenerAddress(protocol="HTTP", port=4243),
    }
    return Subscription(types=types or ("platform", "function", "extension"), **(settings | changes))
