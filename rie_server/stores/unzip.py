"""Unpacks a zip that may have been made to do harm.

The plan of what will be written is complete and checked before the first byte is; names that leave the folder, links
that lead out of it, anything written through a link, devices, encryption, and bombs (by size, by number of entries, by
depth) are refused with AWS's words. Sizes are counted again while unpacking, because a zip may lie about them.
Thread-safe: works on nothing but the folder it is given.
"""

import errno
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from rie_server.errors import InvalidParameterValueException
from rie_server.limits import UNZIPPED_BYTES

# Of files, links and folders together. AWS names no limit; this one is far above any real package.
PATHS = 100_000
PATH_BYTES = 4096

_CENTRAL_DIRECTORY_ENTRY = b"PK\x01\x02"
_CHUNK_BYTES = 256 * 1024
_UNIX_SYSTEMS = (3, 19)  # Unix, macOS: the others keep no mode
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)
# The file system's ways to say that the zip's names are no good, as opposed to that it is full.
_BAD_NAME_ERRNOS = (
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EILSEQ,
    errno.EINVAL,
    errno.ELOOP,
)


def unreadable() -> InvalidParameterValueException:
    return InvalidParameterValueException(
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    )


def too_large(limit_bytes: int) -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Unzipped size must be smaller than {limit_bytes} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Paths relative to the folder; no file or link lies beneath a link or a file."""

    folders: tuple[PurePosixPath, ...]
    files: Mapping[PurePosixPath, zipfile.ZipInfo]
    links: Mapping[PurePosixPath, zipfile.ZipInfo]


def unpack(zip_bytes: bytes, folder: Path, *, limit_bytes: int = UNZIPPED_BYTES) -> int:
    """Unpacks into ``folder``, which must be empty; returns the size of all files in bytes.

    Folders become 755, files 644 or, where the zip marks them executable, 755, whatever the umask.

    Raises:
        InvalidParameterValueException: the zip is refused; the folder may then hold a part of it.
        OSError: the file system refuses to write.
    """
    # The module that reads zips keeps an object per entry: count them before it does.
    if zip_bytes.count(_CENTRAL_DIRECTORY_ENTRY) > PATHS:
        raise unreadable()
    try:
        with zipfile.ZipFile(io.BytesIO(zip_bytes)) as archive:
            plan = _plan(archive.infolist(), limit_bytes)
            return _carry_out(plan, archive, folder, limit_bytes)
    except _BROKEN as failure:
        raise unreadable() from failure
    except OSError as failure:
        if failure.errno in _BAD_NAME_ERRNOS:
            raise unreadable() from failure
        raise


def _plan(entries: list[zipfile.ZipInfo], limit_bytes: int) -> _Plan:
    if not entries:
        raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
    folders: set[PurePosixPath] = set()
    files: dict[PurePosixPath, zipfile.ZipInfo] = {}
    links: dict[PurePosixPath, zipfile.ZipInfo] = {}
    declared_bytes = 0
    for entry in entries:
        path = _safe_path(entry)
        kind = _kind(entry)
        declared_bytes += entry.file_size
        if declared_bytes > limit_bytes:
            raise too_large(limit_bytes)
        if kind != stat.S_IFDIR:
            # Of two entries with one name the later one counts, as with unzip.
            files.pop(path, None)
            links.pop(path, None)
            (links if kind == stat.S_IFLNK else files)[path] = entry
        _add_folders(folders, path if kind == stat.S_IFDIR else path.parent)
        if len(folders) + len(files) + len(links) > PATHS:
            raise unreadable()
    if not folders.isdisjoint(files.keys() | links.keys()):
        raise unreadable()
    shallow_first = sorted(folders - {PurePosixPath()}, key=lambda path: len(path.parts))
    return _Plan(folders=tuple(shallow_first), files=files, links=links)


def _add_folders(folders: set[PurePosixPath], path: PurePosixPath) -> None:
    while path not in folders:
        folders.add(path)
        path = path.parent


def _safe_path(entry: zipfile.ZipInfo) -> PurePosixPath:
    # orig_filename: the reader cuts a name at its first NUL, which would hide what follows.
    name = entry.orig_filename
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\0" in name
    nameless = path == PurePosixPath() and not name.endswith("/")
    if outside or nameless or len(name.encode("utf-8", "surrogateescape")) > PATH_BYTES:
        raise unreadable()
    return path


def _kind(entry: zipfile.ZipInfo) -> int:
    """S_IFDIR, S_IFLNK or S_IFREG; whatever else an entry may be, or be hidden by, is refused."""
    encrypted = entry.flag_bits & 0x1
    if encrypted or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise unreadable()
    kind = stat.S_IFMT(_unix_mode(entry))
    if entry.filename.endswith("/"):
        if kind not in (0, stat.S_IFDIR):
            raise unreadable()
        return stat.S_IFDIR
    if kind == stat.S_IFLNK and not 0 < entry.file_size <= PATH_BYTES:
        raise unreadable()
    if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise unreadable()
    return kind or stat.S_IFREG


def _unix_mode(entry: zipfile.ZipInfo) -> int:
    return entry.external_attr >> 16 if entry.create_system in _UNIX_SYSTEMS else 0


def _carry_out(plan: _Plan, archive: zipfile.ZipFile, folder: Path, limit_bytes: int) -> int:
    folder.chmod(0o755)
    for path in plan.folders:
        place = folder / path
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
    left_bytes = limit_bytes
    for path, entry in plan.files.items():
        mode = 0o755 if _unix_mode(entry) & 0o111 else 0o644
        with archive.open(entry) as source, (folder / path).open("xb") as target:
            left_bytes -= _copy(source, target, left_bytes, limit_bytes)
            os.fchmod(target.fileno(), mode)
    # Links come last, so that nothing can be written through one; and where they lead is asked of the finished tree,
    # because a link may be harmless by name and lead out by way of another link.
    for path, entry in plan.links.items():
        (folder / path).symlink_to(os.fsdecode(archive.read(entry)))
    for path in plan.links:
        _check_link(folder / path, folder)
    return limit_bytes - left_bytes


def _copy(source: IO[bytes], target: IO[bytes], left_bytes: int, limit_bytes: int) -> int:
    copied_bytes = 0
    while chunk := source.read(_CHUNK_BYTES):
        copied_bytes += len(chunk)
        if copied_bytes > left_bytes:
            raise too_large(limit_bytes)
        target.write(chunk)
    return copied_bytes


def _check_link(link: Path, folder: Path) -> None:
    leads_to = os.path.realpath(link)
    root = os.path.realpath(folder)
    if link.readlink().is_absolute() or os.path.commonpath((root, leads_to)) != root:
        raise unreadable()
