"""Composition root, second page: which kind of event source has which poller, and who looks at a source beforehand.

A kind that is missing here is refused by nobody and polled by nobody: its mappings say so as their last result.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rie_server.api.rie_api.mappings import MappingOperations
from rie_server.aws_clients import ServiceClients
from rie_server.config import Settings
from rie_server.model.event_source import SourceKind
from rie_server.pollers.broker_pollers import BrokerPollers
from rie_server.pollers.change_stream_pollers import ChangeStreamPollers
from rie_server.pollers.mappings import EventSourceMappings, FunctionExists
from rie_server.polling import CheckpointStore, MakePoller, PollObserver, SourceInspector
from rie_server.ports import Clock, Destinations, FunctionCatalog, Invoker
from rie_server.sources.access import BrokerAccess
from rie_server.sources.broker_sources import BrokerSources, ClusterSources
from rie_server.sources.cluster_access import ClusterAccess
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
        brokers: Amazon MQ.
        clusters: DocumentDB.
    """

    invoker: Invoker
    catalog: FunctionCatalog
    observer: PollObserver
    checkpoints: CheckpointStore
    destinations: Destinations
    clock: Clock
    real: Clock
    brokers: BrokerSources
    clusters: ClusterSources


def poller_makers(tools: PollerTools) -> Mapping[SourceKind, MakePoller]:
    """What makes the poller of a mapping, by the kind of its source."""
    return {
        SourceKind.MQ: BrokerPollers(
            make_source=tools.brokers,
            invoker=tools.invoker,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
        ),
        SourceKind.DOCUMENTDB: ChangeStreamPollers(
            make_source=tools.clusters,
            invoker=tools.invoker,
            checkpoints=tools.checkpoints,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
        ),
    }


def source_inspectors(tools: PollerTools) -> Mapping[SourceKind, SourceInspector]:
    """Who looks at a source before a mapping to it is created; a kind that is missing is taken at its word."""
    return {SourceKind.MQ: tools.brokers, SourceKind.DOCUMENTDB: tools.clusters}


def make_mappings(
    database: Database,
    *,
    settings: Settings,
    invoker: Invoker,
    catalog: FunctionCatalog,
    function_exists: FunctionExists,
    destinations: Destinations,
    metrics: PollMetrics,
    clock: Clock,
    real: Clock,
) -> EventSourceMappings:
    clients = ServiceClients()
    tools = PollerTools(
        invoker=invoker,
        catalog=catalog,
        observer=metrics,
        checkpoints=DatabaseCheckpointStore(database),
        destinations=destinations,
        clock=clock,
        real=real,
        brokers=BrokerSources(BrokerAccess(clients, dict(settings.mq_endpoints)), clock=real, server_time=clock),
        clusters=ClusterSources(ClusterAccess(clients, dict(settings.documentdb_endpoints)), clock=real),
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
