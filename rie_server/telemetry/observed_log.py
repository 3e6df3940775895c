"""The log of an environment that extensions may listen to: tells the log itself first, then the subscribers.

When initialization ends without a subscriber the log itself goes on alone (``settled`` returns it), so an
environment that nobody listens to pays nothing. Thread-safe as far as the log is; subscribers see one order.
"""

from collections.abc import Callable, Sequence

from rie_server.model.environment import MANAGED_INSTANCES, ON_DEMAND
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport, RuntimeAnswer
from rie_server.model.log_record import LogRecord
from rie_server.model.telemetry_subscription import Subscribable, Subscription
from rie_server.model.tracing import InvocationSegments
from rie_server.ports import Clock, EnvironmentLog
from rie_server.telemetry import platform_events
from rie_server.telemetry.environment_telemetry import EnvironmentTelemetry
from rie_server.telemetry.platform_events import PlatformEvent
from rie_server.telemetry.told_invocation import ToldInvocation


class ObservedLog:
    """
    Args:
        on_close: called when the environment has ended, or goes on without subscribers.
    """

    is_observed = True

    def __init__(
        self,
        inner: EnvironmentLog,
        telemetry: EnvironmentTelemetry,
        *,
        function: FunctionVersion,
        environment_id: str,
        clock: Clock,
        on_close: Callable[[], None],
    ) -> None:
        self._inner = inner
        self.stream_name = inner.stream_name
        self._telemetry = telemetry
        self._function = function
        self._environment_id = environment_id
        self._clock = clock
        self._on_close = on_close
        self._initialization_type = ON_DEMAND
        self._running: dict[str, ToldInvocation] = {}

    # --- initialization -------------------------------------------------------------------------------------------

    def init_started(self, initialization_type: str = ON_DEMAND) -> None:
        self._initialization_type = initialization_type
        self._inner.init_started(initialization_type)
        event = platform_events.init_start(
            self._function, self._environment_id, initialization_type=initialization_type
        )
        self._telemetry.platform(event)

    def init_ended(self, *, duration_ms: float, phase: str) -> None:
        self._inner.init_ended(duration_ms=duration_ms, phase=phase)
        self._tell_init(duration_ms, phase, "success", None)

    def restore_started(self) -> None:
        self._inner.restore_started()
        self._telemetry.platform(platform_events.restore_start(self._function, self._environment_id))

    def restore_ended(self, *, duration_ms: float, status: str, error_type: str | None) -> None:
        self._inner.restore_ended(duration_ms=duration_ms, status=status, error_type=error_type)
        for event in platform_events.restore_ends(duration_ms=duration_ms, status=status, error_type=error_type):
            self._telemetry.platform(event)

    def settled(self) -> EnvironmentLog:
        self._telemetry.end_init()
        if self._telemetry.is_wanted:
            return self
        self._on_close()
        return self._inner.settled()

    def init_failed(self, *, duration_ms: float, phase: str, status: str, error_type: str | None) -> None:
        self._inner.init_failed(duration_ms=duration_ms, phase=phase, status=status, error_type=error_type)
        self._tell_init(duration_ms, phase, status, error_type)
        self._telemetry.end_init()

    def _tell_init(self, duration_ms: float, phase: str, status: str, error_type: str | None) -> None:
        for event in platform_events.init_ends(
            duration_ms=duration_ms,
            phase=phase,
            status=status,
            error_type=error_type,
            initialization_type=self._initialization_type,
        ):
            self._telemetry.platform(event)

    # --- invocations ----------------------------------------------------------------------------------------------

    def started(
        self,
        request_id: str,
        *,
        want_tail: bool,
        trace_header: str = "",
        segments: InvocationSegments | None = None,
        tenant_id: str | None = None,
    ) -> None:
        self._inner.started(
            request_id, want_tail=want_tail, trace_header=trace_header, segments=segments, tenant_id=tenant_id
        )
        tracing = platform_events.trace_context(trace_header, segments)
        self._running[request_id] = ToldInvocation(request_id, tracing, self._clock, tenant_id=tenant_id)
        self._telemetry.platform(platform_events.start(request_id, self._function.version, tracing, tenant_id))

    def output(self, line: bytes) -> None:
        self._inner.output(line)
        self._telemetry.line("function", line.decode("utf-8", "replace"))

    def record(self, record: LogRecord) -> None:
        self._inner.record(record)
        self._telemetry.line("function", record.text.decode("utf-8", "replace"), record.at_epoch_seconds)

    def answered(self, answer: RuntimeAnswer) -> None:
        self._inner.answered(answer)
        self._told(answer.request_id).answered(answer)

    def runtime_ready(self) -> None:
        """Before the invocation is over: an extension may wait for ``runtimeDone`` until it asks for its next event."""
        if not self._is_shared:
            for told in tuple(self._running.values()):
                self._tell(told.ready())

    def finished(self, report: InvocationReport) -> bytes:
        tail = self._inner.finished(report)
        told = self._told(report.request_id)
        self._running.pop(report.request_id, None)
        if not self._is_shared:
            self._tell(told.ended(report))
        if report.status is not None:
            self._tell(platform_events.fault(report))
        self._tell(platform_events.end(report.request_id))
        spans = told.answer_spans() if self._is_shared else told.extension_spans(report)
        memory_size_mb = None if self._is_shared else self._function.memory_size_mb
        self._tell(platform_events.report(report, memory_size_mb, spans, told.tracing))
        return tail

    def _told(self, request_id: str) -> ToldInvocation:
        return self._running.get(request_id) or ToldInvocation(request_id, None, self._clock)

    @property
    def _is_shared(self) -> bool:
        """Several invocations run here at a time: then there is no ``runtimeDone``, as in AWS."""
        return self._initialization_type == MANAGED_INSTANCES

    def _tell(self, event: PlatformEvent | None) -> None:
        if event is not None:
            self._telemetry.platform(event)

    # --- extensions -----------------------------------------------------------------------------------------------

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str | None) -> None:
        self._inner.extension(name, state, events, error_type)
        self._telemetry.platform(platform_events.extension(name, state, events, error_type))

    def extension_output(self, line: bytes) -> None:
        self._inner.extension_output(line)
        self._telemetry.line("extension", line.decode("utf-8", "replace"))

    def subscribe(self, name: str, subscription: Subscription) -> bool:
        """See ``observing.TelemetrySubscriptions``."""
        is_new = self._telemetry.subscribe(name, subscription)
        kind = "logs" if subscription.api is Subscribable.LOGS else "telemetry"
        self.subscribed(kind, name, "Subscribed" if is_new else "Already subscribed", subscription.types)
        return is_new

    def subscribed(self, kind: str, name: str, state: str, types: Sequence[str]) -> None:
        self._inner.subscribed(kind, name, state, types)
        self._telemetry.platform(platform_events.subscription(kind, name, state, types))

    def flush(self) -> None:
        self._telemetry.flush()

    def close(self) -> None:
        self._inner.close()
        self._on_close()
        self._telemetry.close()
