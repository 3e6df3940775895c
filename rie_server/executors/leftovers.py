"""Finds and ends processes that have left the group they were started in. Linux; elsewhere nothing is found.

Reads /proc, which no lock protects: a process may end at any moment, and every function bears that. Thread-safe.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from rie_server.owner import start_ticks

_PROC = Path("/proc")


def marked_processes(marker: bytes) -> Iterator[int]:
    """Processes whose environment holds ``marker``: children inherit it whatever session they move to."""
    for process_id in _process_ids():
        try:
            environment = (_PROC / str(process_id) / "environ").read_bytes()
        except OSError:
            continue
        if marker in environment:
            yield process_id


def kill_marked(marker: bytes) -> int:
    """Ends every process with ``marker``; returns how many."""
    return signal_marked(marker, signal.SIGKILL)


def signal_marked(marker: bytes, number: signal.Signals) -> int:
    """Sends a signal to every process with ``marker``; returns to how many."""
    return sum(one != os.getpid() and _send(one, number) for one in marked_processes(marker))


def kill_session(leader: int, leader_started: object) -> int:
    """Ends the processes of a session that was started by ``leader``; returns how many.

    Nothing happens when the number belongs to another process by now.
    """
    now = start_ticks(leader)
    if now is not None and now != leader_started:
        return 0
    found = 0
    for process_id in _process_ids():
        with contextlib.suppress(OSError):
            if os.getsid(process_id) == leader and _send(process_id, signal.SIGKILL):
                found += 1
    return found


def _send(process_id: int, number: signal.Signals) -> bool:
    try:
        os.kill(process_id, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _process_ids() -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())
