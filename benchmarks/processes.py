"""Child processes: started in a session of their own, watched, and ended by their process id, with all they started.

Linux only (``/proc``). Not thread-safe: one thread starts and ends them.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
START_SECONDS_AT_MOST = 20.0
STOP_SECONDS_AT_MOST = 15.0
CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_PARENT, _USER_TICKS, _SYSTEM_TICKS, _START_TIME = 1, 11, 12, 19  # after the command's name in /proc/PID/stat


class ContenderFailed(Exception):  # noqa: N818 - reads as what happened
    """A child did not start, or did not answer as it must."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id with its start time: an id alone may have been given to another process meanwhile."""

    pid: int
    start_ticks: int


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields


def descendants(pid: int) -> list[ProcessIdentity]:
    """``pid`` and every living process below it; parents come before their children."""
    processes = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found: list[ProcessIdentity] = []
    generation = [pid]
    while generation:
        alive = [(one, fields) for one in generation if (fields := processes.get(one)) is not None]
        found += [ProcessIdentity(one, int(fields[_START_TIME])) for one, fields in alive]
        generation = [
            child
            for child, fields in processes.items()
            if fields is not None and int(fields[_PARENT]) in {one for one, _ in alive}
        ]
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that ``pids`` have spent so far."""
    spent = [fields for pid in pids if (fields := _stat(pid)) is not None]
    return sum(int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]) for fields in spent) / CLOCK_TICKS_PER_SECOND


def proportional_memory_mb(pids: Sequence[int]) -> float:
    """Resident memory of ``pids`` in MB, with pages they share counted once (PSS)."""
    kilobytes = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(**more: str) -> dict[str, str]:
    """What every contender starts with, so that no setting of the caller's shell favours one of them."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp", **more}


class ChildProcess:
    """A contender's process. Output goes to a file: a pipe would need a reader, and the reader processor time."""

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log_name: str = "output.log"
    ) -> None:
        self.log_path = folder / log_name
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._command = command[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def log_tail(self, characters: int = 1500) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-characters:]

    def wait_until(self, is_ready: Callable[[], bool], *, seconds: float = START_SECONDS_AT_MOST) -> None:
        """Asks ``is_ready`` every few milliseconds.

        Raises:
            ContenderFailed: the process has ended or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.has_ended():
                raise ContenderFailed(f"exit status {self._process.returncode} at start: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise ContenderFailed(f"not ready after {seconds:g} s: {self.log_tail()}")
            time.sleep(0.002)

    def listens_on(self, port: int, *, seconds: float = START_SECONDS_AT_MOST) -> None:
        """Waits until something accepts connections on loopback ``port``."""
        self.wait_until(lambda: accepts_connections(port), seconds=seconds)

    def end(self) -> list[str]:
        """Asks the process to end (SIGTERM), then makes it; returns the command lines of those that outlived it.

        What it left behind is killed as well: a benchmark leaves nothing on the machine.
        """
        family = descendants(self.pid)
        if not self.has_ended():
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS_AT_MOST)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS_AT_MOST)
        orphans = [one for one in family if one.pid != self.pid and _is_alive(one)]
        told = [command_line(one.pid) for one in orphans]
        for one in orphans:
            _kill(one)
        return told


def accepts_connections(port: int, host: str = LOOPBACK) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def _is_alive(process: ProcessIdentity) -> bool:
    fields = _stat(process.pid)
    return fields is not None and int(fields[_START_TIME]) == process.start_ticks


def _kill(process: ProcessIdentity) -> None:
    if _is_alive(process):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
