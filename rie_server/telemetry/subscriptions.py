"""Which environment has which subscribers: opens the logs that extensions may listen to, and takes subscriptions.

Fills ``ports.LogFactory`` around another one, and ``observing.TelemetrySubscriptions``. Thread-safe.
"""

import threading
from functools import partial

from rie_server.model.function import FunctionVersion
from rie_server.model.telemetry_subscription import Subscription, subscription_closed
from rie_server.observing import TelemetryConnector
from rie_server.ports import Clock, EnvironmentLog, LogFactory
from rie_server.telemetry.environment_telemetry import EnvironmentTelemetry
from rie_server.telemetry.observed_log import ObservedLog
from rie_server.telemetry.subscriber import Subscriber


class Subscriptions:
    """
    Args:
        logs: opens the logs that are listened to.
        connector: leads into environments.
    """

    def __init__(self, *, logs: LogFactory, clock: Clock, connector: TelemetryConnector) -> None:
        self._logs = logs
        self._clock = clock
        self._connector = connector
        self._lock = threading.Lock()
        self._by_environment: dict[str, ObservedLog] = {}

    def open(self, function: FunctionVersion, environment_id: str) -> EnvironmentLog:
        telemetry = EnvironmentTelemetry(
            now=self._clock.now,
            is_json=function.log_settings.is_json,
            make_subscriber=partial(self._connect, environment_id),
        )
        log = ObservedLog(
            self._logs.open(function, environment_id),
            telemetry,
            function=function,
            environment_id=environment_id,
            clock=self._clock,
            on_close=partial(self._forget, environment_id),
        )
        with self._lock:
            self._by_environment[environment_id] = log
        return log

    def subscribe(self, environment_id: str, extension_name: str, subscription: Subscription) -> bool:
        with self._lock:
            log = self._by_environment.get(environment_id)
        if log is None:
            raise subscription_closed(subscription.api)
        return log.subscribe(extension_name, subscription)

    def _connect(self, environment_id: str, name: str, subscription: Subscription) -> Subscriber:
        return Subscriber(
            name=name,
            subscription=subscription,
            connection=self._connector.connect(environment_id, subscription.listener),
            clock=self._clock,
            label=environment_id[:8],
        )

    def _forget(self, environment_id: str) -> None:
        with self._lock:
            self._by_environment.pop(environment_id, None)
