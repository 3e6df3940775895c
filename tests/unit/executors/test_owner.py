"""Whose environment it is."""

import os
import subprocess
from pathlib import Path

from rie_server.executors.owner import is_alive, own_identity


def test_this_process_is_alive_and_one_with_its_number_that_started_earlier_is_not() -> None:
    assert is_alive(own_identity())
    assert not is_alive(f"{os.getpid()}:1")


def test_nobody_is_alive_behind_words_that_name_no_process() -> None:
    assert [is_alive(text) for text in ("", "nonsense", "0:0", "1", ":", "999999999:5")] == [False] * 6


def test_a_process_that_only_waits_to_be_collected_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        ticks = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
        assert not is_alive(f"{child.pid}:{ticks}")
