"""Stores of event source mappings in memory, held to the contract suite ``tests/contract/test_mapping_stores.py``."""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
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

    def save(self, mapping: EventSourceMapping) -> None:
        with self._lock:
            if self.failure is not None:
                raise self.failure
            self._mappings[mapping.uuid] = mapping
            self.saves.append(mapping)

    def delete(self, uuid: str) -> None:
        with self._lock:
            if self.failure is not None:
                raise self.failure
            self._mappings.pop(uuid, None)
        self._checkpoints.forget_all(uuid)
