"""Function code on its way in, and out again when nothing needs it any more.

``fetch`` may be called from any thread. Everything else belongs to the registry's writer thread, so that a zip which
has just been stored cannot be swept before a record refers to it.
"""

import base64
from collections.abc import Callable, Iterable, Sequence

from rie_server.errors import LambdaError
from rie_server.limits import UNZIPPED_BYTES, ZIP_BYTES
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function import FunctionVersion
from rie_server.model.function_code import CodeSource, ContainerImage, StoredObject, UploadedZip
from rie_server.model.function_record import CodeReference, Deployment, runnable
from rie_server.model.layer import LayerArn, LayerReference
from rie_server.model.layer_rules import check_unzipped_size
from rie_server.ports import Clock
from rie_server.registry.code_storage import CodeStorage
from rie_server.storing import CodeStore, ObjectStorage

# An invocation that began on retired code may run for 15 minutes, and its environment for a moment longer.
RETIRED_CODE_SECONDS = 20 * 60.0


class CodeKeeper:
    """Brings code into the code store and removes it some time after its last use."""

    def __init__(self, *, store: CodeStore, storage: CodeStorage, objects: ObjectStorage, clock: Clock) -> None:
        self._store = store
        self._storage = storage
        self._objects = objects
        self._clock = clock
        self._retired_at: dict[str, float] = {}
        self._holders: list[Callable[[], frozenset[str]]] = []

    def hold(self, digests: Callable[[], frozenset[str]]) -> None:
        """What ``digests`` gives is kept, for as long as it gives it."""
        self._holders.append(digests)

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

    def keep(
        self, source: CodeSource, content: bytes, owner: FunctionArn | LayerArn, layers: Sequence[LayerReference] = ()
    ) -> CodeReference:
        """Stores what ``fetch`` brought, for ``owner``, and to be run together with ``layers``.

        Raises:
            CodeStorageExceededException: there is no room for so much more.
            InvalidParameterValueException: not a zip that may be unpacked, or with the layers more than AWS allows.
            RequestEntityTooLargeException: the zip itself is too large.
        """
        self._storage.check_room(owner.region, owner.account, len(content))
        code = self._stored(source, content)
        try:
            check_unzipped_size(code.unzipped_bytes, layers)
        except LambdaError:
            self.retire([code.sha256])
            raise
        return code

    def _stored(self, source: CodeSource, content: bytes) -> CodeReference:
        if isinstance(source, ContainerImage):
            return CodeReference(package_type="Image", sha256="", size_bytes=0, image_uri=source.uri)
        # AWS limits the zip of a request; one from S3 may be as large as what it unpacks to.
        limit_bytes = UNZIPPED_BYTES if isinstance(source, StoredObject) else ZIP_BYTES
        stored = self._store.put(content, zip_limit_bytes=limit_bytes)
        return CodeReference(
            package_type="Zip",
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            unzipped_bytes=stored.unzipped_bytes,
        )

    def runnable(self, arn: FunctionArn, deployment: Deployment, version: str = LATEST) -> FunctionVersion:
        """What the engine runs for ``deployment``, its code and layers unpacked. Any thread: the record that names them
        protects them.
        """
        code, layers = deployment.code, deployment.layer_digests
        directory = self._store.directory(code.sha256) if code.package_type == "Zip" else None
        merged = self._store.layered(layers) if layers else None
        return runnable(arn, deployment, directory, version, layers_directory=merged)

    def read(self, sha256: str) -> bytes:
        return self._store.read_zip(sha256)

    def digest_of(self, token: str) -> str | None:
        """The digest that ``code_token`` made ``token`` of, if anybody holds it."""
        return next((digest for digest in self._held() if code_token(digest) == token), None)

    def retire(self, digests: Iterable[str]) -> None:
        """These are no longer referred to, by one holder at least."""
        now = self._clock.monotonic()
        self._retired_at.update((digest, now) for digest in digests)

    def sweep(self, *, everything: bool = False) -> None:
        """Removes what nobody holds and what was retired long enough ago.

        ``everything`` is for the start of the server, when nothing can be running yet.
        """
        limit = self._clock.monotonic() - RETIRED_CODE_SECONDS
        expired = [digest for digest, retired_at in self._retired_at.items() if retired_at <= limit]
        if not expired and not everything:
            return
        for digest in expired:
            del self._retired_at[digest]
        self._store.delete_unreferenced(sorted(self._held() | self._retired_at.keys()))

    def _held(self) -> frozenset[str]:
        return frozenset().union(*(digests() for digests in self._holders))


def code_token(sha256: str) -> str:
    """``CodeSha256`` in letters that a URL can carry."""
    return base64.b64decode(sha256).hex()
