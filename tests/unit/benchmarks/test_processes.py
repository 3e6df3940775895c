"""Nothing that a benchmark starts outlives it."""

import sys
import time
from pathlib import Path

import pytest

from benchmarks.contenders.contender import LeftBehind, ended_at_last
from benchmarks.processes import (
    ChildProcess,
    ContenderFailed,
    clean_environment,
    command_line,
    cpu_seconds,
    descendants,
    proportional_memory_mb,
)

SLEEPER = "import time; time.sleep(60)"
PARENT_OF_A_STRAY = (
    "import subprocess, sys, time\n"
    "stray = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "print(stray.pid, flush=True)\n"
    "time.sleep(60)\n"
)


def start(code, folder):
    return ChildProcess([sys.executable, "-c", code], environment=clean_environment(), folder=folder)


def stray_of(process):
    process.wait_until(lambda: process.log_tail().strip().isdigit())
    return int(process.log_tail())


def run_and_leave_a_stray(folder, strays, failure=None):
    with ended_at_last() as processes:
        processes.append(start(PARENT_OF_A_STRAY, folder))
        strays.append(stray_of(processes[0]))
        if failure is not None:
            raise failure


def is_gone(pid):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.01)
    return False


def test_a_child_that_ends_when_asked_leaves_nothing(tmp_path):
    process = start(SLEEPER, tmp_path)
    assert process.end() == []
    assert process.has_ended()


def test_a_stray_is_ended_and_told(tmp_path):
    process = start(PARENT_OF_A_STRAY, tmp_path)
    stray = stray_of(process)
    assert {one.pid for one in descendants(process.pid)} == {process.pid, stray}
    (told,) = process.end()
    assert "time.sleep(60)" in told
    assert is_gone(stray)


def test_leaving_a_stray_behind_is_a_failure(tmp_path):
    strays = []
    with pytest.raises(LeftBehind):
        run_and_leave_a_stray(tmp_path, strays)
    assert is_gone(strays[0])


def test_a_stray_does_not_hide_what_went_wrong_before(tmp_path):
    strays = []
    with pytest.raises(KeyError):
        run_and_leave_a_stray(tmp_path, strays, KeyError())
    assert is_gone(strays[0])


def test_a_child_that_ends_at_start_is_told_with_its_last_words(tmp_path):
    process = start("import sys; sys.exit('no such thing')", tmp_path)
    with pytest.raises(ContenderFailed, match="exit status 1 at start: no such thing"):
        process.wait_until(lambda: False)
    process.end()


def test_a_child_that_never_gets_ready_is_told(tmp_path):
    process = start(SLEEPER, tmp_path)
    with pytest.raises(ContenderFailed, match=r"not ready after 0\.05 s"):
        process.wait_until(lambda: False, seconds=0.05)
    process.end()


def test_memory_and_processor_time_are_those_of_the_process(tmp_path):
    process = start("data = bytearray(50_000_000); print('up', flush=True)\nwhile True: sum(range(10_000))", tmp_path)
    process.wait_until(lambda: "up" in process.log_tail())
    process.wait_until(lambda: cpu_seconds([process.pid]) > 0.05)
    assert 45 < proportional_memory_mb([process.pid]) < 90
    assert "bytearray" in command_line(process.pid)
    process.end()
    assert proportional_memory_mb([process.pid]) == 0
