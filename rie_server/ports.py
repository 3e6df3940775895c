"""Every Protocol, on one page: where stages and adapters meet.

A stage (``invoke``, ``events``, ``registry``, ``telemetry``) holds ports, never another stage; an adapter
(``executors``, ``stores``) fills one; ``wiring`` alone knows which. The ports of those who only watch
(what becomes of events and invocations) are on a second page, ``observing``.

Unless a port says otherwise its methods may be called from any thread.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rie_server.limits import ZIP_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.environment import EnvironmentExit, EnvironmentSpec
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function import FunctionVersion
from rie_server.model.function_code import StoredCode
from rie_server.model.invocation import InvocationReport, InvokeRequest, InvokeResult

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

    def on_exit(self, exit_: EnvironmentExit) -> None:
        """The runtime process has ended by itself or was killed. Exactly once, after its last ``on_output``."""


class RunningEnvironment(Protocol):
    def flush_output(self) -> None:
        """Delivers to ``on_output`` what has been written so far. Cheap: called at the end of every invocation."""

    def peak_memory_mb(self, *, max_age_seconds: float = 0.0) -> int:
        """Highest resident memory since start, in MB, rounded up; 0 when it cannot be known.

        Args:
            max_age_seconds: a reading that was taken within this time may be given again.
        """

    def stop(self, *, grace_seconds: float = 0.0) -> None:
        """Ends every process of the environment and frees what it held (addresses, folders, containers).

        Returns at once when ``grace_seconds`` is 0 (SIGKILL); otherwise sends SIGTERM first. Idempotent.
        """


class Executor(Protocol):
    """Starts execution environments. One contract suite (``tests/contract/test_executors.py``) over all of them."""

    name: str

    def start(self, spec: EnvironmentSpec, observer: EnvironmentObserver) -> RunningEnvironment:
        """Starts the runtime; may block (called from a worker thread). The runtime finds the Runtime API at an address
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
    """The log stream of one environment: output is attributed to the invocation that runs."""

    def init_started(self) -> None: ...

    def init_failed(self, *, duration_ms: float, phase: str, status: str, error_type: str | None) -> None: ...

    def started(self, request_id: str, *, want_tail: bool) -> None: ...

    def output(self, line: bytes) -> None: ...

    def finished(self, report: InvocationReport) -> bytes:
        """Writes END and REPORT; returns the invocation's last 4 KB from START on (``X-Amz-Log-Result``) if wanted."""

    def close(self) -> None: ...


class LogFactory(Protocol):
    def open(self, function: FunctionVersion, environment_id: str) -> EnvironmentLog: ...


# --- stores -----------------------------------------------------------------------------------------------------------


class FunctionStore(Protocol):
    """Durable control-plane records, one JSON document per key: an unqualified function ARN, or that of a deleted
    function after a word that tells so.
    """

    def load(self) -> Mapping[str, Mapping[str, Any]]:
        """All documents by key; called once, at start."""

    def has(self, key: str) -> bool:
        """Whether there is such a document now, whoever has saved it."""

    def save(self, key: str, document: Mapping[str, Any]) -> None:
        """Inserts or replaces; returns after the commit is durable."""

    def delete(self, key: str) -> None: ...


class CodeStore(Protocol):
    """Function code by content: the same zip is kept once."""

    def put(self, zip_bytes: bytes, *, zip_limit_bytes: int = ZIP_BYTES) -> StoredCode:
        """Checks and stores a zip, and unpacks it.

        Args:
            zip_limit_bytes: AWS's limit is for zips in a request; one from S3 may be as large as it unpacks to.

        Raises:
            RequestEntityTooLargeException: larger than ``zip_limit_bytes``.
            InvalidParameterValueException: not a zip, unsafe names (zip slip), or larger than 250 MB unpacked.
            ServiceException: it cannot be stored, for example because the disk is full.
        """

    def directory(self, sha256: str) -> Path:
        """The unpacked code, world-readable; unpacked again if it was lost."""

    def read_zip(self, sha256: str) -> bytes: ...

    def delete_unreferenced(self, referenced: Sequence[str]) -> None:
        """Removes every zip that is not among ``referenced``. The caller sees to it that no code is being put whose
        record is still to be saved.
        """


OnDurable = Callable[[Exception | None], None]


class EventStore(Protocol):
    """The durable queue behind ``InvocationType=Event``. Leases run by a clock that all its users share.

    ``add``, ``save`` and ``remove`` return at once; ``on_durable`` is called after the commit (or with what went
    wrong), once, from the store's thread, and must not block. Other methods block, and see what was durable by then.
    """

    def add(self, event: QueuedEvent, on_durable: OnDurable) -> None:
        """Queues an event, due at once."""

    def lanes(self) -> Mapping[str, float]:
        """Lanes that have unclaimed events, and when the first of each is due. Cheap, however many events there are."""

    def claim(
        self, owner: str, allotted: Mapping[str, int], *, now: float, lease_seconds: float
    ) -> Sequence[QueuedEvent]:
        """Takes up to ``allotted`` unclaimed events of each lane, due at ``now``, oldest first, for ``owner``."""

    def save(self, event: QueuedEvent, owner: str, due_at: float | None, on_durable: OnDurable) -> None:
        """Writes how an event stands; gives it back, due at ``due_at``, or with None leaves it claimed. ``on_durable``
        gets a LeaseLostError, and nothing has changed, where ``owner`` does not hold the event.
        """

    def remove(self, request_id: str, owner: str, on_durable: OnDurable) -> None:
        """Harmless where ``owner`` does not hold the event."""

    def renew(self, owner: str, lease_seconds: float) -> None:
        """All claims of ``owner`` last for ``lease_seconds`` from now."""

    def release(self, is_gone: Callable[[str], bool]) -> int:
        """Ends claims whose owner is gone and claims whose lease has expired; returns how many."""

    def __iter__(self) -> Iterator[QueuedEvent]:
        """All events, claimed or not, oldest first."""


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


class ObjectStorage(Protocol):
    """S3, for function code."""

    def get(self, bucket: str, key: str, version: str | None, *, region: str) -> bytes:
        """The object's bytes.

        Raises:
            InvalidParameterValueException: AWS's words for NoSuchKey, NoSuchBucket, AccessDenied.
        """
