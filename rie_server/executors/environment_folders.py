"""The folders of process environments: private temporary files, and what a later server needs to end leftovers.

``DATA/environments/OWNER/ENVIRONMENT/`` holds ``tmp/`` and ``record.json``. The owner in the path tells whose it is
even when the server died before it could write more. Thread-safe: every environment has a folder of its own.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rie_server.executors.cgroup import Cgroup, kill_and_remove
from rie_server.executors.leftovers import kill_marked, kill_session
from rie_server.model.telemetry_subscription import HOSTS
from rie_server.owner import current_owner, is_alive, start_ticks
from rie_server.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentFolder:
    path: Path

    @property
    def temporary_files(self) -> Path:
        return self.path / "tmp"

    @property
    def hosts(self) -> Path:
        """A hosts file of the environment's own."""
        return self.path / "hosts"

    def write_hosts(self, address: str) -> None:
        """This machine's names, and those by which the environment knows itself, at ``address``."""
        with contextlib.suppress(OSError):
            known = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
            own = f"{address} {' '.join(HOSTS)}"
            self.hosts.write_text(f"{known.rstrip()}\n{own}\n", encoding="utf-8")

    @property
    def marker(self) -> bytes:
        """What every process of the environment has in its environment variables, and no other."""
        return b"TMPDIR=" + os.fsencode(self.temporary_files)

    def write_record(self, process_id: int, cgroup: Cgroup | None) -> None:
        record = {
            "process_id": process_id,
            "started": start_ticks(process_id),
            "cgroup_version": cgroup.version if cgroup else 0,
            "cgroup_folders": [str(folder) for folder in cgroup.folders] if cgroup else [],
        }
        (self.path / "record.json").write_text(json.dumps(record))

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def kill_leftovers(self, clock: Clock) -> int:
        """Ends what an earlier server's environment left running; returns 1 when there was anything."""
        record: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((self.path / "record.json").read_text())
        found = 0
        if (cgroup := _recorded_cgroup(record)) is not None:
            found += len(cgroup.members())
            cgroup.kill()
        found += kill_marked(self.marker)
        if isinstance(process_id := record.get("process_id"), int):
            found += kill_session(process_id, record.get("started"))
        if cgroup is not None:
            kill_and_remove(cgroup, clock)
        return min(found, 1)


def _recorded_cgroup(record: dict[str, object]) -> Cgroup | None:
    folders, version = record.get("cgroup_folders"), record.get("cgroup_version")
    if not isinstance(folders, list) or not isinstance(version, int):
        return None
    paths = tuple(path for path in map(Path, folders) if path.is_dir())
    return Cgroup(folders=paths, version=version) if paths else None


class EnvironmentFolders:
    def __init__(self, data_dir: Path, *, clock: Clock) -> None:
        self._clock = clock
        self._all = data_dir / "environments"
        self._own = self._all / current_owner().replace(":", "-")

    def create(self, environment_id: str) -> EnvironmentFolder:
        """Raises: OSError, for example when the disk is full."""
        folder = EnvironmentFolder(path=self._own / environment_id)
        folder.path.mkdir(parents=True)
        try:
            folder.temporary_files.mkdir(mode=0o700)
        except OSError:
            folder.remove()
            raise
        return folder

    def remove_own(self) -> None:
        shutil.rmtree(self._own, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._all.rmdir()

    def remove_orphans(self) -> int:
        """Ends what owners that are gone have left; returns how many environments had anything running."""
        found = 0
        for owner in self._subfolders(self._all):
            if is_alive(owner.name.replace("-", ":")):
                continue
            found += sum(EnvironmentFolder(path=path).kill_leftovers(self._clock) for path in self._subfolders(owner))
            shutil.rmtree(owner, ignore_errors=True)
        return found

    @staticmethod
    def _subfolders(folder: Path) -> Sequence[Path]:
        try:
            return [entry for entry in folder.iterdir() if entry.is_dir()]
        except OSError:
            return []
