"""What every CodeStore promises, and what the one on disk promises beyond it. Hostile zips: ``unit/stores``."""

import base64
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from rie_server.errors import (
    ConfigurationError,
    InvalidParameterValueException,
    RequestEntityTooLargeException,
    ServiceException,
)
from rie_server.model.layer import merged_digest
from rie_server.owner import current_owner
from rie_server.stores.code import ZipCodeStore
from rie_server.storing import CodeStore
from tests.fakes.stores import MemoryCodeStore


def make_zip(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return content.getvalue()


def put_layers(store: CodeStore) -> list[str]:
    first = make_zip(both="first", one="1", folder__a="a", swap__x="x")
    second = make_zip(both="second", two="2", folder__b="b")
    return [store.put(content).sha256 for content in (first, second)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".boot"))


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CodeStore:
    return ZipCodeStore(tmp_path / "code") if request.param == "disk" else MemoryCodeStore(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> ZipCodeStore:
    return ZipCodeStore(tmp_path / "code")


def test_layers_lie_over_one_another_in_their_order(store: CodeStore) -> None:
    first, second = put_layers(store)

    upwards, downwards = store.layered([first, second]), store.layered([second, first])

    assert (upwards / "both.py").read_text() == "second"
    assert (downwards / "both.py").read_text() == "first"
    assert sorted(path.name for path in (upwards / "folder").iterdir()) == ["a.py", "b.py"]
    assert (upwards / "one.py").read_text() == "1"
    assert store.layered([first, second]) == upwards
    assert store.layered([first]) == store.directory(first)
    assert (store.directory(first) / "both.py").read_text() == "first"


def test_what_layers_make_goes_with_the_last_who_needs_it(disk: ZipCodeStore, tmp_path: Path) -> None:
    first, second = put_layers(disk)
    merged = disk.layered([first, second])
    name = merged_digest([first, second])

    disk.delete_unreferenced([first, second, name])
    assert merged.is_dir()
    disk.delete_unreferenced([first, second])
    assert not merged.exists()
    assert (disk.directory(second) / "both.py").read_text() == "second"
    disk.delete_unreferenced([])
    assert names(tmp_path / "code") == []


def test_a_layers_file_takes_the_place_of_a_folder_and_a_folder_that_of_a_file(disk: ZipCodeStore) -> None:
    folder = disk.put(make_zip(thing__inner="x", other="o")).sha256
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("thing", "file")
        archive.writestr("other.py/inner", "deep")
    file = disk.put(content.getvalue()).sha256

    merged = disk.layered([folder, file])

    assert (merged / "thing").read_text() == "file"
    assert (merged / "other.py" / "inner").read_text() == "deep"
    assert (disk.directory(folder) / "thing" / "inner.py").read_text() == "x"


def test_stored_code_carries_the_hash_and_sizes_that_aws_reports(store: CodeStore) -> None:
    content = make_zip(app="x = 1\n" * 1000)

    stored = store.put(content)

    assert stored.sha256 == base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert stored.size_bytes == len(content)
    assert stored.unzipped_bytes == 6000
    assert store.put(content) == stored


def test_the_zip_and_its_files_come_back(store: CodeStore) -> None:
    content = make_zip(app="x = 1", package__module="y = 2")

    sha256 = store.put(content).sha256

    assert store.read_zip(sha256) == content
    assert (store.directory(sha256) / "app.py").read_text() == "x = 1"
    assert (store.directory(sha256) / "package" / "module.py").read_text() == "y = 2"


def test_what_is_no_zip_is_refused_in_awss_words(store: CodeStore) -> None:
    with pytest.raises(InvalidParameterValueException) as refusal:
        store.put(b"this is no zip")

    assert refusal.value.message == "Could not unzip uploaded file. Please check your file, then try to upload again."


def test_a_zip_above_the_limit_is_refused_in_awss_words(store: CodeStore) -> None:
    with pytest.raises(RequestEntityTooLargeException) as refusal:
        store.put(bytes(52_428_801))

    assert refusal.value.message == "Zipped size must be smaller than 52428800 bytes"


def test_code_from_s3_may_be_larger_than_code_in_a_request(store: CodeStore) -> None:
    content = make_zip(app="x = 1")
    with pytest.raises(RequestEntityTooLargeException):
        store.put(content, zip_limit_bytes=len(content) - 1)

    assert store.put(content, zip_limit_bytes=len(content)).size_bytes == len(content)


def test_code_that_nothing_refers_to_is_deleted(store: CodeStore) -> None:
    kept = store.put(make_zip(app="kept")).sha256
    dropped = store.put(make_zip(app="dropped")).sha256

    store.delete_unreferenced([kept])

    assert (store.directory(kept) / "app.py").read_text() == "kept"
    with pytest.raises(ServiceException):
        store.read_zip(dropped)


def test_deleted_code_leaves_nothing_on_the_disk(disk: ZipCodeStore, tmp_path: Path) -> None:
    disk.put(make_zip(app="x"))

    disk.delete_unreferenced([])

    assert names(tmp_path / "code") == []


def test_everybody_may_read_the_code_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        store = ZipCodeStore(tmp_path / "code")
        tree = store.directory(store.put(make_zip(package__module="x")).sha256)
    finally:
        os.umask(umask)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tree.parent, tree, *tree.rglob("*"))}
    assert modes == {"code": 0o755, tree.name: 0o755, "package": 0o755, "module.py": 0o644}


def test_a_lost_tree_is_unpacked_again(disk: ZipCodeStore) -> None:
    sha256 = disk.put(make_zip(app="x = 1")).sha256
    shutil.rmtree(disk.directory(sha256))

    assert (disk.directory(sha256) / "app.py").read_text() == "x = 1"


def test_a_lost_zip_is_stored_again(disk: ZipCodeStore, tmp_path: Path) -> None:
    content = make_zip(app="x = 1")
    sha256 = disk.put(content).sha256
    for path in (tmp_path / "code").glob("*.zip"):
        path.unlink()

    disk.put(content)

    assert disk.read_zip(sha256) == content


def test_trees_are_made_anew_after_the_machine_has_started_anew(disk: ZipCodeStore, tmp_path: Path) -> None:
    sha256 = disk.put(make_zip(app="x = 1")).sha256
    # A power cut may leave a file empty under its final name.
    (disk.directory(sha256) / "app.py").write_text("")
    (tmp_path / "code" / ".boot").write_text("another boot")

    again = ZipCodeStore(tmp_path / "code")

    assert (again.directory(sha256) / "app.py").read_text() == "x = 1"


def test_drafts_of_dead_processes_are_swept_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from rie_server.owner import current_owner; print(current_owner())"],
        capture_output=True,
        text=True,
        check=True,
    )
    dead = f".draft-{ended.stdout.strip()}-0123"
    alive = f".draft-{current_owner()}-0123"
    for draft in (dead, alive, ".draft-nonsense"):
        (tmp_path / "code" / draft / "tree").mkdir(parents=True)

    ZipCodeStore(tmp_path / "code")

    assert names(tmp_path / "code") == [alive]


def test_a_refused_zip_leaves_nothing_behind(disk: ZipCodeStore, tmp_path: Path) -> None:
    content = bytearray(make_zip(a="x" * 100, b="y" * 100))
    content[40] ^= 0xFF  # inside the first file's compressed bytes
    with pytest.raises(InvalidParameterValueException):
        disk.put(bytes(content))

    assert names(tmp_path / "code") == []


def test_many_threads_may_put_the_same_zip(disk: ZipCodeStore, tmp_path: Path) -> None:
    content = make_zip(**{f"module{number}": "x = 1\n" * 50 for number in range(50)})
    failures: list[BaseException] = []

    def put() -> None:
        try:
            disk.put(content)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(names(tmp_path / "code")) == 2


def test_a_folder_that_cannot_be_made_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError) as refusal:
        ZipCodeStore(tmp_path / "file" / "code")

    assert str(refusal.value) == f"The code folder {tmp_path / 'file' / 'code'} cannot be used: Not a directory."


def test_code_of_a_hash_that_was_never_stored_is_the_servers_fault(disk: ZipCodeStore) -> None:
    for sha256 in (base64.b64encode(bytes(32)).decode(), "../../etc", ""):
        with pytest.raises(ServiceException):
            disk.directory(sha256)
