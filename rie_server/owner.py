"""Which server process this is, and whether another one still lives. Thread-safe; reads ``/proc`` if there is one."""

import os
from pathlib import Path

from rie_server.model.owner import Owner, ProcessStatus, parse_owner, parse_process_status


def current_owner() -> str:
    """This process, as text for a lease. Changes after a fork."""
    status = _status(os.getpid())
    return str(Owner(pid=os.getpid(), started_ticks=status.started_ticks if status else 0, boot=boot_id()[:8]))


def is_alive(owner: str) -> bool:
    """Whether the process that ``owner`` names still runs on this machine.

    False for text that names none. Where there is no ``/proc``, any process of the same id counts.
    """
    named = parse_owner(owner)
    if named is None or named.pid == 0 or named.boot != boot_id()[:8]:
        return False
    status = _status(named.pid)
    if status is not None:
        return status.is_running and status.started_ticks == named.started_ticks
    return named.started_ticks == 0 and _answers_signals(named.pid)


def boot_id() -> str:
    """Changes whenever the machine starts; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the process's start; None when it has ended or the system does not say."""
    status = _status(pid)
    return status.started_ticks if status is not None and status.is_running else None


def _status(pid: int) -> ProcessStatus | None:
    try:
        return parse_process_status(Path(f"/proc/{pid}/stat").read_text(errors="replace"))
    except OSError:
        return None


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
