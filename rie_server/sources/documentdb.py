"""Amazon DocumentDB's change streams, by MongoDB's protocol: fills ``polling.ChangeStreamSource``.

One thread at a time. Nothing is connected until ``open``. Documents reach the handler as MongoDB's relaxed extended
JSON; a resume token is kept as its canonical form, so that it goes back as the very same value.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bson import json_util
from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from rie_server.errors import HistoryLostError, SourceError
from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.event_source import EventSourceMapping, SourceRecord
from rie_server.ports import Clock
from rie_server.sources.access import AUTHENTICATION, AUTHORIZATION, CONFIGURATION
from rie_server.sources.cluster_access import ClusterAddress

CONNECT_MS = 10_000
AWAIT_MS = 100
"""How long the cluster holds back an answer without changes."""
HISTORY_LOST_CODES = frozenset({136, 280, 286})
"""CappedPositionLost, ChangeStreamFatalError, ChangeStreamHistoryLost."""
AUTHENTICATION_FAILED, UNAUTHORIZED = 18, 13
RETENTION_SECONDS_MAXIMUM = 7 * 24 * 3600
"""Of DocumentDB's change stream log."""


class DocumentDbSource:
    """
    Args:
        enter: where the cluster is and who to be there, asked at each ``open``.
        clock: the real one, as the cluster's is.
    """

    def __init__(self, mapping: EventSourceMapping, enter: Callable[[], ClusterAddress], clock: Clock) -> None:
        self._arn = mapping.source_arn
        config = mapping.members["DocumentDBEventSourceConfig"]
        self._database = str(config["DatabaseName"])
        self._collection = config.get("CollectionName") or None
        self._full_document = "updateLookup" if config.get("FullDocument") == "UpdateLookup" else None
        self._starting_position = str(mapping.members.get("StartingPosition", "LATEST"))
        self._starting_timestamp = float(mapping.members.get("StartingPositionTimestamp") or 0)
        self._enter = enter
        self._clock = clock
        self._client: MongoClient[dict[str, Any]] | None = None
        self._stream: Any = None

    def open(self, token: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        self.close()
        try:
            stands_at: Mapping[str, Any] | None = self._asked(lambda: self._open(token))
        except SourceError:
            self.close()
            raise
        return stands_at

    def read(self, most: int, wait_seconds: float) -> Sequence[SourceRecord]:
        stream = self._stream
        if stream is None:
            raise SourceError("The change stream is closed.")
        records: Sequence[SourceRecord] = self._asked(lambda: self._read(stream, most, wait_seconds))
        return records

    def position(self) -> Mapping[str, Any] | None:
        token = None if self._stream is None else self._stream.resume_token
        return None if token is None else _document(token)

    def verify(self, token: Mapping[str, Any] | None) -> None:
        if token is None:
            return

        def look() -> None:
            with self._watch(resume_after=_token(token)):
                pass

        self._asked(look)

    def event(self, records: Sequence[SourceRecord]) -> dict[str, Any]:
        events = [{"event": dict(record.read_document())} for record in records]
        return {"eventSourceArn": self._arn, "events": events, "eventSource": "aws:docdb"}

    def backlog(self) -> int | None:
        return None

    def close(self) -> None:
        stream, self._stream = self._stream, None
        client, self._client = self._client, None
        for one in (stream, client):
            if one is not None:
                try:
                    one.close()
                except PyMongoError:
                    continue

    def _open(self, token: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        address = self._enter()
        self._client = MongoClient(
            address.url,
            appname="lambda-event-source-mapping",
            **_timeouts(address.url),
            **address.options(),
        )
        if token is not None:
            self._stream = self._watch(resume_after=_token(token))
        elif self._starting_position == "AT_TIMESTAMP":
            self._stream = self._watch(start_at_operation_time=Timestamp(int(self._starting_timestamp), 1))
        elif self._starting_position == "TRIM_HORIZON":
            self._stream = self._watch_from_the_beginning()
        else:
            self._stream = self._watch()
        return self.position()

    def _watch(self, **position: Any) -> Any:
        assert self._client is not None, "open comes first"
        database = self._client[self._database]
        watched: Any = database if self._collection is None else database[self._collection]
        return watched.watch(full_document=self._full_document, max_await_time_ms=AWAIT_MS, **position)

    def _watch_from_the_beginning(self) -> Any:
        """The oldest point that the cluster still accepts. It is not told, so it is searched: in the whole of the
        longest retention by halves, to the second.
        """
        now = int(self._clock.now())
        refused, accepted = now - RETENTION_SECONDS_MAXIMUM, now
        stream = self._try_at(refused)
        while stream is None and accepted - refused > 1:
            middle = (accepted + refused) // 2
            tried = self._try_at(middle)
            if tried is None:
                refused = middle
            else:
                tried.close()
                accepted = middle
        return stream if stream is not None else self._watch(start_at_operation_time=Timestamp(accepted, 1))

    def _try_at(self, seconds: int) -> Any:
        try:
            return self._watch(start_at_operation_time=Timestamp(seconds, 1))
        except OperationFailure as refusal:
            if refusal.code in HISTORY_LOST_CODES:
                return None
            raise

    def _read(self, stream: Any, most: int, wait_seconds: float) -> list[SourceRecord]:
        records: list[SourceRecord] = []
        size_bytes, until = 0, self._clock.monotonic() + wait_seconds
        while len(records) < most and size_bytes < SYNC_PAYLOAD_BYTES:
            change = stream.try_next()
            if change is not None:
                records.append(self._record(change))
                size_bytes += records[-1].size_bytes
            elif records or self._clock.monotonic() >= until:
                break
        return records

    def _record(self, change: Mapping[str, Any]) -> SourceRecord:
        text = json_util.dumps(change, json_options=json_util.RELAXED_JSON_OPTIONS, ensure_ascii=False)
        cluster_time = change.get("clusterTime")
        arrived_at = float(cluster_time.time) if isinstance(cluster_time, Timestamp) else self._clock.now()
        return SourceRecord(
            identifier=json_util.dumps(change["_id"]),
            lane=None,
            arrived_at=arrived_at,
            size_bytes=len(text.encode()) + len('{"event":}'),
            document=json.loads(text),
            handle=_document(change["_id"]),
        )

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except OperationFailure as refusal:
            raise _told(refusal) from refusal
        except ConfigurationError as wrong:
            raise SourceError(f"{CONFIGURATION} {wrong}", passes=False) from wrong
        except PyMongoError as trouble:
            raise SourceError(f"The cluster {self._arn} cannot be reached: {trouble}") from trouble


def _timeouts(url: str) -> dict[str, Any]:
    """What the URL does not say itself: pymongo would prefer ours."""
    names = ("serverSelectionTimeoutMS", "connectTimeoutMS")
    return {name: CONNECT_MS for name in names if name.lower() not in url.lower()}


def _told(refusal: OperationFailure) -> SourceError:
    text = str((refusal.details or {}).get("errmsg") or refusal)
    if refusal.code in HISTORY_LOST_CODES:
        return HistoryLostError(text, passes=False)
    if refusal.code == AUTHENTICATION_FAILED:
        return SourceError(f"{AUTHENTICATION} {text}", passes=False)
    if refusal.code == UNAUTHORIZED:
        return SourceError(f"{AUTHORIZATION} {text}", passes=False)
    return SourceError(f"The cluster has refused: {text}")


def _document(token: Mapping[str, Any]) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(json_util.dumps(token, json_options=json_util.CANONICAL_JSON_OPTIONS))
    return document


def _token(document: Mapping[str, Any]) -> Mapping[str, Any]:
    token: Mapping[str, Any] = json_util.loads(json.dumps(document), json_options=json_util.CANONICAL_JSON_OPTIONS)
    return token
