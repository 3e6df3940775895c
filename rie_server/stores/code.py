"""Function code by content: ``HEX.zip`` and, unpacked, ``HEX/``, where HEX is the zip's SHA-256. What several
layers make together is a folder ``HEX/`` without a zip.

The zip is the truth: it is on disk, synced, before anything refers to it. The unpacked tree appears whole or not at
all (built under a draft name, then renamed) but is not synced file by file, which would take seconds; after the
machine has started anew it is therefore thrown away and made again from the zip. Drafts that a crash left are swept at
start. Thread-safe, and safe against other processes on the same folder.
"""

import base64
import binascii
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rie_server.errors import ConfigurationError, RequestEntityTooLargeException, ServiceException
from rie_server.limits import UNZIPPED_BYTES, ZIP_BYTES
from rie_server.model.function_code import StoredCode
from rie_server.model.layer import merged_digest
from rie_server.owner import boot_id, current_owner, is_alive
from rie_server.stores.merging import merge
from rie_server.stores.unzip import unpack

_HEX = re.compile(r"[0-9a-f]{64}")
_DRAFT = ".draft-"
_BOOT_FILE = ".boot"


class ZipCodeStore:
    """Fills ``ports.CodeStore``."""

    def __init__(self, folder: Path, *, unzipped_limit_bytes: int = UNZIPPED_BYTES) -> None:
        """Makes the folder and sweeps it.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        self._folder = folder
        self._unzipped_limit_bytes = unzipped_limit_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
            self._sweep()
        except OSError as failure:
            raise ConfigurationError(f"The code folder {folder} cannot be used: {failure.strerror}.") from failure

    def put(self, zip_bytes: bytes, *, zip_limit_bytes: int = ZIP_BYTES) -> StoredCode:
        if len(zip_bytes) > zip_limit_bytes:
            raise RequestEntityTooLargeException(f"Zipped size must be smaller than {zip_limit_bytes} bytes")
        digest = hashlib.sha256(zip_bytes)
        tree = self._folder / digest.hexdigest()
        with _full_disk_is_our_fault():
            if tree.is_dir() and self._zip_path(digest.hexdigest()).is_file():
                unzipped_bytes = _size_bytes(tree)
            else:
                unzipped_bytes = self._store(zip_bytes, digest.hexdigest())
        return StoredCode(
            sha256=base64.b64encode(digest.digest()).decode(),
            size_bytes=len(zip_bytes),
            unzipped_bytes=unzipped_bytes,
        )

    def directory(self, sha256: str) -> Path:
        name = _hex(sha256)
        tree = self._folder / name
        if not tree.is_dir():
            content = self.read_zip(sha256)
            with _full_disk_is_our_fault(), self._draft() as draft:
                unpack(content, draft, limit_bytes=self._unzipped_limit_bytes)
                _move_tree(draft, tree)
        return tree

    def layered(self, digests: Sequence[str]) -> Path:
        trees = [self.directory(digest) for digest in digests]
        if len(trees) == 1:
            return trees[0]
        tree = self._folder / _hex(merged_digest(digests))
        if not tree.is_dir():
            with _full_disk_is_our_fault(), self._draft() as draft:
                merge(trees, draft)
                _move_tree(draft, tree)
        return tree

    def read_zip(self, sha256: str) -> bytes:
        """The zip as it was put; ServiceException when it is not there."""
        try:
            return self._zip_path(_hex(sha256)).read_bytes()
        except OSError as failure:
            raise ServiceException(f"The code {sha256} is not in the code folder: {failure.strerror}.") from failure

    def delete_unreferenced(self, referenced: Sequence[str]) -> None:
        keep = {_hex(sha256) for sha256 in referenced}
        for path in list(self._folder.iterdir()):
            name = path.name.removesuffix(".zip")
            if _HEX.fullmatch(name) and name not in keep:
                self._delete(path)

    def _store(self, zip_bytes: bytes, name: str) -> int:
        with self._draft() as draft:
            tree, zip_path = draft / "tree", draft / "zip"
            tree.mkdir()
            unzipped_bytes = unpack(zip_bytes, tree, limit_bytes=self._unzipped_limit_bytes)
            with zip_path.open("xb") as file:
                file.write(zip_bytes)
                file.flush()
                os.fsync(file.fileno())
            zip_path.replace(self._zip_path(name))
            _sync_folder(self._folder)
            _move_tree(tree, self._folder / name)
        return unzipped_bytes

    def _delete(self, path: Path) -> None:
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return
        # A tree disappears at once, so that nobody finds half of one.
        with self._draft() as draft:
            _move_tree(path, draft / "tree")

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """A folder of one's own that is gone afterwards, whatever happens; after a crash, at the next start."""
        draft = self._folder / f"{_DRAFT}{current_owner()}-{secrets.token_hex(8)}"
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _sweep(self) -> None:
        for draft in self._folder.glob(f"{_DRAFT}*"):
            if not is_alive(draft.name.removeprefix(_DRAFT).rpartition("-")[0]):
                shutil.rmtree(draft, ignore_errors=True)
        boot_file, boot = self._folder / _BOOT_FILE, boot_id()
        if boot_file.is_file() and boot_file.read_text() == boot:
            return
        for path in list(self._folder.iterdir()):
            if _HEX.fullmatch(path.name):
                self._delete(path)
        boot_file.write_text(boot)

    def _zip_path(self, name: str) -> Path:
        return self._folder / f"{name}.zip"


def _hex(sha256: str) -> str:
    try:
        name = base64.b64decode(sha256, validate=True).hex()
    except binascii.Error:
        name = ""
    if not _HEX.fullmatch(name):
        raise ServiceException(f"{sha256} is no CodeSha256.")
    return name


def _move_tree(source: Path, target: Path) -> None:
    """Renames a folder; harmless when somebody else was quicker, in either direction."""
    try:
        source.rename(target)
    except FileNotFoundError:
        if source.exists():
            raise
    except OSError:
        if not target.is_dir():
            raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size_bytes(tree: Path) -> int:
    return sum(
        (Path(folder) / name).lstat().st_size
        for folder, _, names in os.walk(tree)
        for name in names
        if not (Path(folder) / name).is_symlink()
    )


@contextmanager
def _full_disk_is_our_fault() -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise ServiceException(f"The function's code cannot be stored: {failure.strerror}.") from failure
