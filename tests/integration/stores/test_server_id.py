"""A data folder's id stays, and a folder that cannot have one stops the start."""

from pathlib import Path

import pytest

from rie_server.errors import ConfigurationError
from rie_server.stores.server_id import server_id


def test_a_folder_keeps_its_id_and_two_folders_have_two(tmp_path: Path) -> None:
    first = server_id(tmp_path / "a")

    assert server_id(tmp_path / "a") == first
    assert server_id(tmp_path / "b") != first


def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigurationError, match="cannot be used: Not a directory"):
        server_id(tmp_path / "file" / "data")


@pytest.mark.parametrize("content", ["", "somebody's notes", "ABCDEF0123456789"])
def test_a_file_that_holds_something_else_is_not_taken_for_an_id(tmp_path: Path, content: str) -> None:
    (tmp_path / "server-id").write_text(content)

    with pytest.raises(ConfigurationError, match="does not hold the id of a server"):
        server_id(tmp_path)
