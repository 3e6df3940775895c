"""The pollers of all mappings: started, restarted and stopped as their mappings come, change and go.

Fills ``observing.Settling``, so that a clock moved by hand waits for what its pollers do. Thread-safe.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping, MappingState, SourceKind
from rie_server.pollers.keeper import OnSettled, PollerKeeper
from rie_server.polling import MakePoller, MappingReporter, Poller
from rie_server.ports import Clock

log = logging.getLogger(__name__)


class PollerManager:
    """
    Args:
        makers: what makes the poller of each kind of source.
        on_result: is told a mapping's UUID and LastProcessingResult; must not block.
        on_disable: is told a mapping's UUID and why it cannot go on; may block.
    """

    def __init__(
        self,
        *,
        makers: Mapping[SourceKind, MakePoller],
        on_result: Callable[[str, str], None],
        on_disable: Callable[[str, str], None],
        real: Clock,
    ) -> None:
        self._makers = makers
        self._on_result = on_result
        self._on_disable = on_disable
        self._real = real
        # Guards what follows.
        self._lock = threading.Lock()
        self._keepers: dict[str, PollerKeeper] = {}
        # Of deleted mappings: their threads are about to end.
        self._leaving: list[PollerKeeper] = []
        self._draining = False

    def apply(self, mapping: EventSourceMapping, on_settled: OnSettled) -> None:
        """Has a poller run for ``mapping`` if it is enabled, and none if it is not, or is being deleted.

        Returns at once; ``on_settled`` is called when that is so, on another thread, unless the server ends before.
        """
        is_wanted = mapping.enabled and mapping.state is not MappingState.DELETING
        keeper = self._keeper(mapping.uuid)
        if keeper is not None:
            keeper.want(mapping if is_wanted else None, on_settled)

    def drop(self, uuid: str) -> None:
        """Has no poller run for a mapping that another server polls; returns at once."""
        keeper = self._keepers.get(uuid)
        if keeper is not None:
            keeper.want(None, lambda: None)

    def forget(self, uuid: str) -> None:
        """Its poller has ended for good."""
        with self._lock:
            self._leaving = [one for one in self._leaving if not one.join(0.0)]
            keeper = self._keepers.pop(uuid, None)
            if keeper is not None:
                self._leaving.append(keeper)
        if keeper is not None:
            keeper.end()

    def is_settled(self) -> bool:
        return all(keeper.is_settled() for keeper in self._all())

    def describe(self, uuid: str) -> Mapping[str, Any]:
        """See ``polling.Poller.describe``; empty where no poller runs."""
        keeper = self._keepers.get(uuid)
        return {} if keeper is None else keeper.describe()

    def stop(self) -> None:
        """No poller takes any more records, and none is started. Returns at once. Idempotent."""
        with self._lock:
            self._draining = True
        for keeper in self._all():
            keeper.end()

    def drain(self, timeout_seconds: float) -> bool:
        """Stops, and waits for what is in flight. False when some is after ``timeout_seconds``: its records come again
        after a restart. Idempotent.
        """
        give_up_at = self._real.monotonic() + timeout_seconds
        self.stop()
        late = [keeper for keeper in self._all() if not keeper.join(max(0.0, give_up_at - self._real.monotonic()))]
        if late:
            log.warning("%d event source mappings still had records in flight at the end", len(late))
        return not late

    def _keeper(self, uuid: str) -> PollerKeeper | None:
        with self._lock:
            if self._draining:
                return None
            keeper = self._keepers.get(uuid)
            if keeper is None:
                keeper = self._keepers[uuid] = PollerKeeper(
                    uuid,
                    make=self._make,
                    on_result=lambda result: self._on_result(uuid, result),
                    on_disable=lambda reason: self._on_disable(uuid, reason),
                    real=self._real,
                )
                keeper.start()
            return keeper

    def _make(self, mapping: EventSourceMapping, reporter: MappingReporter) -> Poller:
        make = self._makers.get(mapping.kind)
        if make is None:
            raise SourceError(f"This server does not poll sources of the kind {mapping.kind}.", passes=False)
        return make(mapping, reporter)

    def _all(self) -> Sequence[PollerKeeper]:
        with self._lock:
            return [*self._keepers.values(), *self._leaving]
