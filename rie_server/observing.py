"""Ports of those who watch: the second page of ``ports``.

Observers are told what happens and change nothing; without them the server runs the same. Methods may be called from
any thread.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rie_server.errors import DeliveryError
from rie_server.model.arn import FunctionArn
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.event_invoke import EventEnding
from rie_server.model.event_progress import DeliveryOutcome, EventFilter, EventProgress
from rie_server.model.log_event import LogStreamAddress
from rie_server.model.telemetry_subscription import ListenerAddress, Subscription
from rie_server.model.traced_invocation import TracedInvocation


class InvocationObserver(Protocol):
    """Told what becomes of invocations, once each, on the road of every one of them: must take a microsecond, no lock
    that anybody else may hold for long, and never raise.
    """

    def invocation_ended(
        self, function: FunctionArn, *, duration_ms: float, failed: bool, provisioned: bool | None = None
    ) -> None:
        """The function has run; ``function`` as the caller named it, with its qualifier.

        Args:
            provisioned: whether it ran in an environment of provisioned concurrency; None where it has none.
        """

    def invocation_throttled(self, function: FunctionArn) -> None:
        """429: it was not run."""


class Unobserved:
    """The observer where nobody wants to know."""

    def invocation_ended(
        self, function: FunctionArn, *, duration_ms: float, failed: bool, provisioned: bool | None = None
    ) -> None: ...

    def invocation_throttled(self, function: FunctionArn) -> None: ...


class ConcurrencyCounts(Protocol):
    """How much runs now."""

    def running_by_function(self) -> Mapping[FunctionArn, int]:
        """Invocations that were admitted and have no result yet, by unqualified function."""

    @property
    def unreserved_running(self) -> int:
        """Those that run neither by a reservation nor on what their function has provisioned."""


class ProvisionedCounts(Protocol):
    """What provisioned concurrency does now."""

    def provisioned_by_function(self) -> Mapping[FunctionArn, tuple[int, int]]:
        """Of each version or alias that has some: how many of its environments work, and how many there are."""


class EventJournal(Protocol):
    """Told by the event worker what becomes of each asynchronous event.

    Called from any thread, with the event as it stands then; must not block and never raises. An event's calls come in
    this order: ``received`` (by this server or an earlier one), then for each attempt ``started`` and, unless it was
    the last, ``postponed``; then ``ending`` and ``ended``.
    """

    def received(self, event: QueuedEvent) -> None:
        """It is durable: its caller gets the 202 now."""

    def started(self, event: QueuedEvent) -> None:
        """This server has claimed it and gives it to the Invoker."""

    def postponed(self, event: QueuedEvent, due_at: float) -> None:
        """It is back in the queue, durably, and tried again at ``due_at``; ``event`` has the new counts."""

    def ending(self, event: QueuedEvent, ending: EventEnding) -> None:
        """It is not run again, and the worker sends its records."""

    def delivery_failed(self, delivery: Delivery, error: DeliveryError) -> None:
        """One attempt to send one record; there may be more."""

    def ended(self, event: QueuedEvent, ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> None:
        """It has left the queue, durably; ``outcomes`` has one entry for every record that was due."""


class Settling(Protocol):
    """Somebody who goes on working for a while after a timer has fired, on other threads.

    A clock that is moved by hand asks before it moves on, so that what one moment begins is over (and has set its next
    timers) before the next moment comes.
    """

    def is_settled(self) -> bool:
        """Whether nothing is in flight or about to be: what is left waits for the clock or for somebody outside."""


class EventSurvey(Protocol):
    """The queue as a person sees it; separate from ``EventStore`` because it reads no payloads."""

    def live_events(self, wanted: EventFilter, *, limit: int) -> Sequence[EventProgress]:
        """Events that have not ended, as far as they are durable, oldest first. Blocks."""


# --- logs -------------------------------------------------------------------------------------------------------------


class LogDelivery(Protocol):
    """Takes the logs of functions elsewhere."""

    def take(self, lines: Sequence[tuple[LogStreamAddress, float, str]]) -> None:
        """Lines in their order, each with its time in seconds since the epoch. Must not block."""


class TraceExport(Protocol):
    """Takes sampled invocations that have ended."""

    def take(self, traced: TracedInvocation) -> None:
        """Must not block."""


# --- telemetry inside an environment ----------------------------------------------------------------------------------


class ExtensionDirectory(Protocol):
    """Who the extensions of an environment are."""

    def subscriber(self, environment_id: str, identifier: str | None) -> str | None:
        """The name of the extension that calls with ``identifier``; None when its environment has been initialized, and
        nobody may subscribe any more.

        Raises:
            RuntimeApiError: 403 ``Extension...``: it has not registered.
        """


class TelemetrySubscriptions(Protocol):
    def subscribe(self, environment_id: str, extension_name: str, subscription: Subscription) -> bool:
        """From now on the extension gets what it has asked for, and before that what initialization has told so far.
        False where it has this very subscription already.

        Raises:
            RuntimeApiError: initialization is over, or the extension uses the other API.
        """


class TelemetryConnection(Protocol):
    """The way to one subscriber. One thread sends; ``close`` may come from another."""

    def send(self, events: Sequence[bytes]) -> None:
        """Delivers a batch of JSON documents; blocks, bounded by the adapter's own timeouts.

        Raises:
            OSError: it was not taken; try again.
        """

    def close(self) -> None:
        """Ends a ``send`` that is under way, too. Idempotent."""


class TelemetryConnector(Protocol):
    def connect(self, environment_id: str, listener: ListenerAddress) -> TelemetryConnection:
        """Nothing is connected before the first ``send``. It leads into the environment itself, never elsewhere."""
