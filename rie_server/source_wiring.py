"""Composition root, second page: which kind of event source has which poller, and who looks at a source beforehand.

A kind that is missing here is refused by nobody and polled by nobody: its mappings say so as their last result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from rie_server.api.rie_api.mappings import MappingOperations
from rie_server.aws_clients import ServiceClients
from rie_server.errors import LambdaError
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.pollers.mappings import EventSourceMappings, FunctionExists
from rie_server.pollers.queue_pollers import SqsPollers
from rie_server.pollers.stream import StreamPollers
from rie_server.polling import CheckpointStore, MakePoller, PollObserver, SourceInspector, StreamSource
from rie_server.ports import Clock, Destinations, FunctionCatalog, Invoker
from rie_server.sources.dynamodb_streams import DynamoDbStreamSource
from rie_server.sources.kinesis import KinesisSource
from rie_server.sources.sqs import SqsSource
from rie_server.sources.sqs_inspector import SqsInspector
from rie_server.sources.stream_inspector import StreamInspector
from rie_server.stores.checkpoints import DatabaseCheckpointStore
from rie_server.stores.database import Database
from rie_server.stores.mappings import DatabaseMappingStore
from rie_server.telemetry.poll_metrics import PollMetrics

LONG_POLL_SECONDS = 20.0
QUEUE_CONNECTIONS = 1000
STREAM_CONNECTIONS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PollerTools:
    """What pollers are made with.

    Attributes:
        clock: the server's time, for what AWS calls a window, an age or a backoff.
        real: for deadlines, long polls and drains.
        invocations_most: that this server can run at a time.
        queue_clients: of SQS; each poller that waits for messages holds a connection.
        stream_clients: of Kinesis and DynamoDB Streams.
    """

    invoker: Invoker
    catalog: FunctionCatalog
    observer: PollObserver
    checkpoints: CheckpointStore
    destinations: Destinations
    clock: Clock
    real: Clock
    invocations_most: int
    queue_clients: ServiceClients
    stream_clients: ServiceClients


def poller_makers(tools: PollerTools) -> Mapping[SourceKind, MakePoller]:
    """What makes the poller of a mapping, by the kind of its source."""
    return {
        SourceKind.SQS: SqsPollers(
            make_source=partial(_sqs_source, tools),
            invoker=tools.invoker,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
            batches_most=tools.invocations_most,
        ),
        SourceKind.KINESIS: _stream_pollers(tools, partial(_kinesis_source, tools)),
        SourceKind.DYNAMODB: _stream_pollers(tools, partial(_dynamodb_source, tools)),
    }


def _sqs_source(tools: PollerTools, mapping: EventSourceMapping) -> SqsSource:
    return SqsSource(mapping.source_arn or "", clients=tools.queue_clients, real=tools.real)


def _stream_pollers(tools: PollerTools, source_of: Callable[[EventSourceMapping], StreamSource]) -> StreamPollers:
    return StreamPollers(
        source_of=source_of,
        invoker=tools.invoker,
        checkpoints=tools.checkpoints,
        destinations=tools.destinations,
        observer=tools.observer,
        clock=tools.clock,
        real=tools.real,
    )


def _kinesis_source(tools: PollerTools, mapping: EventSourceMapping) -> KinesisSource:
    return KinesisSource(
        mapping.source_arn or "", role=partial(_role, tools.catalog, mapping.function), clients=tools.stream_clients
    )


def _role(catalog: FunctionCatalog, function: FunctionArn) -> str:
    """Of the function, if there is one now: without it no event is sent anyway."""
    try:
        return catalog.resolve(function).role
    except LambdaError:
        return ""


def _dynamodb_source(tools: PollerTools, mapping: EventSourceMapping) -> DynamoDbStreamSource:
    return DynamoDbStreamSource(mapping.source_arn or "", clients=tools.stream_clients)


def source_inspectors(tools: PollerTools) -> Mapping[SourceKind, SourceInspector]:
    """Who looks at a source before a mapping to it is created; a kind that is missing is taken at its word."""
    return {
        SourceKind.SQS: SqsInspector(clients=tools.queue_clients, catalog=tools.catalog, real=tools.real),
        SourceKind.KINESIS: StreamInspector(partial(_kinesis_source, tools)),
        SourceKind.DYNAMODB: StreamInspector(partial(_dynamodb_source, tools)),
    }


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
    invocations_most: int,
) -> EventSourceMappings:
    tools = PollerTools(
        invoker=invoker,
        catalog=catalog,
        observer=metrics,
        checkpoints=DatabaseCheckpointStore(database),
        destinations=destinations,
        clock=clock,
        real=real,
        invocations_most=invocations_most,
        queue_clients=ServiceClients(long_poll_seconds=LONG_POLL_SECONDS, connections=QUEUE_CONNECTIONS),
        stream_clients=ServiceClients(connections=STREAM_CONNECTIONS, plain_timestamps=True),
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
