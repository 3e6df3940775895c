"""What happens in one environment, told to its subscribers in the order in which it happens.

Extensions subscribe while the environment initializes, and each gets what initialization has told before it came. When
initialization is over nobody can come any more, and what was kept for late ones is forgotten.

Thread-safe; never blocks.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from rie_server.model.telemetry_subscription import Subscription, other_api_in_use, subscription_closed
from rie_server.telemetry.platform_events import PlatformEvent
from rie_server.telemetry.schemas import encoded, log_document, platform_document
from rie_server.telemetry.subscriber import Subscriber
from rie_server.telemetry.timestamps import iso_milliseconds

# Of initialization, for subscribers that come late; a function that prints more has the end of it dropped.
HISTORY_EVENTS = 10_000
HISTORY_BYTES = 1024 * 1024

MakeSubscriber = Callable[[str, Subscription], Subscriber]


@dataclass(frozen=True, slots=True)
class _Told:
    """Something that happened: ``what`` is a platform event, or a line of ``stream``."""

    stream: str
    what: PlatformEvent | str
    time: str


class EnvironmentTelemetry:
    """
    Args:
        is_json: the function logs in JSON.
        make_subscriber: connects a new subscriber; its thread has not been started.
    """

    def __init__(self, *, now: Callable[[], float], is_json: bool, make_subscriber: MakeSubscriber) -> None:
        self._now = now
        self._is_json = is_json
        self._make_subscriber = make_subscriber
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []
        self._history: list[_Told] | None = []
        self._history_bytes = 0

    @property
    def is_wanted(self) -> bool:
        return bool(self._subscribers)

    def platform(self, event: PlatformEvent) -> None:
        self._tell(_Told("platform", event, iso_milliseconds(self._now())), 0)

    def line(self, stream: str, text: str, at_epoch_seconds: float | None = None) -> None:
        """A line or record of the ``function`` or of an ``extension``; now, unless it says when."""
        at = self._now() if at_epoch_seconds is None else at_epoch_seconds
        self._tell(_Told(stream, text, iso_milliseconds(at)), len(text))

    def subscribe(self, name: str, subscription: Subscription) -> bool:
        """See ``observing.TelemetrySubscriptions``."""
        with self._lock:
            self._check(name, subscription)
            if any(one.name == name and one.subscription == subscription for one in self._subscribers):
                return False
            subscriber = self._make_subscriber(name, subscription)
            for told in self._history or ():
                self._offer(subscriber, told)
            self._subscribers.append(subscriber)
        subscriber.start()
        return True

    def end_init(self) -> None:
        """Nobody can subscribe from now on."""
        with self._lock:
            self._history = None

    def flush(self) -> None:
        """Subscribers get what waits for them now, not at the end of their batch."""
        for subscriber in tuple(self._subscribers):
            subscriber.flush()

    def close(self) -> None:
        """Ends every subscriber's thread; blocks until they have ended."""
        with self._lock:
            self._history = None
            subscribers, self._subscribers = self._subscribers, []
        for subscriber in subscribers:
            subscriber.close()

    def _check(self, name: str, subscription: Subscription) -> None:
        if self._history is None:
            raise subscription_closed(subscription.api)
        for one in self._subscribers:
            if one.name == name and one.subscription.api is not subscription.api:
                raise other_api_in_use(subscription.api, name, one.subscription.api)

    def _tell(self, told: _Told, size_bytes: int) -> None:
        # Under the lock as a whole, so that all subscribers see one order.
        with self._lock:
            for subscriber in self._subscribers:
                self._offer(subscriber, told)
            if self._history is not None and len(self._history) < HISTORY_EVENTS:
                self._history_bytes += size_bytes
                if self._history_bytes <= HISTORY_BYTES:
                    self._history.append(told)

    def _offer(self, subscriber: Subscriber, told: _Told) -> None:
        wanted = subscriber.subscription
        if told.stream not in wanted.types:
            return
        if isinstance(told.what, PlatformEvent):
            document = platform_document(told.what, told.time, wanted.schema_version)
        else:
            document = log_document(told.stream, told.what, told.time, wanted.schema_version, is_json=self._is_json)
        if document is not None:
            subscriber.offer(encoded(document))
