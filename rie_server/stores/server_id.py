"""The id of a data folder: what marks the containers and processes of this server, also after a crash.

It lies in a file of the folder and not in the database, because two servers may share a database and must not take
each other's environments for orphans. Thread-safe and safe against other processes: whoever writes first, wins.
"""

import os
import re
import secrets
from pathlib import Path

from rie_server.errors import ConfigurationError

_FILE = "server-id"


def server_id(data_dir: Path) -> str:
    """16 hex digits, made at the first call and the same ever after.

    Raises:
        ConfigurationError: the folder cannot be written, or the file holds something else.
    """
    path = data_dir / _FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        found = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as failure:
        raise ConfigurationError(f"The data folder {data_dir} cannot be used: {failure.strerror}.") from failure
    if not re.fullmatch(r"[0-9a-f]{16}", found):
        raise ConfigurationError(f"{path} does not hold the id of a server.")
    return found


def _create(path: Path) -> None:
    # A link, unlike a rename, fails when another process was quicker; and the name appears only with its content.
    draft = path.with_name(f"{_FILE}.{secrets.token_hex(8)}")
    try:
        with draft.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(8) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
