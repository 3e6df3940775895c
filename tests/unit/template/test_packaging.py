"""Zips of local code: complete, and the same at every start."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template_code import InlineCode, LocalCode
from rie_server.registry import packaging


def names(package: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return archive.namelist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code" / "lib").mkdir(parents=True)
    (tmp_path / "code" / "app.py").write_text("x = 1")
    (tmp_path / "code" / "lib" / "b.py").write_text("y = 2")
    return tmp_path / "code"


def test_a_touched_folder_gives_the_same_bytes_and_a_changed_one_does_not(folder: Path) -> None:
    before = packaging.package(LocalCode(path=folder))
    os.utime(folder / "app.py", (1, 1))
    assert packaging.package(LocalCode(path=folder)) == before
    (folder / "app.py").write_text("x = 2")
    assert packaging.package(LocalCode(path=folder)) != before


def test_what_a_run_leaves_behind_does_not_change_the_zip(folder: Path) -> None:
    before = packaging.package(LocalCode(path=folder))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.cpython-311.pyc").write_bytes(b"x")
    (folder / "lib" / "old.pyc").write_bytes(b"x")
    assert packaging.package(LocalCode(path=folder)) == before
    assert names(before) == ["app.py", "lib/b.py"]


def test_executable_files_stay_executable_and_everything_is_readable(folder: Path) -> None:
    (folder / "bootstrap").write_text("#!/bin/sh")
    (folder / "bootstrap").chmod(0o700)
    (folder / "app.py").chmod(0o600)
    with zipfile.ZipFile(io.BytesIO(packaging.package(LocalCode(path=folder)))) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {"app.py": 0o100644, "bootstrap": 0o100755, "lib/b.py": 0o100644}


def test_linked_folders_are_packed_and_a_circle_of_links_ends(folder: Path) -> None:
    shared = folder.parent / "shared"
    shared.mkdir()
    (shared / "s.py").write_text("z = 3")
    (folder / "shared").symlink_to(shared)
    (folder / "lib" / "self").symlink_to(folder)
    assert names(packaging.package(LocalCode(path=folder))) == ["app.py", "lib/b.py", "shared/s.py"]


def test_a_zip_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_bytes(b"PK-as-it-is")
    assert packaging.package(LocalCode(path=tmp_path / "out.zip")) == b"PK-as-it-is"


def test_inline_code_becomes_one_file() -> None:
    package = packaging.package(InlineCode(file_name="index.py", text="def handler(e, c): ..."))
    assert names(package) == ["index.py"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*/nowhere"):
        packaging.package(LocalCode(path=tmp_path / "nowhere"))


def test_a_dangling_link_is_named(folder: Path) -> None:
    (folder / "gone.py").symlink_to(folder / "nowhere.py")
    with pytest.raises(ConfigurationError, match=r"gone\.py: No such file"):
        packaging.package(LocalCode(path=folder))


def test_a_folder_larger_than_a_function_may_be_is_refused_before_it_is_read_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "UNZIPPED_BYTES", 8)
    with pytest.raises(ConfigurationError, match="more than 8 bytes"):
        packaging.package(LocalCode(path=folder))
