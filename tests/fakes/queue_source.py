"""A queue in memory, held to the contract suite of the real ones (``tests/contract/test_queue_sources.py``)."""

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rie_server.errors import SourceError
from rie_server.model.event_source import SourceRecord


@dataclass(slots=True)
class _Message:
    identifier: str
    body: str
    lane: str | None
    hidden_until: float = 0.0
    receipt: int | None = None
    receives: int = 0


class FakeQueue:
    """Hides what it hands out for ``visibility_seconds``; messages with a lane come in order, and none of a lane while
    another of it is hidden.

    Attributes:
        trouble: raised by every call, until it is None again.
        keeps: that many messages are not deleted when they should be.
        deleted: bodies, in order.
        released: bodies, in order.
        receives: calls of ``receive`` so far.
        receiving: calls that are going on.
        is_closed: ``close`` was called.
    """

    def __init__(self, *, visibility_seconds: float = 30.0) -> None:
        self.visibility_seconds = visibility_seconds
        self.trouble: SourceError | None = None
        self.keeps = 0
        self.deleted: list[str] = []
        self.released: list[str] = []
        self.receives = 0
        self.receiving = 0
        self.is_closed = False
        self._is_interrupted = False
        self._numbers = itertools.count()
        self._messages: list[_Message] = []
        self._changed = threading.Condition()

    def put(self, *bodies: str, lane: str | None = None) -> None:
        with self._changed:
            for body in bodies:
                self._messages.append(_Message(f"id-{next(self._numbers)}", body, lane))
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._messages)

    # --- polling.QueueSource ------------------------------------------------------------------------------------------

    def receive(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        give_up_at = time.monotonic() + wait_seconds
        with self._changed:
            self.receives += 1
            self.receiving += 1
            try:
                while not (found := self._visible(most)) and not self._is_interrupted:
                    self._check()
                    left = give_up_at - time.monotonic()
                    if left <= 0:
                        break
                    self._changed.wait(min(left, 0.01))
                self._check()
                return [self._hand_out(message) for message in found]
            finally:
                self.receiving -= 1

    def acknowledge(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        kept = []
        with self._changed:
            self._check()
            for record in records:
                if self.keeps:
                    self.keeps -= 1
                    kept.append(record)
                    continue
                for message in self._messages:
                    if message.receipt == record.handle:
                        self._messages.remove(message)
                        self.deleted.append(message.body)
                        break
            self._changed.notify_all()
        return kept

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        with self._changed:
            self.released += [record.document["body"] for record in records]

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {"Records": [record.document for record in records]}

    def backlog(self) -> int | None:
        with self._changed:
            self._check()
            now = time.monotonic()
            return sum(message.hidden_until <= now for message in self._messages)

    def close(self) -> None:
        self.is_closed = True

    # --- pollers.queue_pollers.HidingQueue ----------------------------------------------------------------------------

    def hold_seconds(self) -> float | None:
        return self.visibility_seconds

    def interrupt(self) -> None:
        with self._changed:
            self._is_interrupted = True
            self._changed.notify_all()

    # --- with the lock held -------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _visible(self, most: int) -> list[_Message]:
        now = time.monotonic()
        locked = {one.lane for one in self._messages if one.lane is not None and one.hidden_until > now}
        visible = [one for one in self._messages if one.hidden_until <= now and one.lane not in locked]
        return visible[: min(most, 10)]

    def _hand_out(self, message: _Message) -> SourceRecord:
        message.hidden_until = time.monotonic() + self.visibility_seconds
        message.receipt = next(self._numbers)
        message.receives += 1
        document = {
            "messageId": message.identifier,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
        }
        return SourceRecord(
            identifier=message.identifier,
            lane=message.lane,
            arrived_at=time.time(),
            size_bytes=len(message.body) + 100,
            document=document,
            handle=message.receipt,
        )
