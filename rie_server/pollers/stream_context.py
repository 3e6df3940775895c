"""What every part of a stream's poller works with, and what it says of itself. Thread-safe."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from rie_server.errors import SourceError
from rie_server.model.event_source import EventSourceMapping
from rie_server.model.filter_pattern import Filters
from rie_server.model.mapping_life_cycle import NO_RECORDS
from rie_server.model.stream_batch import StreamRules
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.pollers.stream_failures import FailureRecords
from rie_server.pollers.stream_threads import StreamThreads
from rie_server.polling import CheckpointStore, MappingReporter, PollObserver, StreamSource
from rie_server.ports import Clock

log = logging.getLogger(__name__)


class StreamResults:
    """LastProcessingResult of a mapping, told when it changes.

    Args:
        note: what stands behind each result (see ``polling.StreamSource.note``).
    """

    def __init__(self, mapping: EventSourceMapping, reporter: MappingReporter, note: Callable[[], str | None]) -> None:
        self._mapping = mapping
        self._note = note
        self._reporter = reporter
        self._lock = threading.Lock()
        self._last: str | None = None
        self._trouble: str | None = None

    def processed(self, result: str) -> None:
        """``OK`` or ``PROBLEM: ...``."""
        note = self._note()
        if note is not None:
            result = f"{result} ({note})"
        if result != self._last:
            self._last = result
            self._reporter.processed(result)

    def source_failed(self, trouble: Exception) -> None:
        text = str(trouble) if isinstance(trouble, SourceError) else repr(trouble)
        with self._lock:
            is_new, self._trouble = text != self._trouble, text
        if is_new:
            defect = None if isinstance(trouble, SourceError) else trouble
            log.warning("%s cannot be read: %s; it is tried again", self._mapping.source_arn, text, exc_info=defect)
            self.processed(f"PROBLEM: {text}")

    def source_answers(self) -> None:
        if self._trouble is None:
            if self._last is None and self._note() is not None:
                self.processed(NO_RECORDS)
            return
        with self._lock:
            is_over, self._trouble = self._trouble is not None, None
        if is_over:
            log.info("%s answers again", self._mapping.source_arn)
            self.processed(NO_RECORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTools:
    """
    Attributes:
        rules: of retries.
        clock: the server's time: windows, ages, backoff after failures.
        real: for whatever waits for the stream.
    """

    mapping: EventSourceMapping
    source: StreamSource
    invocation: BatchInvocation
    filters: Filters
    rules: StreamRules
    checkpoints: CheckpointStore
    failures: FailureRecords
    results: StreamResults
    observer: PollObserver
    threads: StreamThreads
    clock: Clock
    real: Clock
