"""Function code on its way in, and out again when nothing needs it any more.

``incoming`` fetches, checks and unpacks on its caller's thread, because that may take seconds; meanwhile the writer
thread knows that the code is on its way, so that it cannot be swept before a record refers to it. Sweeping and what
belongs to it is the writer thread's alone.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial

from rie_server.limits import UNZIPPED_BYTES, ZIP_BYTES
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.deployment import code_sha256
from rie_server.model.function import FunctionVersion
from rie_server.model.function_code import CodeSource, ContainerImage, StoredObject, UploadedZip
from rie_server.model.function_record import CodeReference, Deployment, runnable
from rie_server.model.layer import LayerArn, LayerReference
from rie_server.model.layer_rules import check_unzipped_size
from rie_server.ports import Clock
from rie_server.registry.code_storage import CodeStorage
from rie_server.storing import CodeStore, ObjectStorage

# Has something carried out on the registry's writer thread; RuntimeError when the registry is closed.
Submit = Callable[[Callable[[], None]], "Future[None]"]

# An invocation that began on retired code may run for 15 minutes, and its environment for a moment longer.
RETIRED_CODE_SECONDS = 20 * 60.0


class CodeKeeper:
    """Brings code into the code store and removes it some time after its last use."""

    def __init__(
        self, *, store: CodeStore, storage: CodeStorage, objects: ObjectStorage, clock: Clock, submit: Submit
    ) -> None:
        self._submit = submit
        self._will_sweep = False
        self._on_the_way: Counter[str] = Counter()
        self._store = store
        self._storage = storage
        self._objects = objects
        self._clock = clock
        self._retired_at: dict[str, float] = {}
        self._holders: list[Callable[[], frozenset[str]]] = []

    def hold(self, digests: Callable[[], frozenset[str]]) -> None:
        """What ``digests`` gives is kept, for as long as it gives it."""
        self._holders.append(digests)

    @contextmanager
    def incoming(self, source: CodeSource, *, region: str) -> Iterator[CodeReference]:
        """Code that is stored, and kept while the caller has a record made that refers to it. Blocks, on S3 also; not
        for the writer thread.

        Raises:
            InvalidParameterValueException: not a zip that may be unpacked, or AWS's words for what S3 answered.
            RequestEntityTooLargeException: the zip itself is too large.
        """
        if isinstance(source, ContainerImage):
            yield CodeReference(package_type="Image", sha256="", size_bytes=0, image_uri=source.uri)
            return
        content = self._fetch(source, region)
        digest = code_sha256(content)
        self._submit(lambda: self._on_the_way.update([digest])).result()
        try:
            yield self._stored(source, content)
        except BaseException:
            self._submit(partial(self.retire, [digest])).result()
            raise
        finally:
            self._submit(partial(self._arrived, digest))

    def _arrived(self, digest: str) -> None:
        self._on_the_way[digest] -= 1
        if not self._on_the_way[digest]:
            del self._on_the_way[digest]

    def check(self, code: CodeReference, owner: FunctionArn | LayerArn, layers: Sequence[LayerReference] = ()) -> None:
        """Lets code pass that is to be kept for ``owner``, and run together with ``layers``.

        Raises:
            CodeStorageExceededException: there is no room for so much more.
            InvalidParameterValueException: with the layers it is more than AWS allows.
        """
        self._storage.check_room(owner.region, owner.account, code.size_bytes)
        check_unzipped_size(code.unzipped_bytes, layers)

    def _fetch(self, source: UploadedZip | StoredObject, region: str) -> bytes:
        if isinstance(source, UploadedZip):
            return source.content
        return self._objects.get(source.bucket, source.key, source.version, region=region)

    def _stored(self, source: CodeSource, content: bytes) -> CodeReference:
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
        if self._retired_at and not self._will_sweep:
            self._will_sweep = True
            self._clock.call_later(RETIRED_CODE_SECONDS + 1, self._sweep_soon)

    def _sweep_soon(self) -> None:
        """On the clock's thread."""
        with suppress(RuntimeError):  # the registry is closed: its next start sweeps everything
            self._submit(self._sweep_in_time)

    def _sweep_in_time(self) -> None:
        self._will_sweep = False
        self.sweep()
        self.retire(())

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
        self._store.delete_unreferenced(sorted(self._held() | self._retired_at.keys() | self._on_the_way.keys()))

    def _held(self) -> frozenset[str]:
        return frozenset().union(*(digests() for digests in self._holders))


def code_token(sha256: str) -> str:
    """``CodeSha256`` in letters that a URL can carry."""
    return base64.b64decode(sha256).hex()
