"""Turns what a template names into the zip that CreateFunction takes.

Deterministic: the same files give the same bytes, and so the same CodeSha256, at every start and in every clone; so an
unchanged function is known. Times are fixed, names are sorted, and of the permissions only "executable" counts.
"""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from rie_server.errors import ConfigurationError
from rie_server.limits import UNZIPPED_BYTES
from rie_server.model.template_code import InlineCode, LocalCode

_EARLIEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT_FOLDERS = frozenset(
    {"__pycache__", ".git", ".venv", ".aws-sam", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
)
_LEFT_OUT_FILES = frozenset({".DS_Store"})


def package(code: LocalCode | InlineCode) -> bytes:
    """The zip of ``code``; a file that is a zip already is taken as it is.

    Raises:
        ConfigurationError: nothing is there, it cannot be read, or it is larger than a function may be.
    """
    if isinstance(code, InlineCode):
        return _zip([(code.file_name, code.text.encode(), False)])
    try:
        if code.path.is_file():
            return code.path.read_bytes()
        if not code.path.is_dir():
            raise ConfigurationError(f"there is no {code.path}")
        return _zip(_files(code.path))
    except OSError as unreadable:
        raise ConfigurationError(f"{unreadable.filename}: {unreadable.strerror}") from None


def _files(folder: Path) -> Iterator[tuple[str, bytes, bool]]:
    """Every file below ``folder``: name, content, whether it is executable; links are followed, as `sam build` does."""
    total_bytes = 0
    visited = {folder.resolve()}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(
            name for name in folders if name not in _LEFT_OUT_FOLDERS and _is_new(parent, name, visited)
        )
        for name in sorted(names):
            if name in _LEFT_OUT_FILES or name.endswith(".pyc"):
                continue
            path = Path(parent, name)
            status = path.stat()
            total_bytes += status.st_size
            if total_bytes > UNZIPPED_BYTES:
                raise ConfigurationError(
                    f"{folder} holds more than {UNZIPPED_BYTES} bytes, the most a function may have"
                )
            yield path.relative_to(folder).as_posix(), path.read_bytes(), bool(status.st_mode & 0o100)


def _is_new(parent: str, name: str, visited: set[Path]) -> bool:
    """False for a link that leads back to a folder that was seen, which would never end."""
    path = Path(parent, name)
    if not path.is_symlink():
        return True
    target = path.resolve()
    if target in visited:
        return False
    visited.add(target)
    return True


def _zip(files: Iterator[tuple[str, bytes, bool]] | list[tuple[str, bytes, bool]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, executable in sorted(files):
            entry = zipfile.ZipInfo(name, _EARLIEST_ZIP_TIME)
            entry.create_system = 3  # Unix: without it the permissions mean nothing
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()
