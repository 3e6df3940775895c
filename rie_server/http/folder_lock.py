"""One server per data folder. Imported by the arbiter: the standard library only.

A server that shared the folder's database unasked would not know the functions that the other one makes, and would end
their events as those of deleted ones.
"""

import fcntl
import os
from pathlib import Path

from rie_server.errors import RieError

_FILE = "lock"


class FolderInUseError(RieError):
    """Another server that runs has the data folder."""


def lock_folder(folder: Path) -> int | None:
    """A descriptor that keeps ``folder`` for this process and the workers it forks, until the last of them has ended.

    None where there can be no lock: a folder that cannot be written is the worker's to report, and some file systems
    know no locks.

    Raises:
        FolderInUseError: another server has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderInUseError(
            f"Another server runs with the data folder {folder}; give this one its own (RIE_DATA_DIR)."
        ) from None
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
