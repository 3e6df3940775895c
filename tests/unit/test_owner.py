"""A lease's owner is alive exactly as long as its process is, and nobody who inherits the process id counts."""

import os
import subprocess
import sys

import pytest

from rie_server.model.owner import Owner, parse_owner, parse_process_status
from rie_server.owner import boot_id, current_owner, is_alive

STAT = "4711 ((sd) pam) worker) {} 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 {} 1000 1 18446744073709551615"


def test_this_process_is_alive_and_names_itself_the_same_way_twice() -> None:
    assert is_alive(current_owner())
    assert current_owner() == current_owner()


def test_a_process_is_alive_until_it_ends_even_before_its_parent_has_noticed() -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from rie_server.owner import current_owner; print(current_owner(), flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        owner = child.stdout.readline().strip()
        assert is_alive(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(owner), "a zombie runs nothing any more"
    assert not is_alive(owner)


def test_another_process_with_the_same_id_is_somebody_else() -> None:
    mine = parse_owner(current_owner())
    assert mine is not None

    assert not is_alive(str(Owner(pid=mine.pid, started_ticks=mine.started_ticks + 1, boot=mine.boot)))
    assert not is_alive(str(Owner(pid=mine.pid, started_ticks=mine.started_ticks, boot="0123abcd")))


@pytest.mark.parametrize("text", ["", "nonsense", "1", "0:0", "-1:5", "1:2:3:4", f"{10**30}:1", "1:x"])
def test_text_that_names_no_process_is_nobody(text: str) -> None:
    assert not is_alive(text)
    assert not is_alive(f"{text}:{boot_id()[:8]}")


def test_an_owner_is_read_back_from_its_text() -> None:
    for owner in (Owner(pid=7, started_ticks=8), Owner(pid=7, started_ticks=8, boot="ab12cd34")):
        assert parse_owner(str(owner)) == owner


@pytest.mark.parametrize(("state", "running"), [("S", True), ("R", True), ("D", True), ("Z", False), ("X", False)])
def test_a_process_table_line_is_read_whatever_the_command_is_called(state: str, running: bool) -> None:
    status = parse_process_status(STAT.format(state, 987654))

    assert status is not None
    assert status.started_ticks == 987654
    assert status.is_running is running


@pytest.mark.parametrize("stat", ["", "1 (x) S", "no parenthesis at all"])
def test_a_torn_process_table_line_is_nothing(stat: str) -> None:
    assert parse_process_status(stat) is None
