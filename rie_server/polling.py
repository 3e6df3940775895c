"""Ports of event source mappings: the third page of ``ports``.

``pollers`` is the stage, ``sources`` are its adapters, ``stores`` keep mappings and checkpoints; they meet here.
Unless a port says otherwise its methods may be called from any thread, and may block within the adapter's timeouts.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from rie_server.model.event_source import EventSourceMapping, Shard, ShardRead, SourceRecord, StreamPosition
from rie_server.ports import OnDurable

# --- stores -----------------------------------------------------------------------------------------------------------


class MappingStore(Protocol):
    """Durable event source mappings. Changes return after the commit is durable; what ``check`` or ``rule`` raise is
    raised, and nothing has changed. Both must be pure and quick: they may be called more than once, on another thread.
    """

    def load(self) -> Sequence[EventSourceMapping]:
        """By UUID."""

    def add(self, mapping: EventSourceMapping, check: Callable[[Sequence[EventSourceMapping]], None]) -> None:
        """``check`` sees all that are there; no other is added between its look and the commit."""

    def change(self, uuid: str, rule: Callable[[EventSourceMapping], EventSourceMapping]) -> EventSourceMapping | None:
        """Replaces the mapping that is stored, whoever has stored it, by what ``rule`` makes of it, and returns that;
        None if there is none.
        """

    def delete(self, uuid: str) -> None:
        """Forgets a mapping together with its checkpoints."""


class CheckpointStore(Protocol):
    """How far each mapping has come, by the names of its shards (or of whatever it goes forward in)."""

    def load(self, uuid: str) -> Mapping[str, Mapping[str, Any]]:
        """The documents by shard."""

    def save(self, uuid: str, shard_id: str, document: Mapping[str, Any], on_durable: OnDurable | None = None) -> None:
        """Replaces a checkpoint; returns at once. Later checkpoints of a mapping never become durable before earlier
        ones. ``on_durable`` is called on the store's thread and must not block.
        """

    def forget(self, uuid: str, shard_id: str) -> None:
        """Removes the checkpoint of a shard that no longer exists; returns at once."""


class MappingLeases(Protocol):
    """Which of the servers that share a database polls which mapping."""

    def claim(self, uuids: Collection[str], lease_seconds: float) -> Collection[str]:
        """Takes those that nobody holds, renews this server's own, and returns those of ``uuids`` that it holds now,
        for ``lease_seconds``.
        """

    def release(self, uuids: Collection[str]) -> None:
        """Others may have them at once. Harmless where they are not this server's."""


# --- sources ----------------------------------------------------------------------------------------------------------


class EventSource(Protocol):
    """What every source can do. Its errors are ``SourceError``s."""

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        """The event that the handler gets for ``records``, in AWS's shape. Pure."""

    def backlog(self) -> int | None:
        """How many records wait, roughly; None where that cannot be known."""

    def close(self) -> None:
        """Ends its connections; what was received and not acknowledged goes back to the source. Idempotent."""


class QueueSource(EventSource, Protocol):
    """SQS and Amazon MQ: messages are hidden from others while they are worked on, and come again if they fail.

    Several threads may receive at a time.
    """

    def receive(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        """Up to ``most`` messages (fewer where the source has a limit, as SQS has 10); waits for the first one."""

    def acknowledge(self, records: Sequence[SourceRecord]) -> Sequence[SourceRecord]:
        """Deletes messages; returns those that the source would not delete."""

    def release(self, records: Sequence[SourceRecord], *, failed: bool = True) -> None:
        """Gives messages back: SQS leaves them to the visibility timeout, a broker delivers them again.

        Args:
            failed: False where the function never got them: a source that counts their deliveries counts none.
        """


class BrokerSource(QueueSource, Protocol):
    """Amazon MQ.

    Attributes:
        consumers: how many batches may be with the function at a time.
        failure_pause_seconds: how long messages that failed are held back before ``release``.
    """

    consumers: int
    failure_pause_seconds: float


class StreamSource(EventSource, Protocol):
    """Kinesis and DynamoDB Streams."""

    def shards(self) -> Sequence[Shard]:
        """All shards that can still be read, open or closed."""

    def iterator(self, shard_id: str, position: StreamPosition) -> str:
        """Where ``position`` is a time, records that arrived before it may come, too.

        Raises:
            IteratorExpiredError: the position is not in this shard: it was trimmed away, or is of another stream.
            ShardGoneError: there is no such shard.
        """

    def read(self, iterator: str, most: int) -> ShardRead:
        """Returns at once, also without records.

        Raises:
            IteratorExpiredError: ask for a new one, after the last record that was read.
            ShardGoneError: the shard has been trimmed away.
        """

    def watch(self, arrived: Callable[[str], None]) -> None:
        """Has a source that is sent its records call ``arrived`` with the name of a shard that has something to read,
        from any thread; it must not block.
        """

    def note(self) -> str | None:
        """What a user should know of how the stream is read; None mostly."""


class ChangeStreamSource(EventSource, Protocol):
    """DocumentDB: one stream, read by one thread at a time. Resume tokens are JSON documents."""

    def open(self, token: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Reads on after ``token``, or without one from the mapping's starting position; ends an earlier reading.
        Returns the token of where it stands, if the source tells.

        Raises:
            HistoryLostError: the stream has expired there.
        """

    def read(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        """Up to ``most`` changes, their tokens as ``handle``; waits for the first one, roughly.

        Raises:
            HistoryLostError: the stream has expired meanwhile.
        """

    def position(self) -> Mapping[str, Any] | None:
        """The token after all that was read, also where no change has come for long; None where it is not known."""

    def verify(self, token: Mapping[str, Any] | None) -> None:
        """Whether the stream still holds what comes after ``token``; leaves the reading alone.

        Raises:
            HistoryLostError: it does not.
        """


class PartitionWatcher(Protocol):
    """Told by a ``PartitionSource`` which lanes are this server's, on the thread that reads, while it reads, opens or
    closes.
    """

    def assigned(self, lanes: Mapping[str, int]) -> None:
        """These lanes are read from now on, each from the offset that is given."""

    def revoked(self, lanes: Sequence[str]) -> Mapping[str, int]:
        """They go to somebody else. Waits, within bounds, for what is in flight; returns for each lane the offset of
        the first record that is not done. Nothing that ends later counts.
        """

    def lost(self, lanes: Sequence[str]) -> None:
        """They are somebody else's already: nothing of them counts any more."""


class PartitionSource(EventSource, Protocol):
    """Kafka: a member of a consumer group, which is given partitions and keeps its offsets in the broker.

    One thread opens, reads, pauses, commits and closes. A closed source may be opened again.
    """

    def open(self, watcher: PartitionWatcher) -> None:
        """Joins the group.

        Raises:
            SourceError: no such topic, wrong password, no broker, ...
        """

    def read(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        """Up to ``most`` records of all lanes that are not paused, each lane's in order; waits for the first one.

        Raises:
            SourceError: close the source, and open it again later. What was read and is not committed comes again.
        """

    def trouble(self) -> str | None:
        """What keeps the source from reading, where it tries again by itself."""

    def pause(self, lanes: Sequence[str]) -> None: ...

    def resume(self, lanes: Sequence[str]) -> None: ...

    def commit(self, offsets: Mapping[str, int]) -> None:
        """The first record of each lane that is not done; returns at once, and is repeated until it succeeds."""

    def deliver(self, topic: str, body: bytes, key: bytes | None) -> None:
        """Writes one message to another topic of the same cluster; waits for it. May be called from any thread.

        Raises:
            DeliveryError: the cluster refused it or could not be reached.
        """


class SourceInspector(Protocol):
    """Looks at a source before a mapping to it is created, or an enabled one changed."""

    def check(self, mapping: EventSourceMapping) -> None:
        """
        Raises:
            InvalidParameterValueException: no such queue or stream, no access, ...; in AWS's words.
        """


# --- pollers ----------------------------------------------------------------------------------------------------------


class Poller(Protocol):
    """Polls one source for one mapping until it is stopped. Owns its threads."""

    def start(self) -> None:
        """Returns at once; trouble with the source is reported, not raised."""

    def stop(self) -> None:
        """Takes no more records; returns at once. What is in flight is finished by ``join``."""

    def join(self, timeout_seconds: float) -> bool:
        """Waits until nothing is in flight and every thread has ended; False if that took too long."""

    def is_settled(self) -> bool:
        """See ``observing.Settling``."""

    def describe(self) -> Mapping[str, Any]:
        """For a person who watches: ``backlog`` (or ``behind_seconds``), ``pollers``, ``in_flight``. Cheap."""


class MappingReporter(Protocol):
    """What a poller tells of its mapping; must not block."""

    def processed(self, result: str) -> None:
        """``LastProcessingResult``: ``OK``, ``No records processed``, ``PROBLEM: Function call failed``, ..."""

    def disable(self, reason: str) -> None:
        """The mapping cannot go on without its user, who reads ``reason`` as StateTransitionReason."""


# Makes the poller of a mapping; ``wiring`` knows which kind of mapping has which.
MakePoller = Callable[[EventSourceMapping, MappingReporter], Poller]


class PollObserver(Protocol):
    """Counts what pollers do, under AWS's names of EventSourceMapping metrics. Must not block, never raises."""

    def polled(self, mapping: EventSourceMapping, count: int) -> None:
        """PolledEventCount."""

    def filtered_out(self, mapping: EventSourceMapping, count: int) -> None:
        """FilteredOutEventCount."""

    def invoked(self, mapping: EventSourceMapping, count: int) -> None:
        """InvokedEventCount: records that were handed to the function, again at each attempt."""

    def failed_invoke(self, mapping: EventSourceMapping, count: int) -> None:
        """FailedInvokeEventCount: records of invocations that failed, in part or whole."""

    def deleted(self, mapping: EventSourceMapping, count: int) -> None:
        """DeletedEventCount (SQS)."""

    def delivered_on_failure(self, mapping: EventSourceMapping, count: int) -> None:
        """OnFailureDestinationDeliveredEventCount."""

    def delivery_failed(self, mapping: EventSourceMapping) -> None:
        """DestinationDeliveryFailures, of the function: an attempt to send a failure record has failed."""

    def dropped(self, mapping: EventSourceMapping, count: int) -> None:
        """DroppedEventCount: given up without a destination that took them."""

    def iterator_age(self, mapping: EventSourceMapping, age_ms: float) -> None:
        """IteratorAge: of the last record of a batch, when the function gets it."""
