"""Control groups of both versions, on folders that look like the kernel's."""

import os
from pathlib import Path

import pytest

from rie_server.executors.cgroup import Cgroup, CgroupRoot, MemoryFiles, cgroup_paths


def make(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return make(tmp_path / "proc" / "self").parent


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    return make(tmp_path / "cgroup")


def test_version_1_groups_lie_below_the_servers_own(proc: Path, mount: Path) -> None:
    make(proc / "self", cgroup="8:pids:/\n4:memory:/outer/own\n0::/\n")
    own = make(mount / "memory" / "outer" / "own", cgroup__procs="")
    pids = make(mount / "pids", cgroup__procs="")
    assert CgroupRoot.detect(mount=mount, proc=proc) == CgroupRoot(memory=own, processes=pids, version=1)


def test_without_a_group_that_can_be_written_there_is_none(proc: Path, mount: Path) -> None:
    make(proc / "self", cgroup="4:memory:/docker/abc\n")
    make(mount / "memory")
    assert CgroupRoot.detect(mount=mount, proc=proc) is None


def test_version_2_hands_the_controllers_to_children_and_moves_the_server_into_a_leaf(proc: Path, mount: Path) -> None:
    make(proc / "self", cgroup="0::/service\n")
    own = make(
        mount / "service",
        cgroup__controllers="cpu memory pids\n",
        cgroup__subtree_control="",
        cgroup__procs=f"{os.getpid()}\n",
        cgroup__type="domain\n",
    )
    make(own / "server-of-rie", cgroup__procs="")
    assert CgroupRoot.detect(mount=mount, proc=proc) == CgroupRoot(memory=own, processes=None, version=2)
    assert (own / "server-of-rie" / "cgroup.procs").read_text() == str(os.getpid())
    # A plain file keeps the last word of the two that were written.
    assert (own / "cgroup.subtree_control").read_text().startswith("+pids")


def test_version_2_never_moves_processes_that_are_not_the_servers(proc: Path, mount: Path) -> None:
    make(proc / "self", cgroup="0::/session\n")
    own = make(
        mount / "session",
        cgroup__controllers="memory\n",
        cgroup__subtree_control="",
        cgroup__procs=f"{os.getpid()}\n1\n",
        cgroup__type="domain\n",
    )
    assert CgroupRoot.detect(mount=mount, proc=proc) is None
    assert list(own.iterdir()) == [path for path in own.iterdir() if path.is_file()]


def test_a_server_that_moved_into_a_leaf_before_makes_groups_beside_it(proc: Path, mount: Path) -> None:
    make(proc / "self", cgroup="0::/service/server-of-rie\n")
    own = make(mount / "service", cgroup__controllers="memory\n", cgroup__subtree_control="memory\n", cgroup__procs="")
    make(own / "server-of-rie", cgroup__procs="")
    found = CgroupRoot.detect(mount=mount, proc=proc)
    assert found is not None
    assert found.memory == own


def test_controllers_of_version_1_win_in_a_mixed_hierarchy(proc: Path, mount: Path) -> None:
    make(proc / "self", cgroup="4:memory:/a\n1:name=systemd:/b\n0::/c\n")
    make(mount / "memory" / "a")
    paths = cgroup_paths("self", mount=mount, proc=proc)
    assert paths == {"memory": mount / "memory" / "a", "": mount / "c"}
    assert cgroup_paths("4711", mount=mount, proc=proc) == {}


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (1, {"memory__max_usage_in_bytes": "900\n", "memory__stat": "cache 1\nrss 5\ntotal_cache 300\ntotal_rss 5\n"}),
        (2, {"memory__peak": "900\n", "memory__stat": "anon 5\nfile 300\nfile_mapped 2\n"}),
    ],
)
def test_cached_file_pages_do_not_count_as_memory_of_the_function(
    mount: Path, version: int, files: dict[str, str]
) -> None:
    folder = make(mount / "group", **files)
    found = Cgroup(folders=(folder,), version=version).memory_files
    assert found is not None
    assert found.raw_peak_bytes() == 900
    assert found.without_cache(900, at_least=0) == 600
    assert found.without_cache(900, at_least=700) == 700
    assert found.without_cache(900, at_least=1000) == 1000


def test_without_a_kernel_that_keeps_the_peak_there_are_no_figures(mount: Path) -> None:
    make(mount / "group", memory__stat="anon 5\n")
    assert MemoryFiles.of({"": mount / "group"}) is None


@pytest.mark.parametrize(("version", "name"), [(1, "memory.oom_control"), (2, "memory.events")])
def test_out_of_memory_kills_are_counted(mount: Path, version: int, name: str) -> None:
    folder = make(mount / "group")
    group = Cgroup(folders=(folder,), version=version)
    assert group.out_of_memory_kills() == 0
    (folder / name).write_text("oom_kill_disable 0\noom 9\nunder_oom 0\noom_kill 2\n")
    assert group.out_of_memory_kills() == 2


def test_empty_groups_of_a_killed_server_are_removed_unless_they_are_young(mount: Path) -> None:
    memory, pids = make(mount / "memory"), make(mount / "pids")
    root = CgroupRoot(memory=memory, processes=pids, version=1)
    for folder in (memory, pids):
        for name, age in (("rie-old", 100), ("rie-young", 5), ("other", 100)):
            os.utime(make(folder / name), (1000 - age, 1000 - age))
        full = make(folder / "rie-full", cgroup__procs="1")
        os.utime(full, (900, 900))
    root.remove_abandoned(created_before=940)
    for folder in (memory, pids):
        assert sorted(path.name for path in folder.iterdir()) == ["other", "rie-full", "rie-young"]
