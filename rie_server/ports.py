"""Every Protocol, on one page: where stages and adapters meet.

A stage (``invoke``, ``events``, ``registry``, ``telemetry``) holds ports, never another stage; an adapter
(``executors``, ``stores``) fills one; ``wiring`` alone knows which. The ports of those who only watch
(what becomes of events and invocations) are on a second page, ``observing``, those of event source mappings on a third,
``polling``, and the stores on a fourth, ``storing``.

Unless a port says otherwise its methods may be called from any thread.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from rie_server.model.arn import FunctionArn
from rie_server.model.delivery import Delivery
from rie_server.model.environment import ON_DEMAND, EnvironmentExit, EnvironmentSpec
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationReport, InvokeRequest, InvokeResult, RuntimeAnswer
from rie_server.model.log_record import LogRecord
from rie_server.model.tracing import InvocationSegments

# --- time -------------------------------------------------------------------------------------------------------------


class Timer(Protocol):
    def cancel(self) -> None:
        """The callback does not start any more; harmless when it has run."""


class Clock(Protocol):
    """The only way to read the time or to wait."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Runs ``callback`` on the clock's own thread. It must not block."""

    def sleep(self, seconds: float) -> None: ...


# --- running functions ------------------------------------------------------------------------------------------------


class Invoker(Protocol):
    """The one way to run a function."""

    def invoke(self, request: InvokeRequest, on_result: Callable[[InvokeResult], None]) -> None:
        """Runs a function once and calls ``on_result`` exactly once, from any thread; returns at once.

        Raises:
            LambdaError: the invocation was refused before it began: ResourceNotFoundException,
                ResourceConflictException (Pending), TooManyRequestsException.

        ``on_result`` also receives invocations that were accepted and then could not be placed; see
        ``InvokeResult.function_error``.
        """


class FunctionCatalog(Protocol):
    """What the engine asks of the control plane."""

    def resolve(self, function: FunctionArn) -> FunctionVersion:
        """The version that ``function`` (with its qualifier, or $LATEST) means now; each call for an alias with weights
        may mean another one.

        Raises:
            ResourceNotFoundException: ``Function not found: ARN``.
            ResourceConflictException: the function is Pending or Failed.
        """

    def allows_recursion(self, function: FunctionArn) -> bool:
        """Whether the function may go on invoking itself (``RecursiveLoop: Allow``)."""


class EnvironmentObserver(Protocol):
    """Told by an executor what happens in an environment. Called from the executor's threads; must not block."""

    def on_output(self, line: bytes) -> None:
        """One line of stdout or stderr, without its newline; at most 256 KB (longer ones arrive in pieces)."""

    def on_record(self, record: LogRecord) -> None:
        """One record that the runtime has written as a whole, in order with the lines around it."""

    def on_exit(self, exit_: EnvironmentExit) -> None:
        """The runtime process has ended by itself or was killed. Exactly once, after its last ``on_output``."""

    def on_extensions(self, names: Sequence[str]) -> None:
        """External extensions with these names are about to be started. At most once, and before the first of them;
        the runtime waits for ``RunningEnvironment.start_runtime``.
        """

    def on_extension_output(self, line: bytes) -> None:
        """Like ``on_output``, of any of the external extensions."""

    def on_extension_exit(self, name: str, exit_: EnvironmentExit) -> None:
        """The process of an external extension has ended, or could not be started. Once for each."""


class RunningEnvironment(Protocol):
    def flush_output(self) -> None:
        """Delivers to ``on_output`` what has been written so far. Cheap: called at the end of every invocation."""

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        """Highest resident memory since start, in MB, rounded up; 0 when it cannot be known.

        Args:
            max_age_seconds: a reading that was taken within this time may be given again.
        """

    def start_runtime(self) -> None:
        """Starts the runtime of an environment with external extensions, which were started before it. May block.

        Raises:
            EnvironmentStartError: as ``Executor.start``.
        """

    def end_runtime(self, *, grace_seconds: float) -> None:
        """Sends SIGTERM to the runtime, and SIGKILL after the grace; extensions go on. The end is told as ever."""

    def freeze(self) -> None:
        """Stops every process of the environment for a while. May block. Harmless when it is frozen or has ended."""

    def thaw(self) -> None:
        """The opposite. ``stop`` needs none before it, ``end_runtime`` does."""

    def stop(self) -> None:
        """Ends every process of the environment (SIGKILL) and frees what it held (addresses, folders, containers).

        Returns at once. Idempotent.
        """


class Executor(Protocol):
    """Starts execution environments. One contract suite (``tests/contract/test_executors.py``) over all of them."""

    name: str

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> RunningEnvironment:
        """Starts the runtime, or the external extensions of a function that has some; may block (called from a worker
        thread). They find the Runtime API at an address
        by which ``RuntimeEndpoints`` knows it.

        Raises:
            EnvironmentStartError: bad entry point, missing image, full disk, ...
        """

    def supports(self, function: FunctionVersion) -> str | None:
        """None when this executor can run ``function``, otherwise the reason in words for a person."""

    def remove_orphans(self) -> int:
        """Ends whatever an earlier, crashed server with the same data folder left; returns how many."""

    def close(self) -> None:
        """Stops every environment that still runs and joins the executor's threads."""


class ImagePreparer(Protocol):
    """The part of an executor that can make a container image ready before the first invocation."""

    def prepare_image(self, image_uri: str) -> str:
        """Pulls the image unless it is there; returns its digest (``sha256:...``).

        Raises:
            EnvironmentStartError: no such image, no access, no engine.
        """


class RuntimeEndpoints(Protocol):
    """How environments reach the Runtime API and are told apart (``api/runtime_api/identity.py``)."""

    def open_address(self, environment_id: str) -> str:
        """A loopback ``host:port`` of this environment's own that listens until ``close``."""

    def register_host(self, environment_id: str, host_name: str, source_address: str | None) -> str:
        """``host:port`` for a container that will call by ``host_name``. Calls from elsewhere than
        ``source_address`` (once known) are refused; register again to set it.
        """

    def close(self, environment_id: str) -> None:
        """Forgets the environment and closes its listener. Idempotent."""


# --- logs and measurements --------------------------------------------------------------------------------------------


class EnvironmentLog(Protocol):
    """The log stream of one environment: output is attributed to the invocation that runs.

    Attributes:
        stream_name: of the log stream, as the runtime is told.
        is_observed: somebody is to be told of ``answered`` and ``runtime_ready``; asked at each invocation.
    """

    stream_name: str
    is_observed: bool

    def init_started(self, initialization_type: str = ON_DEMAND) -> None: ...

    def init_ended(self, *, duration_ms: float, phase: str) -> None:
        """Initialization has succeeded."""

    def settled(self) -> "EnvironmentLog":
        """The environment is ready, and nobody can subscribe any more. Returns the log to go on with."""

    def init_failed(self, *, duration_ms: float, phase: str, status: str, error_type: str | None) -> None: ...

    def restore_started(self) -> None:
        """An environment with SnapStart is told that it has been restored."""

    def restore_ended(self, *, duration_ms: float, status: str, error_type: str | None) -> None:
        """Its runtime has gone on, or has failed; ``status`` is ``success``, ``error`` or ``timeout``."""

    def started(
        self,
        request_id: str,
        *,
        want_tail: bool,
        trace_header: str = "",
        segments: InvocationSegments | None = None,
        tenant_id: str | None = None,
    ) -> None: ...

    def output(self, line: bytes) -> None: ...

    def record(self, record: LogRecord) -> None:
        """What the function has logged through its runtime."""

    def extension(self, name: str, state: str, events: Sequence[str], error_type: str | None) -> None:
        """An extension has come to ``state`` (``Registered``, ``Ready``, ...)."""

    def extension_output(self, line: bytes) -> None: ...

    def subscribed(self, kind: str, name: str, state: str, types: Sequence[str]) -> None:
        """An extension has subscribed to ``telemetry`` or ``logs``."""

    def answered(self, answer: RuntimeAnswer) -> None:
        """The runtime has answered the invocation that runs; ``finished`` follows."""

    def runtime_ready(self) -> None:
        """After its answer the runtime has asked for the next invocation."""

    def finished(self, report: InvocationReport) -> bytes:
        """Writes END and REPORT; returns the invocation's last 4 KB from START on (``X-Amz-Log-Result``) if wanted."""

    def flush(self) -> None:
        """The environment is about to end: subscribers get at once what waits for them."""

    def close(self) -> None: ...


class LogFactory(Protocol):
    def open(self, function: FunctionVersion, environment_id: str) -> EnvironmentLog: ...


# --- asynchronous invocation ------------------------------------------------------------------------------------------


OnDurable = Callable[[Exception | None], None]


class EventQueue(Protocol):
    def submit(self, request: InvokeRequest, on_durable: OnDurable) -> None:
        """Returns at once; ``on_durable`` is called when the event cannot be lost any more."""


class EventInvokeConfigs(Protocol):
    """What the control plane says about asynchronous invocation."""

    def event_invoke_config(self, function: FunctionArn) -> EventInvokeConfig:
        """For the qualifier that was invoked; AWS's defaults where nothing was configured. Of a function, version or
        alias that was deleted, what held last: its events go where it said.
        """


class Destinations(Protocol):
    """Where the records of events that have ended go: SQS, SNS, EventBridge, S3, or a function here."""

    def deliver(self, delivery: Delivery) -> None:
        """Sends one record; blocks, bounded by the adapter's own timeouts (30 s in all).

        Raises:
            DeliveryError: the target refused it or could not be reached; ``passes`` tells whether to try again.
        """
