"""All event source mappings, in memory and in the store.

Changed by one writer thread alone, one change after the other: first the store, then the mapping of mappings that
readers see, which is replaced and never changed. So there is no lock, and nothing is visible that a crash could take
back. Where servers share a store, ``load`` again brings what others have changed. Thread-safe, apart from the writer's
own callbacks, which must not call back.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rie_server.errors import ResourceNotFoundException
from rie_server.model.event_source import EventSourceMapping
from rie_server.polling import MappingStore

_T = TypeVar("_T")

Rule = Callable[[EventSourceMapping], EventSourceMapping]


class MappingRecords:
    """By UUID. ``load`` before first use, ``close`` after the last."""

    def __init__(self, store: MappingStore) -> None:
        self._store = store
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mapping-writer")
        self.by_uuid: Mapping[str, EventSourceMapping] = {}

    def load(self) -> Mapping[str, EventSourceMapping]:
        """What the store has now."""

        def read() -> Mapping[str, EventSourceMapping]:
            self.by_uuid = {mapping.uuid: mapping for mapping in self._store.load()}
            return self.by_uuid

        return self._write(read)

    def add(self, mapping: EventSourceMapping, check: Callable[[Iterable[EventSourceMapping]], None]) -> None:
        """Returns when the mapping is durable. ``check`` sees all others and may raise; then nothing has changed."""

        def write() -> None:
            self._store.add(mapping, check)
            self._keep(mapping)

        self._write(write)

    def change(self, uuid: str, rule: Rule) -> EventSourceMapping:
        """Replaces a mapping by what ``rule`` makes of it, durably. What ``rule`` raises is raised here.

        Raises:
            ResourceNotFoundException: there is no such mapping (any more).
        """

        def write() -> EventSourceMapping:
            changed = self._store.change(uuid, rule)
            if changed is None:
                self._forget(uuid)
                raise ResourceNotFoundException("The resource you requested does not exist.")
            self._keep(changed)
            return changed

        return self._write(write)

    def remove(self, uuid: str) -> None:
        """Forgets a mapping and its checkpoints, durably."""

        def write() -> None:
            self._store.delete(uuid)
            self._forget(uuid)

        self._write(write)

    def close(self) -> None:
        """Finishes what was begun. Idempotent."""
        self._writer.shutdown()

    def _keep(self, mapping: EventSourceMapping) -> None:
        if self.by_uuid.get(mapping.uuid) != mapping:
            self.by_uuid = {**self.by_uuid, mapping.uuid: mapping}

    def _forget(self, uuid: str) -> None:
        self.by_uuid = {key: one for key, one in self.by_uuid.items() if key != uuid}

    def _write(self, change: Callable[[], _T]) -> _T:
        return self._writer.submit(change).result()
