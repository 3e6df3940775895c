"""The poller of a change stream: one batch after another, in order, each until it has succeeded.

One thread does it all. What has been done is the resume token of the last change of the last batch that succeeded, or
of a change that was too large for an event; it is saved after the fact, so a crash repeats a batch and loses none.
A batch that fails is tried again until it succeeds or the stream has expired: there is no other end.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rie_server.errors import HistoryLostError, SourceError
from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.model.request_id import new_request_id
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.polling import ChangeStreamSource, CheckpointStore, MappingReporter, PollObserver
from rie_server.ports import Clock

STREAM = "changeStream"
"""The only shard of a change stream."""
READ_SECONDS = 0.5
WINDOW_READ_SECONDS = 0.05
BACKOFF_SECONDS = (1.0, 60.0)
"""First and longest wait after a failure; each wait is twice the last."""
IDLE_SAVE_SECONDS = 60.0
ENVELOPE_BYTES = 1024
"""Of the event around its changes."""
OK = "OK"
FUNCTION_FAILED = "PROBLEM: Function call failed"
EXPIRED = "The change stream has expired: it no longer holds what comes after the last event that was processed."


class ChangeStreamPoller:
    """
    Args:
        invocation: what hands a batch to the function.
        clock: the server's time; batching windows and backoff go by it.
    """

    def __init__(
        self,
        *,
        mapping: EventSourceMapping,
        source: ChangeStreamSource,
        invocation: BatchInvocation,
        checkpoints: CheckpointStore,
        reporter: MappingReporter,
        observer: PollObserver,
        clock: Clock,
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._invocation = invocation
        self._checkpoints = checkpoints
        self._reporter = reporter
        self._observer = observer
        self._clock = clock
        self._stopped = threading.Event()
        self._settled = False
        self._in_flight = 0
        self._failures = 0
        self._token: Mapping[str, Any] | None = None
        self._saved_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"change-stream-{mapping.uuid}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def join(self, timeout_seconds: float) -> bool:
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def is_settled(self) -> bool:
        return self._settled

    def describe(self) -> Mapping[str, Any]:
        return {"backlog": None, "pollers": int(self._thread.is_alive()), "in_flight": self._in_flight}

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._token = self._checkpoints.load(self._mapping.uuid).get(STREAM, {}).get("resumeToken")
            while not self._stopped.is_set():
                try:
                    self._follow()
                except HistoryLostError as lost:
                    self._give_up(lost)
                    return
                except SourceError as trouble:
                    self._settled = False
                    self._reporter.processed(f"PROBLEM: {trouble}")
                    self._wait_after_failure(longest=not trouble.passes)
        finally:
            self._source.close()

    def _follow(self) -> None:
        """Reads and hands over until it is stopped or the source fails."""
        stands_at = self._source.open(self._token)
        if self._token is None and stands_at is not None:
            # LATEST means now, also for a server that is killed before anything has come.
            self._save(stands_at)
        while not self._stopped.is_set():
            batch = self._gather()
            self._failures = 0
            if batch:
                self._hand_over(batch)
            else:
                self._keep_up()

    def _keep_up(self) -> None:
        """A stream without changes for this mapping goes on all the same: its old token would expire in the end."""
        stands_at = self._source.position()
        if stands_at is None or stands_at == self._token:
            return
        if self._clock.monotonic() < self._saved_at + IDLE_SAVE_SECONDS:
            return
        self._save(stands_at)

    def _gather(self) -> list[SourceRecord]:
        """The next batch: full, as large as an event may be, or as old as the batching window is long."""
        batch = self._readable(self._source.read(self._mapping.batch_size, READ_SECONDS))
        self._settled = not batch
        closes_at = self._clock.monotonic() + self._mapping.batching_window_seconds
        while batch and not self._stopped.is_set() and self._clock.monotonic() < closes_at:
            room = self._mapping.batch_size - len(batch)
            if room <= 0 or _bytes(batch) >= SYNC_PAYLOAD_BYTES:
                break
            batch += self._readable(self._source.read(room, WINDOW_READ_SECONDS))
        return batch

    def _readable(self, records: Sequence[SourceRecord]) -> list[SourceRecord]:
        """Without those that no event can hold; AWS drops them, too."""
        if records:
            self._observer.polled(self._mapping, len(records))
        return list(records)

    def _hand_over(self, batch: list[SourceRecord]) -> None:
        for records in _events(batch):
            if self._stopped.is_set():
                return
            if len(records) == 1 and _bytes(records) > SYNC_PAYLOAD_BYTES:
                self._observer.dropped(self._mapping, 1)
            elif not self._until_it_succeeds(records):
                return
            self._save(records[-1].handle)

    def _until_it_succeeds(self, records: Sequence[SourceRecord]) -> bool:
        """False when it was stopped before: the batch is read again after the next start."""
        payload, request_id = self._invocation.payload(records), new_request_id()
        self._in_flight = len(records)
        try:
            while True:
                result = self._invocation.run(payload, len(records), request_id)
                if result.function_error is None and result.refusal is None:
                    self._failures = 0
                    self._reporter.processed(OK)
                    return True
                if result.refusal is None:
                    self._observer.failed_invoke(self._mapping, len(records))
                self._reporter.processed(FUNCTION_FAILED)
                self._wait_after_failure()
                if self._stopped.is_set():
                    return False
                self._verify()
        finally:
            self._in_flight = 0

    def _verify(self) -> None:
        """Only the expiry of the stream ends the retries; a cluster that is away for a while does not."""
        try:
            self._source.verify(self._token)
        except HistoryLostError:
            raise
        except SourceError as trouble:
            self._reporter.processed(f"PROBLEM: {trouble}")

    def _give_up(self, lost: HistoryLostError) -> None:
        self._settled = True
        self._reporter.processed(f"PROBLEM: {EXPIRED} {lost}")
        self._reporter.disable(EXPIRED)

    def _save(self, token: Mapping[str, Any]) -> None:
        self._token = token
        self._saved_at = self._clock.monotonic()
        self._checkpoints.save(self._mapping.uuid, STREAM, {"resumeToken": dict(token)})

    def _wait_after_failure(self, *, longest: bool = False) -> None:
        first, most = BACKOFF_SECONDS
        seconds = most if longest else min(most, first * 2 ** min(self._failures, 10))
        self._failures += 1
        awake = threading.Event()
        timer = self._clock.call_later(seconds, awake.set)
        # Real time for the end of the server, the server's for the end of the wait.
        while not awake.wait(WINDOW_READ_SECONDS) and not self._stopped.is_set():
            pass
        timer.cancel()


def _bytes(records: Sequence[SourceRecord]) -> int:
    return ENVELOPE_BYTES + sum(record.size_bytes + 1 for record in records)


def _events(batch: Sequence[SourceRecord]) -> list[list[SourceRecord]]:
    """A batch in parts that fit into an event each."""
    parts: list[list[SourceRecord]] = []
    for record in batch:
        if parts and _bytes(parts[-1]) + record.size_bytes < SYNC_PAYLOAD_BYTES:
            parts[-1].append(record)
        else:
            parts.append([record])
    return parts
