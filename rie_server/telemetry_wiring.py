"""The composition root's page about telemetry: who writes logs, and who listens to what happens in environments."""

from rie_server.api.runtime_api.identity import EnvironmentIdentities
from rie_server.api.runtime_api.telemetry import TelemetryApi
from rie_server.aws_clients import ServiceClients
from rie_server.config import Settings
from rie_server.exporters.cloudwatch_logs import CloudWatchLogs
from rie_server.exporters.environment_listeners import EnvironmentListeners
from rie_server.exporters.traces import DaemonSender, OtlpSender, Send, TraceExporter
from rie_server.observing import ExtensionDirectory
from rie_server.ports import Clock, LogFactory
from rie_server.telemetry.logs import LogWriter
from rie_server.telemetry.subscriptions import Subscriptions


class TelemetryWiring:
    """
    Attributes:
        logs: opens the logs of environments.
        traces: None where nobody takes any.
    """

    def __init__(self, settings: Settings, *, identities: EnvironmentIdentities, clock: Clock) -> None:
        self._identities = identities
        self._cloudwatch = (
            CloudWatchLogs(clients=ServiceClients(), clock=clock) if settings.log_delivery == "cloudwatch" else None
        )
        self._writer = LogWriter(directory=settings.data_dir / "logs", clock=clock, delivery=self._cloudwatch)
        self._subscriptions = Subscriptions(
            logs=self._writer, clock=clock, connector=EnvironmentListeners(identities.addresses_of)
        )
        self.traces = make_traces(settings, clock)
        self.logs: LogFactory = self._subscriptions

    def api(self, extensions: ExtensionDirectory) -> TelemetryApi:
        return TelemetryApi(identities=self._identities, extensions=extensions, subscriptions=self._subscriptions)

    def start(self) -> None:
        self._writer.start()
        if self._cloudwatch is not None:
            self._cloudwatch.start()
        if self.traces is not None:
            self.traces.start()

    def close(self) -> None:
        """After the last environment has ended."""
        self._writer.close()
        if self._cloudwatch is not None:
            self._cloudwatch.close()
        if self.traces is not None:
            self.traces.close()


def make_traces(settings: Settings, clock: Clock) -> TraceExporter | None:
    """None where nobody takes any."""
    senders: list[Send] = []
    if settings.xray_daemon_address:
        host, _, port = settings.xray_daemon_address.rpartition(":")
        senders.append(DaemonSender(host, int(port)))
    if settings.otlp_endpoint:
        senders.append(OtlpSender(settings.otlp_endpoint))
    return TraceExporter(senders=senders, clock=clock) if senders else None
