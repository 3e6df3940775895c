"""Keeps messages back that no event can hold, which AWS drops: 6 MB is the most. Thread-safe."""

import logging
from collections.abc import Sequence

from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.pollers.batch_invocation import BatchInvocation
from rie_server.polling import MappingReporter, PollObserver

log = logging.getLogger(__name__)

# What is around the records of an event, generously.
FRAME_BYTES = 1024
UNMEASURED_BYTES = SYNC_PAYLOAD_BYTES - FRAME_BYTES
TOO_LARGE = "A message that is larger than 6 MB as an event was dropped."


class EventSize:
    def __init__(
        self,
        mapping: EventSourceMapping,
        invocation: BatchInvocation,
        reporter: MappingReporter,
        observer: PollObserver,
    ) -> None:
        self._mapping = mapping
        self._invocation = invocation
        self._reporter = reporter
        self._observer = observer

    def too_large(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        """What must not stay at its source, where it would come again for ever; it is told and counted here."""
        # Sizes are estimates from above: what is near the limit is measured.
        found = [record for record in records if record.size_bytes > UNMEASURED_BYTES and self._is_too_large(record)]
        if found:
            self._observer.dropped(self._mapping, len(found))
            self._reporter.processed(f"PROBLEM: {TOO_LARGE}")
            log.warning("%s: %s (%d of them)", self._mapping.source_arn, TOO_LARGE, len(found))
        return found

    def _is_too_large(self, record: SourceRecord) -> bool:
        return len(self._invocation.payload([record])) > SYNC_PAYLOAD_BYTES
