"""Who holds a lease or owns an environment: one life of one server process, written as text.

Pure. A process id alone would soon belong to somebody else; together with the moment the process started and the boot
of its machine it names one process for ever. Reading them is the adapters' business.
"""

import re
from dataclasses import dataclass

_TEXT = re.compile(r"(\d+):(\d+)(?::([0-9a-f]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One process.

    Attributes:
        started_ticks: clock ticks from boot to the process's start; 0 where the system does not tell.
        boot: the first digits of the boot's id; empty where the system does not tell.
    """

    pid: int
    started_ticks: int
    boot: str = ""

    def __str__(self) -> str:
        base = f"{self.pid}:{self.started_ticks}"
        return f"{base}:{self.boot}" if self.boot else base


def parse_owner(text: str) -> Owner | None:
    """None for text that is no owner's."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    return Owner(pid=int(match[1]), started_ticks=int(match[2]), boot=match[3] or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """What ``/proc/PID/stat`` tells about a process."""

    state: str
    started_ticks: int

    @property
    def is_running(self) -> bool:
        """False for a process that has ended and only waits to be collected."""
        return self.state not in "ZXx"


def parse_process_status(stat: str) -> ProcessStatus | None:
    """Reads one line of ``/proc/PID/stat``; the command's name in it may hold spaces and parentheses."""
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or not fields[19].isdigit():
        return None
    return ProcessStatus(state=fields[0], started_ticks=int(fields[19]))
