"""Composition root, second page: event source mappings. What polls for them is in ``source_kinds``.

A kind that is missing here is refused by nobody and polled by nobody: its mappings say so as their last result.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rie_server.config import Settings
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.pollers.mappings import EventSourceMappings, FunctionExists
from rie_server.polling import MappingReporter, Poller
from rie_server.ports import Clock, Destinations, FunctionCatalog, Invoker
from rie_server.source_clients import PollerTools, SourceClients
from rie_server.stores.checkpoints import DatabaseCheckpointStore
from rie_server.stores.database import Database
from rie_server.stores.mapping_leases import DatabaseMappingLeases
from rie_server.stores.mappings import DatabaseMappingStore
from rie_server.telemetry.poll_metrics import PollMetrics

if TYPE_CHECKING:
    from rie_server.source_kinds import SourceKinds


class _KindsWhenNeeded:
    """A server without mappings does without the pollers, which are an eighth of all that it would import."""

    def __init__(self, tools: PollerTools) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._made: SourceKinds | None = None

    def make_poller(self, mapping: EventSourceMapping, reporter: MappingReporter) -> Poller:
        return self._kinds().makers[mapping.kind](mapping, reporter)

    def check(self, mapping: EventSourceMapping) -> None:
        """See ``SourceInspector``."""
        inspector = self._kinds().inspectors.get(mapping.kind)
        if inspector is not None:
            inspector.check(mapping)

    def _kinds(self) -> "SourceKinds":
        from rie_server.source_kinds import SourceKinds  # noqa: PLC0415 - see above

        with self._lock:
            if self._made is None:
                self._made = SourceKinds(self._tools)
            return self._made


def make_mappings(
    database: Database,
    *,
    settings: Settings,
    invoker: Invoker,
    catalog: FunctionCatalog,
    function_exists: FunctionExists,
    destinations: Destinations,
    metrics: PollMetrics,
    clients: SourceClients,
    clock: Clock,
    real: Clock,
    invocations_most: int,
    owner: str,
    is_gone: Callable[[str], bool],
    is_elsewhere: Callable[[str], bool],
) -> EventSourceMappings:
    """
    Args:
        owner, is_gone, is_elsewhere: of servers that share the database; see ``event_wiring``.
    """
    kinds = _KindsWhenNeeded(
        PollerTools(
            settings=settings,
            invoker=invoker,
            catalog=catalog,
            observer=metrics,
            checkpoints=DatabaseCheckpointStore(database),
            destinations=destinations,
            clock=clock,
            real=real,
            clients=clients,
            invocations_most=invocations_most,
        )
    )
    return EventSourceMappings(
        store=DatabaseMappingStore(database),
        makers=dict.fromkeys(SourceKind, kinds.make_poller),
        inspectors=dict.fromkeys(SourceKind, kinds),
        function_exists=function_exists,
        on_gone=metrics.forget,
        real=real,
        # A database of our own is polled for by nobody else.
        leases=DatabaseMappingLeases(database, owner=owner, is_gone=is_gone) if settings.database_url else None,
        is_elsewhere=lambda function: is_elsewhere(str(function.unqualified)),
    )
