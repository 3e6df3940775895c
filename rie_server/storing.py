"""The fourth page of ports: what keeps records, code and events, and where code comes from.

Unless a port says otherwise its methods may be called from any thread.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rie_server.limits import ZIP_BYTES
from rie_server.model.async_event import QueuedEvent
from rie_server.model.function_code import StoredCode
from rie_server.ports import OnDurable


class FunctionStore(Protocol):
    """Durable control-plane records, one JSON document per key: an unqualified function ARN, or the name of something
    else after a word that tells what it is (``gone``: a deleted function; ``layer``; ...).
    """

    def load(self, prefix: str = "") -> Mapping[str, Mapping[str, Any]]:
        """All documents whose key begins with ``prefix``, by key; called at start."""

    def has(self, key: str) -> bool:
        """Whether there is such a document now, whoever has saved it."""

    def save(self, key: str, document: Mapping[str, Any]) -> None:
        """Inserts or replaces; returns after the commit is durable."""

    def delete(self, key: str) -> None: ...


class CodeStore(Protocol):
    """Function code by content: the same zip is kept once."""

    def put(self, zip_bytes: bytes, *, zip_limit_bytes: int = ZIP_BYTES) -> StoredCode:
        """Checks and stores a zip, and unpacks it.

        Args:
            zip_limit_bytes: AWS's limit is for zips in a request; one from S3 may be as large as it unpacks to.

        Raises:
            RequestEntityTooLargeException: larger than ``zip_limit_bytes``.
            InvalidParameterValueException: not a zip, unsafe names (zip slip), or larger than 250 MB unpacked.
            ServiceException: it cannot be stored, for example because the disk is full.
        """

    def directory(self, sha256: str) -> Path:
        """The unpacked code, world-readable; unpacked again if it was lost."""

    def layered(self, digests: Sequence[str]) -> Path:
        """What these zips make unpacked, each over those before it; of one alone its ``directory``. It counts as
        ``model.layer.merged_digest`` when the unreferenced are deleted.
        """

    def read_zip(self, sha256: str) -> bytes: ...

    def delete_unreferenced(self, referenced: Sequence[str]) -> None:
        """Removes every zip, and every folder, that is not among ``referenced``. The caller sees to it that
        no code is being put whose record is still to be saved.
        """


class EventStore(Protocol):
    """The durable queue behind ``InvocationType=Event``. Leases run by a clock that all its users share.

    ``add``, ``save`` and ``remove`` return at once; ``on_durable`` is called after the commit (or with what went
    wrong), once, from the store's thread, and must not block. Other methods block, and see what was durable by then.
    """

    def add(self, event: QueuedEvent, on_durable: OnDurable) -> None:
        """Queues an event, due at once."""

    def lanes(self) -> Mapping[str, float]:
        """Lanes that have unclaimed events, and when the first of each is due. Cheap, however many events there are."""

    def claim(
        self, owner: str, allotted: Mapping[str, int], *, now: float, lease_seconds: float
    ) -> Sequence[QueuedEvent]:
        """Takes up to ``allotted`` unclaimed events of each lane, due at ``now``, oldest first, for ``owner``."""

    def save(self, event: QueuedEvent, owner: str, due_at: float | None, on_durable: OnDurable) -> None:
        """Writes how an event stands; gives it back, due at ``due_at``, or with None leaves it claimed. ``on_durable``
        gets a LeaseLostError, and nothing has changed, where ``owner`` does not hold the event.
        """

    def remove(self, request_id: str, owner: str, on_durable: OnDurable) -> None:
        """Harmless where ``owner`` does not hold the event."""

    def renew(self, owner: str, lease_seconds: float) -> None:
        """All claims of ``owner`` last for ``lease_seconds`` from now."""

    def release(self, is_gone: Callable[[str], bool]) -> int:
        """Ends claims whose owner is gone and claims whose lease has expired; returns how many."""

    def __iter__(self) -> Iterator[QueuedEvent]:
        """All events, claimed or not, oldest first."""


class ObjectStorage(Protocol):
    """S3, for function code."""

    def get(self, bucket: str, key: str, version: str | None, *, region: str) -> bytes:
        """The object's bytes.

        Raises:
            InvalidParameterValueException: AWS's words for NoSuchKey, NoSuchBucket, AccessDenied.
        """
