"""Lays unpacked zips over one another, as ``/opt`` is made of layers.

Files are hard links where the file system has them, so layers cost their space once. Thread-safe: works on nothing but
the folders it is given.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path


def merge(trees: Sequence[Path], target: Path) -> None:
    """Fills ``target``, an empty folder, with what is in ``trees``: of one name the last one counts; a file takes the
    place of a whole folder, and a folder that of a file.

    Raises:
        OSError: the file system refuses.
    """
    target.chmod(0o755)
    for tree in trees:
        _lay(tree, target)


def _lay(source: Path, target: Path) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            place = target / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if not (is_folder and place.is_dir() and not place.is_symlink()):
                _clear(place)
            if is_folder:
                if not place.is_dir():
                    place.mkdir()
                    place.chmod(0o755)
                _lay(Path(entry.path), place)
            else:
                _link(Path(entry.path), place)


def _clear(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _link(source: Path, place: Path) -> None:
    if not source.is_symlink():
        with contextlib.suppress(OSError):  # too many links to one file, or a file system without them
            place.hardlink_to(source)
            return
    shutil.copy2(source, place, follow_symlinks=False)
