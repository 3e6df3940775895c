"""Composition root, second page: which kind of event source has which poller, and who looks at a source beforehand.

A kind that is missing here is refused by nobody and polled by nobody: its mappings say so as their last result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rie_server.api.rie_api.mappings import MappingOperations
from rie_server.model.event_source import SourceKind
from rie_server.pollers.mappings import EventSourceMappings, FunctionExists
from rie_server.polling import CheckpointStore, MakePoller, PollObserver, SourceInspector
from rie_server.ports import Clock, Destinations, FunctionCatalog, Invoker
from rie_server.stores.checkpoints import DatabaseCheckpointStore
from rie_server.stores.database import Database
from rie_server.stores.mappings import DatabaseMappingStore
from rie_server.telemetry.poll_metrics import PollMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerTools:
    """What pollers are made with.

    Attributes:
        clock: the server's time, for what AWS calls a window, an age or a backoff.
        real: for deadlines, long polls and drains.
    """

    invoker: Invoker
    catalog: FunctionCatalog
    observer: PollObserver
    checkpoints: CheckpointStore
    destinations: Destinations
    clock: Clock
    real: Clock


def poller_makers(tools: PollerTools) -> Mapping[SourceKind, MakePoller]:
    """What makes the poller of a mapping, by the kind of its source."""
    del tools
    return {}


def source_inspectors(tools: PollerTools) -> Mapping[SourceKind, SourceInspector]:
    """Who looks at a source before a mapping to it is created; a kind that is missing is taken at its word."""
    del tools
    return {}


def make_mappings(
    database: Database,
    *,
    invoker: Invoker,
    catalog: FunctionCatalog,
    function_exists: FunctionExists,
    destinations: Destinations,
    metrics: PollMetrics,
    clock: Clock,
    real: Clock,
) -> EventSourceMappings:
    tools = PollerTools(
        invoker=invoker,
        catalog=catalog,
        observer=metrics,
        checkpoints=DatabaseCheckpointStore(database),
        destinations=destinations,
        clock=clock,
        real=real,
    )
    return EventSourceMappings(
        store=DatabaseMappingStore(database),
        makers=poller_makers(tools),
        inspectors=source_inspectors(tools),
        function_exists=function_exists,
        on_gone=metrics.forget,
        real=real,
    )


def mapping_operations(mappings: EventSourceMappings, metrics: PollMetrics) -> MappingOperations:
    return MappingOperations(mappings=mappings, describe=mappings.manager.describe, counts=metrics.numbers)
