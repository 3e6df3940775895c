"""Stores in memory, held to the same contract suites as the real ones (``tests/contract/test_*_store.py``)."""

import base64
import copy
import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rie_server.errors import (
    InvalidParameterValueException,
    LeaseLostError,
    RequestEntityTooLargeException,
    ServiceException,
)
from rie_server.limits import UNZIPPED_BYTES, ZIP_BYTES
from rie_server.model.async_event import QueuedEvent
from rie_server.model.function_code import StoredCode
from rie_server.model.layer import merged_digest


class MemoryFunctionStore:
    """Keeps copies, as a database would."""

    def __init__(self) -> None:
        self._documents: dict[str, Mapping[str, Any]] = {}

    def load(self, prefix: str = "") -> Mapping[str, Mapping[str, Any]]:
        return copy.deepcopy({key: document for key, document in self._documents.items() if key.startswith(prefix)})

    def has(self, key: str) -> bool:
        return key in self._documents

    def save(self, key: str, document: Mapping[str, Any]) -> None:
        self._documents[key] = copy.deepcopy(dict(document))

    def delete(self, key: str) -> None:
        self._documents.pop(key, None)


class _Row:
    def __init__(self, event: QueuedEvent) -> None:
        self.event = event
        self.due_at = event.enqueued_at
        self.owner: str | None = None
        self.lease_ends = 0.0


class MemoryEventStore:
    """Commits at once and calls back on the caller's thread.

    Attributes:
        failure: while set, no write is carried out, and each reports it.
        claims: how often ``lanes`` or ``claim`` was called.
        lease_clock: what leases run by, in seconds; the test moves it.
        renewals: how often ``renew`` was called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}
        self.failure: Exception | None = None
        self.claims = 0
        self.lease_clock = 0.0
        self.renewals = 0

    def add(self, event: QueuedEvent, on_durable: Callable[[Exception | None], None]) -> None:
        with self._lock:
            error = self.failure
            if error is None and event.request.request_id in self._rows:
                error = ServiceException("This request id is queued already.")
            if error is None:
                self._rows[event.request.request_id] = _Row(event)
        on_durable(error)

    def lanes(self) -> Mapping[str, float]:
        with self._lock:
            self.claims += 1
            if self.failure is not None:
                raise self.failure
            lanes: dict[str, float] = {}
            for row in self._rows.values():
                if row.owner is None:
                    lanes[row.event.lane] = min(row.due_at, lanes.get(row.event.lane, row.due_at))
            return dict(sorted(lanes.items()))

    def claim(
        self, owner: str, allotted: Mapping[str, int], *, now: float, lease_seconds: float
    ) -> Sequence[QueuedEvent]:
        with self._lock:
            self.claims += 1
            if self.failure is not None:
                raise self.failure
            claimed: list[QueuedEvent] = []
            for lane, most in allotted.items():
                due = [
                    row
                    for row in self._rows.values()
                    if row.owner is None and row.due_at <= now and row.event.lane == lane
                ]
                for row in sorted(due, key=lambda row: row.due_at)[:most]:
                    row.owner = owner
                    row.lease_ends = self.lease_clock + lease_seconds
                    claimed.append(row.event)
            return claimed

    def save(
        self, event: QueuedEvent, owner: str, due_at: float | None, on_durable: Callable[[Exception | None], None]
    ) -> None:
        with self._lock:
            error, row = self.failure, self._rows.get(event.request.request_id)
            if error is None and (row is None or row.owner != owner):
                error = LeaseLostError()
            if error is None and row is not None:
                row.event = event
                if due_at is not None:
                    row.owner, row.due_at = None, due_at
        on_durable(error)

    def remove(self, request_id: str, owner: str, on_durable: Callable[[Exception | None], None]) -> None:
        with self._lock:
            error, row = self.failure, self._rows.get(request_id)
            if error is None and row is not None and row.owner == owner:
                del self._rows[request_id]
        on_durable(error)

    def renew(self, owner: str, lease_seconds: float) -> None:
        with self._lock:
            self.renewals += 1
            for row in self._rows.values():
                if row.owner == owner:
                    row.lease_ends = self.lease_clock + lease_seconds

    def release(self, is_gone: Callable[[str], bool]) -> int:
        with self._lock:
            claimed = [(row, row.owner) for row in self._rows.values() if row.owner is not None]
            released = [row for row, owner in claimed if is_gone(owner) or row.lease_ends < self.lease_clock]
            for row in released:
                row.owner = None
            return len(released)

    def __iter__(self) -> Iterator[QueuedEvent]:
        with self._lock:
            return iter([row.event for row in self._rows.values()])


class MemoryCodeStore:
    """Keeps zips in memory and unpacks what is asked for under ``folder``, trusting every zip."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zips: dict[str, bytes] = {}

    def put(self, zip_bytes: bytes, *, zip_limit_bytes: int = ZIP_BYTES) -> StoredCode:
        if len(zip_bytes) > zip_limit_bytes:
            raise RequestEntityTooLargeException(f"Zipped size must be smaller than {zip_limit_bytes} bytes")
        try:
            with zipfile.ZipFile(io.BytesIO(zip_bytes)) as archive:
                unzipped_bytes = sum(entry.file_size for entry in archive.infolist())
        except zipfile.BadZipFile:
            raise InvalidParameterValueException(
                "Could not unzip uploaded file. Please check your file, then try to upload again."
            ) from None
        if unzipped_bytes > UNZIPPED_BYTES:
            raise InvalidParameterValueException(f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes")
        sha256 = base64.b64encode(hashlib.sha256(zip_bytes).digest()).decode()
        self._zips[sha256] = zip_bytes
        return StoredCode(sha256=sha256, size_bytes=len(zip_bytes), unzipped_bytes=unzipped_bytes)

    def directory(self, sha256: str) -> Path:
        tree = self._folder / base64.b64decode(sha256).hex()
        if not tree.is_dir():
            with zipfile.ZipFile(io.BytesIO(self.read_zip(sha256))) as archive:
                archive.extractall(tree)
        return tree

    def layered(self, digests: Sequence[str]) -> Path:
        trees = [self.directory(digest) for digest in digests]
        if len(trees) == 1:
            return trees[0]
        merged = self._folder / base64.b64decode(merged_digest(digests)).hex()
        for tree in trees:
            shutil.copytree(tree, merged, dirs_exist_ok=True)
        return merged

    def read_zip(self, sha256: str) -> bytes:
        if sha256 not in self._zips:
            raise ServiceException(f"The code {sha256} is not in the code folder.")
        return self._zips[sha256]

    def delete_unreferenced(self, referenced: Sequence[str]) -> None:
        self._zips = {sha256: content for sha256, content in self._zips.items() if sha256 in referenced}
