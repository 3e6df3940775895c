"""Peak memory of one environment, cheap enough to ask after every invocation. Thread-safe.

Two sources: the first process's own high-water mark, and its group's, which also counts children. The kernel moves a
process into its group only after it has started, so neither alone is right.
"""

import os

from rie_server.executors.cgroup import MemoryFiles
from rie_server.ports import Clock

_MARK = b"VmHWM:"


class MemoryGauge:
    """A peak never falls, so readers and a late writer need no lock: the higher figure wins."""

    __slots__ = ("_clock", "_files", "_peak_bytes", "_raw_peak_bytes", "_read_at", "_status")

    def __init__(self, *, process_id: int, files: MemoryFiles | None, clock: Clock) -> None:
        self._status = f"/proc/{process_id}/status"
        self._files = files
        self._clock = clock
        self._peak_bytes = 0
        self._raw_peak_bytes = 0
        self._read_at = float("-inf")

    def peak_mb(self, max_age_seconds: float) -> int:
        now = self._clock.monotonic()
        if now - self._read_at >= max_age_seconds:
            self._read_at = now
            self.read()
        return -(-self._peak_bytes // (1024 * 1024))

    def read(self) -> None:
        """Reads now; also right after the end, as long as the group is there."""
        raw = 0
        if self._files is not None:
            raw = self._files.raw_peak_bytes()
            if 0 < raw <= self._raw_peak_bytes:
                # The costly files can tell nothing new.
                return
        peak = max(self._peak_bytes, _high_water_mark_bytes(self._status))
        if self._files is not None:
            peak = self._files.without_cache(raw, at_least=peak)
            self._raw_peak_bytes = raw
        self._peak_bytes = max(self._peak_bytes, peak)


def _high_water_mark_bytes(status: str) -> int:
    try:
        file = os.open(status, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        text = os.read(file, 4096)
    except OSError:
        return 0
    finally:
        os.close(file)
    at = text.find(_MARK)
    # A process that has just ended has no memory and no such line.
    return int(text[at + len(_MARK) : text.index(b"kB", at)]) * 1024 if at >= 0 else 0
