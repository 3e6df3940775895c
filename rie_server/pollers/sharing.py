"""Shares event source mappings among servers of one database: each mapping is polled by one of them.

A thread of its own rereads the mappings and renews this server's leases every two seconds: what was made, changed or
deleted on another server becomes known, and the mappings of a server that has died are taken over when their leases
have expired (at once, if it ran on this machine with this data folder). A server that cannot renew its leases in time
stops polling before they expire. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable, Collection
from typing import Any, Final

from rie_server.errors import RieError
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, MappingState
from rie_server.model.mapping_life_cycle import is_settled
from rie_server.pollers.records import MappingRecords
from rie_server.polling import MappingLeases
from rie_server.ports import Clock, Timer

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
LEASE_SECONDS: Final = 20.0
# Leases that are as old as this without a renewal count as lost: to ask a database that is away takes ten seconds more.
HELD_SECONDS: Final = 8.0


class MappingSharing:
    """
    Args:
        is_elsewhere: whether another server has made the function, and this one does not know it.
        apply: has a poller run for a mapping of this server's as the mapping wants it; must not block.
        drop: stops the poller of a mapping that is not this server's any more; must not block.
        gone: is told the UUID of a mapping that is no longer there; perhaps more than once.
    """

    def __init__(
        self,
        leases: MappingLeases,
        *,
        records: MappingRecords,
        is_elsewhere: Callable[[FunctionArn], bool],
        apply: Callable[[EventSourceMapping], None],
        drop: Callable[[str], None],
        gone: Callable[[str], None],
        real: Clock,
    ) -> None:
        self._leases = leases
        self._records = records
        self._is_elsewhere = is_elsewhere
        self._apply = apply
        self._drop = drop
        self._gone = gone
        self._real = real
        self._thread = threading.Thread(target=self._run, name="mapping-sharing", daemon=True)
        # Guards what follows; notified when it is time to look, and at the end.
        self._due = threading.Condition()
        self._timer: Timer | None = None
        self._is_time = True
        self._closed = False
        # The thread's own: what was applied of each mapping that is this server's, and when leases were renewed last.
        self._held: dict[str, Any] = {}
        self._known: frozenset[str] = frozenset()
        self._renewed_at = real.monotonic()

    def start(self) -> None:
        self._thread.start()

    def look_soon(self) -> None:
        """A mapping has changed; returns at once."""
        with self._due:
            self._is_time = True
            self._due.notify_all()

    def holds(self, uuid: str) -> bool:
        """Whether the mapping is this server's."""
        return uuid in self._held

    def close(self) -> None:
        """After the pollers have ended: others may have the mappings at once. Joins the thread. Idempotent."""
        with self._due:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._due.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while self._next():
            try:
                self._look()
            except Exception as failure:
                if not isinstance(failure, RieError):
                    log.exception("Event source mappings cannot be shared")
                if self._held and self._real.monotonic() - self._renewed_at > HELD_SECONDS:
                    log.warning("Leases of event source mappings cannot be renewed; polling stops: %s", failure)
                    self._lose(frozenset(self._held))
        try:
            self._leases.release(frozenset(self._held))
        except Exception as failure:
            log.warning("Leases of event source mappings expire by themselves: %s", failure)

    def _next(self) -> bool:
        """Blocks until it is time to look; False at the end."""
        with self._due:
            if not self._closed:
                self._timer = self._real.call_later(LOOK_SECONDS, self.look_soon)
            self._due.wait_for(lambda: self._closed or self._is_time)
            self._is_time = False
            if self._timer is not None:
                self._timer.cancel()
            return not self._closed

    def _look(self) -> None:
        asked_at = self._real.monotonic()
        mappings = self._records.load()
        for uuid in self._known - mappings.keys() - self._held.keys():
            self._gone(uuid)
        self._known = frozenset(mappings)
        wanted = {uuid for uuid, one in mappings.items() if _wants_work(one) and not self._is_elsewhere(one.function)}
        held = self._leases.claim(wanted, LEASE_SECONDS)
        self._renewed_at = asked_at
        lost = self._held.keys() - held
        self._lose(lost & wanted)
        self._give_back(lost - wanted, mappings)
        for uuid in sorted(held):
            mapping = mappings[uuid]
            applied = (mapping.function, mapping.members, mapping.enabled)
            if self._held.get(uuid) != applied or not is_settled(mapping):
                self._held[uuid] = applied
                self._apply(mapping)

    def _lose(self, uuids: Collection[str]) -> None:
        """Somebody else's, or nobody knows whose."""
        for uuid in sorted(uuids):
            log.warning("Event source mapping %s is polled by another server from now on", uuid)
            del self._held[uuid]
            self._drop(uuid)

    def _give_back(self, uuids: Collection[str], mappings: Collection[str]) -> None:
        """Those that are disabled, or gone, or whose function is another server's now."""
        for uuid in sorted(uuids):
            del self._held[uuid]
            (self._drop if uuid in mappings else self._gone)(uuid)
        self._leases.release(uuids)


def _wants_work(mapping: EventSourceMapping) -> bool:
    return mapping.state is not MappingState.DISABLED
