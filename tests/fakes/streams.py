"""A stream in memory, held to the contract suite of the real ones (``tests/contract/test_stream_sources.py``), and
whoever stands around its poller: a function that answers as a test says, a reporter, an observer.
"""

import base64
import collections
import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rie_server.errors import IteratorExpiredError, LambdaError, ShardGoneError
from rie_server.model.arn import FunctionArn
from rie_server.model.event_source import (
    EventSourceMapping,
    MappingState,
    Shard,
    ShardRead,
    SourceKind,
    SourceRecord,
    StreamPosition,
)
from rie_server.model.invocation import InvokeRequest, InvokeResult

STREAM_ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/orders"
FUNCTION = FunctionArn(region="us-east-1", account="123456789012", name="fn")


class _Shard:
    def __init__(self, parents: tuple[str, ...]) -> None:
        self.parents = parents
        self.records: list[SourceRecord] = []
        self.is_closed = False


class MemoryStream:
    """Fills ``polling.StreamSource``; sequence numbers are "1", "2", ... over all shards.

    Attributes:
        failure: while set, every call raises it.
        failures: each is raised by one read.
        reads: how often records were asked for.
        now: dates records, in seconds since the epoch.
        arrived: set by whoever watches.
        is_pushed: reads say that ``arrived`` tells of what comes.
        says: what ``note`` gives.
    """

    def __init__(self, shards: int = 1, *, now: Callable[[], float] = lambda: 1_767_225_600.0) -> None:
        self.failure: Exception | None = None
        self.failures: list[Exception] = []
        self.reads = 0
        self.now = now
        self.arrived: Callable[[str], None] = lambda _shard_id: None
        self.is_pushed = False
        self.says: str | None = None
        self.is_closed = False
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._names = itertools.count()
        self._generation = 0
        self._shards: dict[str, _Shard] = {}
        for _ in range(shards):
            self._open(())

    # --- what tests do ------------------------------------------------------------------------------------------------

    @property
    def shard_ids(self) -> list[str]:
        return list(self._shards)

    def put_packed(self, data: str) -> str:
        """Records of one character each, packed together in the first shard: the sequence number that they share."""
        name = next(iter(self._shards))
        number = self.put(data[0], shard_id=name)
        self._shards[name].records += [memory_record(name, number, one, one, self.now()) for one in data[1:]]
        return number

    def put(self, data: str, *, key: str = "k", shard_id: str | None = None, arrived_at: float | None = None) -> str:
        """A record's sequence number; it goes to the first open shard unless one is named."""
        with self._lock:
            name = shard_id or next(name for name, shard in self._shards.items() if not shard.is_closed)
            number = str(next(self._numbers))
            record = memory_record(name, number, data, key, self.now() if arrived_at is None else arrived_at)
            self._shards[name].records.append(record)
            return number

    def close_shard(self, shard_id: str) -> None:
        self._shards[shard_id].is_closed = True

    def split(self, shard_id: str) -> list[str]:
        """The names of the two new shards."""
        with self._lock:
            self._shards[shard_id].is_closed = True
            return [self._open((shard_id,)), self._open((shard_id,))]

    def merge(self, *shard_ids: str) -> str:
        with self._lock:
            for shard_id in shard_ids:
                self._shards[shard_id].is_closed = True
            return self._open(shard_ids)

    def trim(self, shard_id: str) -> None:
        """The shard's records have expired, and with them the shard."""
        with self._lock:
            del self._shards[shard_id]

    def expire_iterators(self) -> None:
        self._generation += 1

    # --- polling.StreamSource -----------------------------------------------------------------------------------------

    def shards(self) -> Sequence[Shard]:
        self._fail()
        with self._lock:
            return [Shard(shard_id=name, parents=shard.parents) for name, shard in self._shards.items()]

    def iterator(self, shard_id: str, position: StreamPosition) -> str:
        self._fail()
        with self._lock:
            if shard_id not in self._shards:
                raise ShardGoneError(f"{shard_id} does not exist")
            index = _index(self._shards[shard_id].records, position)
            return f"{self._generation} {shard_id} {index}"

    def read(self, iterator: str, most: int) -> ShardRead:
        self._fail()
        self.reads += 1
        if self.failures:
            raise self.failures.pop(0)
        generation, shard_id, index = iterator.split()
        if int(generation) != self._generation:
            raise IteratorExpiredError("The iterator has expired")
        with self._lock:
            if shard_id not in self._shards:
                raise ShardGoneError(f"{shard_id} does not exist")
            shard = self._shards[shard_id]
            records = tuple(shard.records[int(index) : int(index) + most])
            after = int(index) + len(records)
            is_end = shard.is_closed and after >= len(shard.records)
            following = None if is_end else f"{generation} {shard_id} {after}"
            behind = self.now() - records[-1].arrived_at if after < len(shard.records) else 0.0
            return ShardRead(
                records=records,
                next_iterator=following,
                behind_seconds=max(behind, 0.0),
                is_pushed=self.is_pushed,
            )

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        return {"Records": [record.document for record in records]}

    def backlog(self) -> int | None:
        return None

    def watch(self, arrived: Callable[[str], None]) -> None:
        self.arrived = arrived

    def note(self) -> str | None:
        return self.says

    def close(self) -> None:
        self.is_closed = True

    def _open(self, parents: Sequence[str]) -> str:
        name = f"shardId-{next(self._names):012d}"
        self._shards[name] = _Shard(tuple(parents))
        return name

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def _index(records: Sequence[SourceRecord], position: StreamPosition) -> int:
    numbers = [record.identifier for record in records]
    if position.after_sequence_number is not None:
        if position.after_sequence_number not in numbers:
            raise IteratorExpiredError("The sequence number is of another stream")
        return numbers.index(position.after_sequence_number) + 1
    if position.at_sequence_number is not None:
        return numbers.index(position.at_sequence_number)
    if position.at_timestamp is not None:
        at = position.at_timestamp
        return next((index for index, record in enumerate(records) if record.arrived_at >= at), len(records))
    return len(records) if position.starting_position == "LATEST" else 0


def memory_record(shard_id: str, number: str, data: str, key: str, arrived_at: float) -> SourceRecord:
    return SourceRecord(
        identifier=number,
        lane=key,
        arrived_at=arrived_at,
        size_bytes=len(data) * 4 // 3 + 500,
        document={
            "kinesis": {
                "data": base64.b64encode(data.encode()).decode(),
                "partitionKey": key,
                "sequenceNumber": number,
            },
            "eventID": f"{shard_id}:{number}",
        },
        payload=data.encode(),
    )


class ScriptedFunction:
    """Fills ``ports.Invoker``: answers on a thread of its own, as ``answer`` says.

    Attributes:
        events: the events of all invocations, in the order in which they began.
        requests: the same as they were asked for.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], Any] = lambda _event: None) -> None:
        """
        Args:
            answer: gives what the function returns, or raises: a LambdaError refuses the invocation, anything else is
                the function's own error.
        """
        self.answer = answer
        self.events: list[dict[str, Any]] = []
        self.requests: list[InvokeRequest] = []
        self._lock = threading.Lock()

    def invoke(self, request: InvokeRequest, on_result: Callable[[InvokeResult], None]) -> None:
        event = json.loads(request.payload)
        with self._lock:
            self.events.append(event)
            self.requests.append(request)
        threading.Thread(target=self._run, args=(event, on_result), name="function", daemon=True).start()

    @property
    def batches(self) -> list[str]:
        """The data of each invocation's records, put together."""
        return ["".join(data_of(event)) for event in self.events]

    def _run(self, event: dict[str, Any], on_result: Callable[[InvokeResult], None]) -> None:
        payload, error, refusal = b"", None, None
        try:
            payload = json.dumps(self.answer(event)).encode()
        except LambdaError as refused:
            refusal = refused
        except Exception:
            payload, error = b'{"errorMessage":"no"}', "Unhandled"
        version = "" if refusal else "$LATEST"
        on_result(InvokeResult(payload=payload, function_error=error, executed_version=version, refusal=refusal))


def data_of(event: Mapping[str, Any]) -> list[str]:
    return [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]


class MemoryReporter:
    """Fills ``polling.MappingReporter``."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.reasons: list[str] = []

    def processed(self, result: str) -> None:
        self.results.append(result)

    def disable(self, reason: str) -> None:
        self.reasons.append(reason)


class CountingObserver:
    """Fills ``polling.PollObserver``.

    Attributes:
        counts: sums by the name of the method.
        ages_ms: every IteratorAge.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.ages_ms: list[float] = []
        self._lock = threading.Lock()

    def iterator_age(self, mapping: EventSourceMapping, age_ms: float) -> None:
        self.ages_ms.append(age_ms)

    def _count(self, name: str, count: int) -> None:
        with self._lock:
            self.counts[name] += count

    def polled(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("polled", count)

    def filtered_out(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("filtered_out", count)

    def invoked(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("invoked", count)

    def failed_invoke(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("failed_invoke", count)

    def deleted(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("deleted", count)

    def delivered_on_failure(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("delivered_on_failure", count)

    def delivery_failed(self, mapping: EventSourceMapping) -> None:
        self._count("delivery_failed", 1)

    def dropped(self, mapping: EventSourceMapping, count: int) -> None:
        self._count("dropped", count)


def stream_mapping(kind: SourceKind = SourceKind.KINESIS, **members: Any) -> EventSourceMapping:
    return EventSourceMapping(
        uuid="11111111-2222-3333-4444-555555555555",
        kind=kind,
        function=FUNCTION,
        source_arn=members.pop("EventSourceArn", STREAM_ARN),
        enabled=True,
        state=MappingState.ENABLED,
        state_transition_reason="User action",
        members={"BatchSize": 100, "StartingPosition": "TRIM_HORIZON", **members},
        last_modified=1_767_225_600.0,
    )
