"""Composition root: which kind of event source has which poller, and who looks at a source beforehand.

Imported for the first mapping of a server (``source_wiring``): it brings all pollers and sources with it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property

from rie_server.errors import LambdaError, SourceError
from rie_server.model.event_source import EventSourceMapping, SourceKind
from rie_server.pollers.broker_pollers import BrokerPollers
from rie_server.pollers.change_stream_pollers import ChangeStreamPollers
from rie_server.pollers.partition_pollers import PartitionPollers
from rie_server.pollers.queue_pollers import SqsPollers
from rie_server.pollers.stream import StreamPollers
from rie_server.polling import (
    MakePoller,
    PartitionSource,
    SourceInspector,
    StreamSource,
)
from rie_server.source_clients import PollerTools
from rie_server.sources.access import BrokerAccess
from rie_server.sources.broker_sources import BrokerSources, ClusterSources
from rie_server.sources.cluster_access import ClusterAccess
from rie_server.sources.dynamodb_streams import DynamoDbStreamSource
from rie_server.sources.kafka_access import KafkaAccess
from rie_server.sources.kinesis import KinesisSource
from rie_server.sources.kinesis_fan_out import FanOutSource
from rie_server.sources.sqs import SqsSource
from rie_server.sources.sqs_inspector import SqsInspector
from rie_server.sources.stream_inspector import StreamInspector


class SourceKinds:
    """The pollers and inspectors of every kind, by the kind."""

    def __init__(self, tools: PollerTools) -> None:
        self._tools = tools
        settings, clients = tools.settings, tools.clients.calls
        self._brokers = BrokerSources(
            BrokerAccess(clients, dict(settings.mq_endpoints)), clock=tools.real, server_time=tools.clock
        )
        self._clusters = ClusterSources(ClusterAccess(clients, dict(settings.documentdb_endpoints)), clock=tools.real)
        self._kafka_access = KafkaAccess(clients, dict(settings.msk_bootstrap_servers))

    @cached_property
    def makers(self) -> Mapping[SourceKind, MakePoller]:
        kafka = self._kafka()
        return {
            SourceKind.SQS: self._sqs(),
            SourceKind.KINESIS: self._streams(self._kinesis_source),
            SourceKind.DYNAMODB: self._streams(self._dynamodb_source),
            SourceKind.MSK: kafka,
            SourceKind.SELF_MANAGED_KAFKA: kafka,
            SourceKind.MQ: self._mq(),
            SourceKind.DOCUMENTDB: self._documentdb(),
        }

    @cached_property
    def inspectors(self) -> Mapping[SourceKind, SourceInspector]:
        tools = self._tools
        return {
            SourceKind.SQS: SqsInspector(clients=tools.clients.polls, catalog=tools.catalog, real=tools.real),
            SourceKind.KINESIS: StreamInspector(self._kinesis_source),
            SourceKind.DYNAMODB: StreamInspector(self._dynamodb_source),
            SourceKind.MQ: self._brokers,
            SourceKind.DOCUMENTDB: self._clusters,
        }

    def _sqs(self) -> MakePoller:
        tools = self._tools

        def make_source(mapping: EventSourceMapping) -> SqsSource:
            return SqsSource(mapping.source_arn or "", clients=tools.clients.polls, real=tools.real)

        return SqsPollers(
            make_source=make_source,
            invoker=tools.invoker,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
            batches_most=tools.invocations_most,
        )

    def _streams(self, source_of: Callable[[EventSourceMapping], StreamSource]) -> MakePoller:
        tools = self._tools
        return StreamPollers(
            source_of=source_of,
            invoker=tools.invoker,
            checkpoints=tools.checkpoints,
            destinations=tools.destinations,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
        )

    def _kinesis_source(self, mapping: EventSourceMapping) -> StreamSource:
        def role() -> str:
            """Of the function, if there is one now: without it no event is sent anyway."""
            with suppress(LambdaError):
                return self._tools.catalog.resolve(mapping.function).role
            return ""

        arn, clients = mapping.source_arn or "", self._tools.clients
        polled = KinesisSource(arn, role=role, clients=clients.streams)
        return FanOutSource(arn, polled=polled, clients=clients.pushes) if "/consumer/" in arn else polled

    def _dynamodb_source(self, mapping: EventSourceMapping) -> DynamoDbStreamSource:
        return DynamoDbStreamSource(mapping.source_arn or "", clients=self._tools.clients.streams)

    def _kafka(self) -> MakePoller:
        tools, access = self._tools, self._kafka_access

        def make_source(mapping: EventSourceMapping) -> PartitionSource:
            try:
                from rie_server.sources.kafka import KafkaSource  # noqa: PLC0415 - an extra
                from rie_server.sources.kafka_schemas import schema_decoding  # noqa: PLC0415
            except ImportError:
                raise SourceError(
                    "Kafka needs confluent-kafka: pip install 'rie-server[kafka]'", passes=False
                ) from None
            decode = schema_decoding(mapping, tools.clients.calls)
            return KafkaSource(mapping, lambda: access.enter(mapping), decode=decode)

        return PartitionPollers(
            make_source=make_source,
            invoker=tools.invoker,
            destinations=tools.destinations,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
        )

    def _mq(self) -> MakePoller:
        tools = self._tools
        return BrokerPollers(
            make_source=self._brokers,
            invoker=tools.invoker,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
        )

    def _documentdb(self) -> MakePoller:
        tools = self._tools
        return ChangeStreamPollers(
            make_source=self._clusters,
            invoker=tools.invoker,
            checkpoints=tools.checkpoints,
            observer=tools.observer,
            clock=tools.clock,
            real=tools.real,
        )
