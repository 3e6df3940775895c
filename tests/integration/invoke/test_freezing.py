"""RIE_FREEZE=1 with real processes: what works on after the answer stands still, and nothing is left frozen."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke, marked_processes
from tests.integration.invoke.test_restart import crash

SOURCE = """
    import os, threading, time
    def work(path):
        while True:
            with open(path, "a") as file:
                file.write("x")
            time.sleep(0.01)
    STARTED = []
    def handler(event, context):
        if not STARTED:
            STARTED.append(1)
            threading.Thread(target=work, args=(event["path"],), daemon=True).start()
            time.sleep(0.1)
        return os.getpid()
"""


def size(path: Path) -> int:
    return path.stat().st_size


def stands_still(path: Path) -> bool:
    before = size(path)
    time.sleep(0.2)
    return size(path) == before


def test_code_after_the_answer_stands_still_until_the_next_invocation(
    start_rie: Callable[..., RieServer], tmp_path: Path
) -> None:
    rie = start_rie(freeze="1")
    client = rie.client()
    tmp_path.chmod(0o777)
    path = tmp_path / "marks"
    create(client, "f", SOURCE)
    process = invoke(client, "f", {"path": str(path)}).payload
    wait_until(lambda: stands_still(path), what="the environment to be frozen")
    before = size(path)
    for _ in range(20):
        assert invoke(client, "f", {"path": str(path)}).payload == process
    assert size(path) > before
    wait_until(lambda: stands_still(path), what="the environment to be frozen again")
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: invoke(client, "f", {"path": str(path)}).payload != process, what="a new environment")


def test_nothing_frozen_is_left_after_kill_9_and_a_restart(start_rie: Callable[..., RieServer], tmp_path: Path) -> None:
    rie = start_rie(freeze="1")
    client = rie.client()
    tmp_path.chmod(0o777)
    path = tmp_path / "marks"
    create(client, "f", SOURCE)
    process = invoke(client, "f", {"path": str(path)}).payload
    wait_until(lambda: stands_still(path), what="the environment to be frozen")
    crash(rie)
    rie.restart()
    wait_until(lambda: process not in marked_processes(rie.data_dir), what="the frozen process to end")
    assert invoke(rie.client(), "f", {"path": str(path)}).payload != process
