"""Stores of event source mappings in memory, held to the contract suite ``tests/contract/test_mapping_stores.py``."""

import copy
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from rie_server.model.event_source import EventSourceMapping


class MemoryCheckpointStore:
    """Commits at once and calls back on the caller's thread.

    Attributes:
        failure: while set, nothing is written, and ``save`` reports it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.failure: Exception | None = None

    def load(self, uuid: str) -> Mapping[str, Mapping[str, Any]]:
        with self._lock:
            return {shard: copy.deepcopy(one) for (owner, shard), one in self._documents.items() if owner == uuid}

    def save(
        self,
        uuid: str,
        shard_id: str,
        document: Mapping[str, Any],
        on_durable: Callable[[Exception | None], None] | None = None,
    ) -> None:
        with self._lock:
            if self.failure is None:
                self._documents[uuid, shard_id] = copy.deepcopy(dict(document))
        if on_durable is not None:
            on_durable(self.failure)

    def forget(self, uuid: str, shard_id: str) -> None:
        with self._lock:
            self._documents.pop((uuid, shard_id), None)

    def forget_all(self, uuid: str) -> None:
        with self._lock:
            self._documents = {key: one for key, one in self._documents.items() if key[0] != uuid}


class MemoryMappingStore:
    """
    Attributes:
        saves: every mapping that was saved, in order.
        failure: while set, nothing is written, and every write raises it.
    """

    def __init__(self, checkpoints: MemoryCheckpointStore | None = None) -> None:
        self._lock = threading.Lock()
        self._mappings: dict[str, EventSourceMapping] = {}
        self._checkpoints = checkpoints or MemoryCheckpointStore()
        self.saves: list[EventSourceMapping] = []
        self.failure: Exception | None = None

    def load(self) -> Sequence[EventSourceMapping]:
        with self._lock:
            return [self._mappings[uuid] for uuid in sorted(self._mappings)]

    def add(self, mapping: EventSourceMapping, check: Callable[[Sequence[EventSourceMapping]], None]) -> None:
        with self._lock:
            self._fail()
            check(list(self._mappings.values()))
            self._keep(mapping)

    def change(self, uuid: str, rule: Callable[[EventSourceMapping], EventSourceMapping]) -> EventSourceMapping | None:
        with self._lock:
            self._fail()
            current = self._mappings.get(uuid)
            if current is None:
                return None
            changed = rule(current)
            if changed != current:
                self._keep(changed)
            return changed

    def delete(self, uuid: str) -> None:
        with self._lock:
            self._fail()
            self._mappings.pop(uuid, None)
        self._checkpoints.forget_all(uuid)

    def _keep(self, mapping: EventSourceMapping) -> None:
        self._mappings[mapping.uuid] = mapping
        self.saves.append(mapping)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class MemoryLeases:
    """What servers on one store have of each other; ``of`` makes a server's own view (fills ``MappingLeases``).

    Attributes:
        holders: by UUID, and until when.
        dead: names of servers whose leases are free at once.
        failure: while set, every claim raises it.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.holders: dict[str, tuple[str, float]] = {}
        self.dead: set[str] = set()
        self.failure: Exception | None = None
        self.now = now
        self.lock = threading.Lock()

    def of(self, owner: str) -> "ServersLeases":
        return ServersLeases(self, owner)


class ServersLeases:
    def __init__(self, leases: MemoryLeases, owner: str) -> None:
        self._leases = leases
        self._owner = owner

    def claim(self, uuids: Collection[str], lease_seconds: float) -> Collection[str]:
        leases = self._leases
        with leases.lock:
            if leases.failure is not None:
                raise leases.failure
            for uuid in uuids:
                holder, until = leases.holders.get(uuid, (self._owner, 0.0))
                if holder == self._owner or holder in leases.dead or until < leases.now():
                    leases.holders[uuid] = self._owner, leases.now() + lease_seconds
            return {uuid for uuid in uuids if leases.holders[uuid][0] == self._owner}

    def release(self, uuids: Collection[str]) -> None:
        with self._leases.lock:
            for uuid in uuids:
                if self._leases.holders.get(uuid, ("", 0.0))[0] == self._owner:
                    del self._leases.holders[uuid]
