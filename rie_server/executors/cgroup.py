"""Control groups, version 1 and 2: memory and process limits, peak memory, out-of-memory kills, and an end for all.

Groups are made below the server's own group, so whatever limits the server limits its environments too. Everything
degrades: ``CgroupRoot.detect`` gives None where groups cannot be written. Thread-safe: state lives in the kernel.
"""

import contextlib
import errno
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from rie_server.ports import Clock

MOUNT = Path("/sys/fs/cgroup")
GROUP_PREFIX = "rie-"
_OWN_LEAF = "server-of-rie"
_KILL_ROUNDS = 20
_REMOVE_ATTEMPTS = 300
_REMOVE_PAUSE_SECONDS = 0.01


def cgroup_paths(process_id: int | str, *, mount: Path = MOUNT, proc: Path = Path("/proc")) -> dict[str, Path]:
    """Folder of a process's group by controller; ``""`` is version 2's. Empty when the process is gone."""
    paths: dict[str, Path] = {}
    try:
        lines = (proc / str(process_id) / "cgroup").read_text().splitlines()
    except OSError:
        return paths
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller == "":
                paths[""] = mount / path.lstrip("/")
            elif (mount / controller).is_dir():
                paths[controller] = mount / controller / path.lstrip("/")
    return paths


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFiles:
    """The files that tell a group's memory; the same for groups of ours and of a container engine."""

    peak: Path
    statistics: Path
    cache_key: bytes

    @classmethod
    def of(cls, paths: dict[str, Path]) -> "MemoryFiles | None":
        if (folder := paths.get("memory")) is not None:
            files = cls(
                peak=folder / "memory.max_usage_in_bytes", statistics=folder / "memory.stat", cache_key=b"total_cache "
            )
        elif (folder := paths.get("")) is not None:
            files = cls(peak=folder / "memory.peak", statistics=folder / "memory.stat", cache_key=b"file ")
        else:
            return None
        return files if files.peak.exists() else None

    def raw_peak_bytes(self) -> int:
        """What the kernel calls the peak; 0 when the group is gone."""
        return int(_read(self.peak) or 0)

    def without_cache(self, peak: int, *, at_least: int) -> int:
        """Highest use by processes. The kernel counts cached file pages too, which no function has asked for: what is
        cached now is taken off, but never below ``at_least``.
        """
        if peak <= at_least:
            return at_least
        statistics = _read(self.statistics)
        at = statistics.find(b"\n" + self.cache_key)
        if at >= 0:
            at += 1 + len(self.cache_key)
            peak -= int(statistics[at : statistics.index(b"\n", at)])
        return max(peak, at_least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroup:
    """One environment's group: one folder per controller in version 1, a single one in version 2."""

    folders: tuple[Path, ...]
    version: int

    @property
    def memory_files(self) -> MemoryFiles | None:
        return MemoryFiles.of({"memory" if self.version == 1 else "": self.folders[0]})

    def add(self, process_id: int) -> None:
        """Moves a process in; later children follow. A process that is gone already is no error."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                _write(folder / "cgroup.procs", str(process_id))

    def kill(self, *, rounds: int = _KILL_ROUNDS) -> None:
        """Ends every process in the group, also those that have left its session.

        One round takes microseconds; further ones find what was forked meanwhile. Frozen processes end, too.
        """
        with contextlib.suppress(OSError):
            _write(self.folders[0] / "cgroup.kill", "1")
            return
        for _ in range(rounds):
            members = self.members()
            if not members:
                return
            for process_id in members:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process_id, signal.SIGKILL)
            # A signal waits until its process is thawed, here in version 1.
            self.thaw()

    def freeze(self) -> bool:
        """Stops every process in the group for a while; False where the kernel does not offer that."""
        return self._set_frozen(frozen=True)

    def thaw(self) -> bool:
        """The opposite."""
        return self._set_frozen(frozen=False)

    def _set_frozen(self, *, frozen: bool) -> bool:
        if self.version == 1:
            files = [folder / "freezer.state" for folder in self.folders]
            text = "FROZEN" if frozen else "THAWED"
        else:
            files, text = [self.folders[0] / "cgroup.freeze"], str(int(frozen))
        for file in files:
            with contextlib.suppress(OSError):
                _write(file, text)
                return True
        return False

    def members(self) -> list[int]:
        return [int(word) for word in _read(self.folders[0] / "cgroup.procs").split()]

    def out_of_memory_kills(self) -> int:
        name, key = ("memory.oom_control", b"oom_kill ") if self.version == 1 else ("memory.events", b"oom_kill ")
        for line in _read(self.folders[0] / name).splitlines():
            if line.startswith(key):
                return int(line[len(key) :])
        return 0

    def remove(self) -> bool:
        """Removes the group; False while a process is still ending in it."""
        gone = True
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError as refused:
                gone = gone and refused.errno not in (errno.EBUSY, errno.ENOTEMPTY)
        return gone


def kill_and_remove(group: Cgroup, clock: Clock) -> bool:
    """Waits until the group's last process is gone; False when one does not go within seconds."""
    for _ in range(_REMOVE_ATTEMPTS):
        group.kill(rounds=1)
        if group.remove():
            return True
        clock.sleep(_REMOVE_PAUSE_SECONDS)
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupRoot:
    """Where groups can be made: below the server's own."""

    memory: Path
    processes: Path | None
    version: int
    freezer: Path | None = None

    @classmethod
    def detect(cls, *, freezing: bool = False, mount: Path = MOUNT, proc: Path = Path("/proc")) -> "CgroupRoot | None":
        """
        Args:
            freezing: the groups are to be frozen now and then, which in version 1 takes one folder more.
        """
        paths = cgroup_paths("self", mount=mount, proc=proc)
        if "memory" in paths:
            pids, freezer = paths.get("pids"), paths.get("freezer") if freezing else None
            root = cls(
                memory=paths["memory"],
                processes=pids if pids and _writable(pids) else None,
                version=1,
                freezer=freezer if freezer and _writable(freezer) else None,
            )
            return root if _writable(root.memory) else None
        if "" in paths:
            base = _delegated(paths[""])
            return None if base is None else cls(memory=base, processes=None, version=2)
        return None

    def create(self, name: str, *, memory_bytes: int, processes: int) -> Cgroup:
        """A group with hard limits and no swap.

        Raises:
            OSError: the kernel refused; nothing is left behind.
        """
        name = GROUP_PREFIX + name
        folders = [self.memory / name]
        if self.processes is not None:
            folders.append(self.processes / name)
        limited = folders[-1]
        if self.freezer is not None:
            folders.append(self.freezer / name)
        group = Cgroup(folders=tuple(folders), version=self.version)
        try:
            for folder in folders:
                folder.mkdir()
            self._limit(group, memory_bytes)
            _write_if_there(limited / "pids.max", str(processes))
        except OSError:
            group.remove()
            raise
        return group

    def remove_abandoned(self, *, created_before: float) -> None:
        """Removes empty groups that a killed server has left. Young ones may be about to be filled by a living one."""
        for root in {self.memory, self.processes or self.memory, self.freezer or self.memory}:
            for folder in root.glob(f"{GROUP_PREFIX}*"):
                # The kernel itself refuses to remove a group that is not empty.
                with contextlib.suppress(OSError):
                    if folder.stat().st_mtime < created_before:
                        folder.rmdir()

    def _limit(self, group: Cgroup, memory_bytes: int) -> None:
        memory = group.folders[0]
        if self.version == 1:
            _write(memory / "memory.limit_in_bytes", str(memory_bytes))
            _write_if_there(memory / "memory.memsw.limit_in_bytes", str(memory_bytes))
        else:
            _write(memory / "memory.max", str(memory_bytes))
            _write_if_there(memory / "memory.swap.max", "0")


def _delegated(own: Path) -> Path | None:
    """The version 2 folder whose children get the memory controller, if that can be had.

    The kernel hands controllers to children only of a group without processes of its own (the root excepted), so a
    server that is alone in its group moves into a leaf. It never moves processes that are not its own.
    """
    base = own.parent if own.name == _OWN_LEAF else own
    if not _writable(base) or b"memory" not in _read(base / "cgroup.controllers").split():
        return None
    if b"memory" in _read(base / "cgroup.subtree_control").split():
        return base
    members = {int(word) for word in _read(base / "cgroup.procs").split()}
    try:
        if (base / "cgroup.type").exists() and members:
            if not members <= {os.getpid(), os.getppid()}:
                return None
            (base / _OWN_LEAF).mkdir(exist_ok=True)
            for process_id in members:
                _write(base / _OWN_LEAF / "cgroup.procs", str(process_id))
        _write(base / "cgroup.subtree_control", "+memory")
    except OSError:
        return None
    with contextlib.suppress(OSError):
        _write(base / "cgroup.subtree_control", "+pids")
    return base


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _read(path: Path) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, 65536)
    except OSError:
        return b""
    finally:
        os.close(file)


def _write(path: Path, text: str) -> None:
    # Never creates: a controller's file that is not there is not offered.
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def _write_if_there(path: Path, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _write(path, text)
