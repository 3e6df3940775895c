"""Sends the records of batches that were given up to the mapping's on-failure destination.

Promises: a record is sent until its destination has taken it, with a backoff; nobody is told before. A destination that
is away is waited for; one that refuses for good (no such queue, no access) is asked three times, and then the batch is
dropped, as AWS does, so that it holds nothing up. Thread-safe.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from rie_server.errors import DeliveryError
from rie_server.model.batch_failure_record import FailedBatch, FunctionAnswer, message_record, object_key, object_record
from rie_server.model.delivery import Delivery, DeliveryKind, DeliveryTries
from rie_server.model.destination_arn import DestinationKind, destination_kind
from rie_server.model.event_source import EventSourceMapping
from rie_server.model.invocation import InvokeResult
from rie_server.model.stream_batch import Discard, backoff_seconds
from rie_server.pollers.stream_threads import StreamThreads
from rie_server.polling import PollObserver
from rie_server.ports import Clock, Destinations

log = logging.getLogger(__name__)

_S3: Final = DestinationKind.S3


class FailureRecords:
    """
    Args:
        processed: is told LastProcessingResult while the destination takes nothing; must not block.
        clock: the server's time: it dates records, and the backoff goes by it.
    """

    def __init__(
        self,
        *,
        mapping: EventSourceMapping,
        destinations: Destinations,
        observer: PollObserver,
        threads: StreamThreads,
        processed: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._mapping = mapping
        self._destinations = destinations
        self._observer = observer
        self._threads = threads
        self._processed = processed
        self._clock = clock

    def give_up(
        self,
        shard_id: str,
        discard: Discard,
        *,
        answer: InvokeResult | None,
        event: bytes,
        time_window: Mapping[str, Any] | None,
        given_up: Callable[[], None],
    ) -> None:
        """Calls ``given_up`` once the records may be forgotten: at once where the mapping has no destination.

        Args:
            answer: of the last attempt, if it reached the function.
            event: what the function got or would have got.
            time_window: the members of a tumbling window.
        """
        count = len(discard.batch.records)
        log.warning("%s: %d records of %s are given up: %s", self._mapping.uuid, count, shard_id, discard.condition)
        target_arn = self._mapping.on_failure_destination
        if target_arn is None:
            self._observer.dropped(self._mapping, count)
            given_up()
            return
        failed = FailedBatch(
            mapping=self._mapping,
            shard_id=shard_id,
            records=discard.batch.records,
            request_id=discard.batch.request_id,
            condition=discard.condition,
            invoke_count=discard.invoke_count,
            answer=_function_answer(answer) if discard.was_answered else None,
            event=event,
            time_window=time_window,
            at=self._clock.now(),
        )
        self._send(_Sending(delivery=self._delivery(failed, target_arn), count=count, given_up=given_up))

    def _delivery(self, failed: FailedBatch, target_arn: str) -> Delivery:
        is_object = destination_kind(target_arn) is _S3
        # Named after what is given up: sent twice, it is the same object.
        name = uuid.uuid5(uuid.NAMESPACE_OID, f"{failed.request_id} {failed.shard_id} {failed.at}")
        return Delivery(
            kind=DeliveryKind.ON_FAILURE,
            target_arn=target_arn,
            request_id=failed.request_id,
            function=self._mapping.function.unqualified,
            body=object_record(failed) if is_object else message_record(failed),
            trace_header="",
            at=failed.at,
            object_key=object_key(failed, str(name)) if is_object else None,
        )

    def _send(self, sending: "_Sending") -> None:
        self._threads.deliver(partial(self._try, sending))

    def _try(self, sending: "_Sending") -> None:
        if self._threads.stopping.is_set() and sending.tries.failures:
            return
        mapping, count = self._mapping, sending.count
        try:
            self._destinations.deliver(sending.delivery)
        except DeliveryError as trouble:
            self._observer.delivery_failed(mapping)
            self._processed(f"PROBLEM: {trouble}")
            tries = sending.tries.after(passes=trouble.passes)
            if not tries.is_lost:
                if tries.failures == 1:
                    log.warning("A failure record cannot be delivered: %s; it is tried again", trouble)
                again = partial(self._send, replace(sending, tries=tries))
                self._clock.call_later(backoff_seconds(tries.failures), again)
                return
            log.warning("%s: %d records are dropped, their failure record is refused: %s", mapping.uuid, count, trouble)
            self._observer.dropped(mapping, count)
        else:
            self._observer.delivered_on_failure(mapping, count)
        sending.given_up()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sending:
    """A failure record on its way; ``count`` records are what it tells of."""

    delivery: Delivery
    count: int
    given_up: Callable[[], None]
    tries: DeliveryTries = field(default_factory=DeliveryTries)


def _function_answer(answer: InvokeResult | None) -> FunctionAnswer | None:
    if answer is None:
        return None
    return FunctionAnswer(executed_version=answer.executed_version, function_error=answer.function_error)
