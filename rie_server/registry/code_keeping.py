"""Function code on its way in, and out again when nothing needs it any more.

``fetch`` may be called from any thread. Everything else belongs to the registry's writer thread, so that a zip which
has just been stored cannot be swept before a record refers to it.
"""

import base64
from collections.abc import Iterable
from pathlib import Path

from rie_server.limits import UNZIPPED_BYTES, ZIP_BYTES
from rie_server.model.function_code import CodeSource, ContainerImage, StoredObject, UploadedZip
from rie_server.model.function_record import CodeReference
from rie_server.ports import Clock
from rie_server.storing import CodeStore, ObjectStorage

# An invocation that began on retired code may run for 15 minutes, and its environment for a moment longer.
RETIRED_CODE_SECONDS = 20 * 60.0


class CodeKeeper:
    """Brings code into the code store and removes it some time after its last use."""

    def __init__(self, *, store: CodeStore, objects: ObjectStorage, clock: Clock) -> None:
        self._store = store
        self._objects = objects
        self._clock = clock
        self._retired_at: dict[str, float] = {}

    def fetch(self, source: CodeSource, *, region: str) -> bytes:
        """The bytes of a zip; empty for an image. Blocks on S3.

        Raises:
            InvalidParameterValueException: AWS's words for what S3 answered.
        """
        if isinstance(source, UploadedZip):
            return source.content
        if isinstance(source, StoredObject):
            return self._objects.get(source.bucket, source.key, source.version, region=region)
        return b""

    def keep(self, source: CodeSource, content: bytes) -> CodeReference:
        """Stores what ``fetch`` brought.

        Raises:
            InvalidParameterValueException: not a zip that may be unpacked.
            RequestEntityTooLargeException: the zip itself is too large.
        """
        if isinstance(source, ContainerImage):
            return CodeReference(package_type="Image", sha256="", size_bytes=0, image_uri=source.uri)
        # AWS limits the zip of a request; one from S3 may be as large as what it unpacks to.
        limit_bytes = UNZIPPED_BYTES if isinstance(source, StoredObject) else ZIP_BYTES
        stored = self._store.put(content, zip_limit_bytes=limit_bytes)
        return CodeReference(package_type="Zip", sha256=stored.sha256, size_bytes=stored.size_bytes)

    def directory(self, code: CodeReference) -> Path | None:
        """Where the code lies unpacked; None for an image. Any thread: the record that names the code protects it."""
        return self._store.directory(code.sha256) if code.package_type == "Zip" else None

    def read(self, code: CodeReference) -> bytes:
        return self._store.read_zip(code.sha256)

    def retire(self, digests: Iterable[str]) -> None:
        """These are no longer referred to, by one record at least."""
        now = self._clock.monotonic()
        self._retired_at.update((digest, now) for digest in digests)

    def sweep(self, referenced: frozenset[str], *, everything: bool = False) -> None:
        """Removes zips that nobody refers to and that were retired long enough ago.

        ``everything`` is for the start of the server, when nothing can be running yet.
        """
        limit = self._clock.monotonic() - RETIRED_CODE_SECONDS
        expired = [digest for digest, retired_at in self._retired_at.items() if retired_at <= limit]
        if not expired and not everything:
            return
        for digest in expired:
            del self._retired_at[digest]
        self._store.delete_unreferenced(sorted(referenced | self._retired_at.keys()))


def code_token(code: CodeReference) -> str:
    """``CodeSha256`` in letters that a URL can carry."""
    return base64.b64decode(code.sha256).hex()
