"""What became of asynchronous events: those that have ended, and whoever waits for one to end.

Fills ``observing.EventJournal``. In memory: a restart forgets the endings, and so does time: the last 10,000 are kept,
fewer where functions answered at length. Events that have not ended are the queue's to know (``EventSurvey``); only
those in flight here are remembered besides, so that one which leaves the queue is never unknown. Thread-safe; calls
back on the thread that tells of the end.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from rie_server.errors import DeliveryError
from rie_server.model.async_event import QueuedEvent
from rie_server.model.delivery import Delivery
from rie_server.model.event_invoke import EventEnding
from rie_server.model.event_progress import DeliveryOutcome, EventFilter, EventProgress, state_after
from rie_server.observing import EventSurvey
from rie_server.ports import Clock

KEPT_ENDINGS = 10_000
KEPT_RESPONSE_BYTES = 64 * 1024 * 1024

OnEnd = Callable[[EventProgress], None]


class EventLog:
    """
    Args:
        survey: the events that have not ended.
        clock: the one that dates events.
    """

    def __init__(
        self,
        *,
        survey: EventSurvey,
        clock: Clock,
        kept_endings: int = KEPT_ENDINGS,
        kept_response_bytes: int = KEPT_RESPONSE_BYTES,
    ) -> None:
        self._survey = survey
        self._clock = clock
        self._kept_endings = kept_endings
        self._kept_response_bytes = kept_response_bytes
        # Guards what follows.
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()
        self._ended: OrderedDict[str, EventProgress] = OrderedDict()
        self._response_bytes = 0
        self._waiting: dict[str, list[OnEnd]] = {}

    # --- told by the worker -------------------------------------------------------------------------------------------

    def received(self, event: QueuedEvent) -> None: ...

    def started(self, event: QueuedEvent) -> None:
        with self._lock:
            self._in_flight.add(event.request.request_id)

    def postponed(self, event: QueuedEvent, due_at: float) -> None:
        del due_at
        with self._lock:
            self._in_flight.discard(event.request.request_id)

    def ending(self, event: QueuedEvent, ending: EventEnding) -> None: ...

    def delivery_failed(self, delivery: Delivery, error: DeliveryError) -> None: ...

    def ended(self, event: QueuedEvent, ending: EventEnding, outcomes: Sequence[DeliveryOutcome]) -> None:
        request = event.request
        progress = EventProgress(
            request_id=request.request_id,
            function=request.function,
            state=state_after(ending, outcomes),
            enqueued_at=event.enqueued_at,
            attempts=event.attempts,
            refusals=event.refusals,
            ended_at=self._clock.now(),
            ending=ending,
            outcomes=tuple(outcomes),
        )
        with self._lock:
            self._keep(progress)
            self._in_flight.discard(request.request_id)
            waiting = self._waiting.pop(request.request_id, ())
        for on_end in waiting:
            on_end(progress)

    def _keep(self, progress: EventProgress) -> None:
        """Under the lock. An event that ran twice, after a crash, has ended when it did so last."""
        self._forget(self._ended.pop(progress.request_id, None))
        self._ended[progress.request_id] = progress
        self._response_bytes += _response_bytes(progress)
        while len(self._ended) > self._kept_endings or self._response_bytes > self._kept_response_bytes:
            self._forget(self._ended.popitem(last=False)[1])

    def _forget(self, progress: EventProgress | None) -> None:
        self._response_bytes -= 0 if progress is None else _response_bytes(progress)

    # --- asked by those who look --------------------------------------------------------------------------------------

    def events(self, wanted: EventFilter, *, limit: int) -> Sequence[EventProgress]:
        """Up to ``limit`` events that have not ended, oldest first, then as many that have, the last one first.

        Blocks: it reads the queue.
        """
        ended_only = wanted.state is not None and wanted.state.has_ended
        # In this order an event that ends meanwhile is seen twice at worst.
        live = [] if ended_only else self._survey.live_events(wanted, limit=limit)
        with self._lock:
            found = [one for one in reversed(self._ended.values()) if wanted.takes(one)][:limit]
            still_live = [one for one in live if one.request_id not in self._ended]
        return [*still_live, *found]

    def when_ended(self, request_id: str, on_end: OnEnd) -> bool:
        """Calls ``on_end`` once with the event, as soon as it has ended: at once when it has already.

        Returns:
            False if no such event is known, and ``on_end`` is not called. Blocks: it may read the queue.
        """
        with self._lock:
            ended = self._ended.get(request_id)
            if ended is None:
                self._waiting.setdefault(request_id, []).append(on_end)
        if ended is not None:
            on_end(ended)
            return True
        if self._is_in_flight(request_id) or self._survey.live_events(EventFilter(request_id=request_id), limit=1):
            return True
        # Unknown, unless it has ended in between and ``on_end`` was called.
        return not self.stop_waiting(request_id, on_end)

    def stop_waiting(self, request_id: str, on_end: OnEnd) -> bool:
        """Whether ``on_end`` was still waiting; it is not called any more."""
        with self._lock:
            waiting = self._waiting.get(request_id, [])
            if on_end not in waiting:
                return False
            waiting.remove(on_end)
            if not waiting:
                del self._waiting[request_id]
            return True

    def _is_in_flight(self, request_id: str) -> bool:
        with self._lock:
            return request_id in self._in_flight


def _response_bytes(progress: EventProgress) -> int:
    payload = None if progress.ending is None else progress.ending.response_payload
    return 0 if payload is None else len(payload)
