"""Hostile and damaged zips: nothing leaves the folder, nothing grows without limit, all are refused in AWS's words."""

import io
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie_server.errors import InvalidParameterValueException
from rie_server.stores import unzip
from rie_server.stores.unzip import unpack

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE = "Unzipped size must be smaller than 262144000 bytes"


def entry(name: str, mode: int = stat.S_IFREG | 0o644, *, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = system
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def make_zip(*entries: tuple[zipfile.ZipInfo | str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, text in entries:
            archive.writestr(entry(each) if isinstance(each, str) else each, text)
    return content.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    return entry(name, stat.S_IFLNK | 0o777), target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "outer" / "tree"
    place.mkdir(parents=True)
    return place


def assert_refused(content: bytes, folder: Path, message: str = UNREADABLE) -> None:
    with pytest.raises(InvalidParameterValueException) as refusal:
        unpack(content, folder)
    assert refusal.value.message == message
    outside = [path for path in folder.parent.parent.rglob("*") if folder not in path.parents]
    assert sorted(outside) == [folder.parent, folder]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/cron.d/evil",
        "//evil",
        "../evil",
        "../../evil",
        "a/../../evil",
        "a/../b",
        "..",
        "a/..",
        "./../evil",
        "",
        ".",
        "a" * 256,
        "/".join(["deep"] * 2000),
    ],
)
def test_names_that_leave_the_folder_or_are_no_names_are_refused(folder: Path, name: str) -> None:
    assert_refused(make_zip(("good.py", "x"), (name, "evil")), folder)


def test_a_name_with_a_hidden_end_is_refused(folder: Path) -> None:
    content = make_zip(("app.pyXevil", "x")).replace(b"app.pyXevil", b"app.py\0evil")

    assert_refused(content, folder)


@pytest.mark.parametrize(
    "target", ["", "/etc/passwd", "..", "../outside", "a/../../outside", "/", "../../../../../../etc/passwd"]
)
def test_links_that_lead_out_or_nowhere_are_refused(folder: Path, target: str) -> None:
    assert_refused(make_zip(("a/b", "x"), link("l", target)), folder)


def test_a_link_that_is_harmless_by_name_and_leads_out_through_another_is_refused(folder: Path) -> None:
    # By name "s/s/s/../.." is the folder itself, but s is the folder too, so the dots lead above it.
    assert_refused(make_zip(link("s", "."), link("out", "s/s/s/../..")), folder)


def test_nothing_is_written_through_a_link(folder: Path) -> None:
    assert_refused(make_zip(link("l", "."), ("l/evil", "x")), folder)
    assert not (folder / "evil").exists()


def test_a_link_inside_the_tree_is_kept(folder: Path) -> None:
    unpack(make_zip(("lib/real.so.1", "so"), link("lib/real.so", "real.so.1"), link("up", "lib/../lib")), folder)

    assert (folder / "lib" / "real.so").read_text() == "so"
    assert (folder / "lib" / "real.so").is_symlink()
    assert (folder / "up" / "real.so.1").read_text() == "so"


def test_links_in_a_circle_do_no_harm(folder: Path) -> None:
    unpack(make_zip(link("a", "b"), link("b", "a")), folder)

    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_devices_pipes_and_disguised_folders_are_refused(folder: Path, kind: int) -> None:
    assert_refused(make_zip((entry("thing", kind | 0o644), "")), folder)


def test_a_link_disguised_as_a_folder_is_refused(folder: Path) -> None:
    assert_refused(make_zip((entry("thing/", stat.S_IFLNK | 0o777), "/etc")), folder)


def test_a_file_that_another_entry_uses_as_a_folder_is_refused(folder: Path) -> None:
    assert_refused(make_zip(("a", "file"), ("a/b", "in it")), folder)
    assert_refused(make_zip(("a/b", "in it"), ("a", "file")), folder)


def test_executable_bits_are_kept_and_special_ones_dropped(folder: Path) -> None:
    content = make_zip(
        (entry("plain", stat.S_IFREG | 0o600), "x"),
        (entry("bootstrap", stat.S_IFREG | 0o700), "x"),
        (entry("suid", stat.S_IFREG | 0o6755), "x"),
        (entry("secret/", stat.S_IFDIR | 0o700), ""),
        (entry("windows", 0o755, system=0), "x"),
    )

    unpack(content, folder)

    assert {path.name: oct(path.stat().st_mode & 0o7777) for path in folder.iterdir()} == {
        "plain": "0o644",
        "bootstrap": "0o755",
        "suid": "0o755",
        "secret": "0o755",
        "windows": "0o644",
    }


def test_of_two_entries_with_one_name_the_later_counts(folder: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = make_zip(("a", "first"), ("a", "second"))

    unpack(content, folder)

    assert (folder / "a").read_text() == "second"


def test_dots_and_double_slashes_in_names_mean_nothing(folder: Path) -> None:
    unpack(make_zip((entry("./", stat.S_IFDIR | 0o755), ""), ("./a//b.py", "x")), folder)

    assert (folder / "a" / "b.py").read_text() == "x"


def test_an_empty_zip_is_refused(folder: Path) -> None:
    assert_refused(make_zip(), folder, "Uploaded file must be a non-empty zip")


def test_an_encrypted_zip_is_refused(folder: Path) -> None:
    content = bytearray(make_zip(("a", "x")))
    content[6] |= 1  # the flags in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory

    assert_refused(bytes(content), folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_cannot_be_unpacked_piece_by_piece_is_refused(folder: Path, method: int) -> None:
    info = entry("a")
    info.compress_type = method
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(info, "x" * 100)

    assert_refused(content.getvalue(), folder)


def test_the_size_that_the_zip_declares_is_held_to_the_limit_before_anything_is_written(folder: Path) -> None:
    content = bytearray(make_zip(("a", "x"), ("b", "x")))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 262_144_000)

    assert_refused(bytes(content), folder, TOO_LARGE)
    assert list(folder.iterdir()) == []


def test_a_bomb_that_lies_about_its_size_is_stopped_and_writes_no_more_than_it_declared(folder: Path) -> None:
    content = bytearray(make_zip(("a", bytes(5_000_000))))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1000)

    assert_refused(bytes(content), folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1000


def test_unpacking_counts_for_itself(folder: Path) -> None:
    with pytest.raises(InvalidParameterValueException) as refusal:
        unzip._copy(io.BytesIO(bytes(2_000_000)), io.BytesIO(), 1_000_000, 262_144_000)

    assert refusal.value.message == TOO_LARGE


def test_exactly_the_limit_is_allowed_and_one_byte_more_is_not(folder: Path, tmp_path: Path) -> None:
    content = make_zip(("a", "x" * 60), ("b", "y" * 40))

    assert unpack(content, folder, limit_bytes=100) == 100
    (tmp_path / "second").mkdir()
    with pytest.raises(InvalidParameterValueException):
        unpack(content, tmp_path / "second", limit_bytes=99)


def test_too_many_entries_are_refused_without_reading_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzip, "PATHS", 10)

    assert_refused(make_zip(*((f"f{number}", "") for number in range(11))), folder)


def test_folders_that_deep_names_imply_count_as_entries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzip, "PATHS", 10)

    assert_refused(make_zip(("/".join("abcdefghijk"), "")), folder)
    unpack(make_zip(("/".join("abcdefgh"), "")), folder)


def test_names_that_the_file_system_does_not_take_are_the_zips_fault(folder: Path) -> None:
    assert_refused(make_zip(("ü" * 200, "x")), folder)


SAMPLE = make_zip(
    ("app.py", "x = 1\n" * 50), ("package/module.py", "y = 2"), link("alias", "app.py"), ("stored", os.urandom(64))
)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_zip_is_refused_or_unpacked_inside_the_folder(changes: Sequence[tuple[int, int]]) -> None:
    content = bytearray(SAMPLE)
    for position, value in changes:
        content[position] = value
    unpack_inside(bytes(content))


@settings(max_examples=100, deadline=None)
@given(start=st.integers(0, len(SAMPLE)), end=st.integers(0, len(SAMPLE)), tail=st.binary(max_size=30))
def test_a_torn_zip_is_refused_or_unpacked_inside_the_folder(start: int, end: int, tail: bytes) -> None:
    unpack_inside(SAMPLE[start:end] + tail)


PARTS = st.sampled_from(["", ".", "..", "a", "b", "s", "é"])
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)


@settings(max_examples=300, deadline=None)
@given(
    entries=st.lists(
        st.tuples(NAMES, st.sampled_from([stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR]), NAMES),
        max_size=6,
        unique_by=lambda each: f"{each[0]}/" if each[1] == stat.S_IFDIR else each[0],
    )
)
def test_no_mixture_of_names_and_links_leads_out_of_the_folder(entries: Sequence[tuple[str, int, str]]) -> None:
    unpack_inside(
        make_zip(
            *((entry(f"{name}/" if kind == stat.S_IFDIR else name, kind | 0o755), to) for name, kind, to in entries)
        )
    )


def unpack_inside(content: bytes) -> None:
    """Unpacks or is refused; either way nothing is written, and nothing points, outside."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "one" / "two" / "tree"
        folder.mkdir(parents=True)
        try:
            unpack(content, folder)
        except InvalidParameterValueException:
            accepted = False
        else:
            accepted = True
        written = [path for path in Path(outer).rglob("*") if folder not in (path, *path.parents)]
        assert sorted(path.name for path in written) == ["one", "two"]
        if accepted:
            for path in folder.rglob("*"):
                assert Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
