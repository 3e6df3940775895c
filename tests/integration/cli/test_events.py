"""`rie events` against a real server whose clock the test moves."""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.conftest import RieServer, wait_until

FUNCTIONS = Path(__file__).parents[3] / "functions"


@pytest.fixture
def server(start_rie: Callable[..., RieServer]) -> RieServer:
    return start_rie(clock="manual", template=FUNCTIONS / "template.yaml")


def command(server: RieServer, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "rie_server", "events", "--url", server.url, *arguments]


def run(server: RieServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RIE_")}
    return subprocess.run(
        command(server, *arguments), capture_output=True, text=True, timeout=60, check=False, env=environ
    )


def send(server: RieServer, name: str) -> str:
    answer = server.client().invoke(FunctionName=name, InvocationType="Event")
    return answer["ResponseMetadata"]["RequestId"]


def move(server: RieServer, seconds: float) -> None:
    with requests.post(f"{server.url}/_rie/clock", json={"advance_seconds": seconds}, timeout=60) as reply:
        assert reply.json()["settled"] is True


def wait(server: RieServer, request_id: str) -> None:
    with requests.post(f"{server.url}/_rie/events/{request_id}/wait", timeout=60) as reply:
        assert reply.status_code == 200


def test_the_table_shows_who_waits_and_what_has_ended(server: RieServer) -> None:
    assert "No asynchronous events" in run(server).stderr
    done = send(server, "hello")
    wait(server, done)
    failing = send(server, "fails")
    move(server, 0)

    ended = run(server)
    assert (ended.returncode, ended.stderr) == (0, "")
    heading, first, second = ended.stdout.splitlines()
    assert heading.split("  ")[0] == "REQUEST ID"
    assert re.fullmatch(rf"{failing} +fails +retrying +1 +20\S+Z", first)
    assert re.fullmatch(rf"{done} +hello +delivered +1 +20\S+Z +Success", second)
    assert run(server, "--state", "retrying", "--function", "fails").stdout.count("\n") == 2
    assert run(server, "--request-id", done).stdout.count("\n") == 2
    assert run(server, "--limit", "1", "--function", "hello").stdout.count("\n") == 2


def test_a_follower_prints_a_line_for_every_change(server: RieServer) -> None:
    failing = send(server, "fails")
    move(server, 0)
    with subprocess.Popen(command(server, "--follow"), stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        try:
            assert re.match(rf"{failing}  fails  retrying  1  ", follower.stdout.readline())
            move(server, 3600)
            assert re.match(rf"{failing}  fails  dropped  3  \S+  RetriesExhausted$", follower.stdout.readline())
        finally:
            follower.send_signal(2)
            assert follower.wait(10) == 0


def test_on_a_terminal_the_table_lives(server: RieServer) -> None:
    failing = send(server, "fails")
    move(server, 0)
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    follower = subprocess.Popen(command(server, "--follow"), stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    screen = bytearray()

    def shows(text: str) -> bool:
        if select.select([ours], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
                screen.extend(os.read(ours, 65536))
        return text in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.decode(errors="replace"))

    try:
        wait_until(lambda: shows("retrying"), what="the table")
        move(server, 3600)
        wait_until(lambda: shows("dropped"), what="the change")
        assert failing.encode() in screen
        assert follower.poll() is None
    finally:
        follower.send_signal(2)
        deadline = time.monotonic() + 10
        while follower.poll() is None and time.monotonic() < deadline:
            shows("")
        os.close(ours)
    assert follower.wait(1) == 0


def test_without_a_server_the_reason_is_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rie_server", "events", "--url", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("rie: No server answers")
