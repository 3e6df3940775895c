"""Whose claims may be taken over."""

import pytest

from rie_server.events.claim_owner import claim_owner, is_gone


@pytest.mark.parametrize(
    ("owner", "gone"),
    [
        (claim_owner("ours", "dead"), True),
        (claim_owner("ours", "alive"), False),
        (claim_owner("theirs", "dead"), False),
        (claim_owner("theirs", "alive"), False),
        ("no owner at all", False),
    ],
)
def test_only_of_processes_of_the_same_data_folder_can_death_be_told(owner: str, gone: bool) -> None:
    assert is_gone(owner, server_id="ours", is_alive=lambda process: process == "alive") is gone
