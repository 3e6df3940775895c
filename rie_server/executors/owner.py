"""Which server process an environment belongs to, and whether that one still lives.

Two workers of one data folder overlap during a reload and must not end each other's environments; a process id that is
used again by somebody else must not be taken for its former owner. Thread-safe: keeps nothing.
"""

import os
from pathlib import Path

from rie_server.model.owner import Owner, parse_owner, parse_process_status


def own_identity() -> str:
    """This process, as text. Changes after a fork."""
    return str(Owner(pid=os.getpid(), started_ticks=start_ticks(os.getpid()) or 0))


def start_ticks(process_id: int) -> int | None:
    """Clock ticks from boot to the process's start; None when it has ended or the system does not say."""
    try:
        status = parse_process_status(Path(f"/proc/{process_id}/stat").read_text(errors="replace"))
    except OSError:
        return None
    return status.started_ticks if status is not None and status.is_running else None


def is_alive(owner: str) -> bool:
    """False for text that names no owner. Where there is no ``/proc`` any process of the same id counts."""
    named = parse_owner(owner)
    if named is None or named.pid == 0:
        return False
    if Path("/proc/self/stat").exists():
        return start_ticks(named.pid) == named.started_ticks
    try:
        os.kill(named.pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
