"""The fixtures themselves: a test that is skipped in silence, or a process that is overlooked, would prove nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RieServer, descendants, process_table, require


def test_a_missing_service_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIE_REQUIRE", "kafka")
    with pytest.raises(pytest.skip.Exception, match="docker: no engine answers"):
        require("docker", "no engine answers")


def test_a_missing_service_that_is_required_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIE_REQUIRE", "kafka, docker")
    with pytest.raises(pytest.fail.Exception, match="no engine answers"):
        require("docker", "no engine answers")


def test_grandchildren_are_descendants() -> None:
    script = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    found = descendants(child.pid)
    for pid in found:
        subprocess.run(["kill", "-9", str(pid)], check=True)
    child.communicate()
    assert set(found) == {grandchild}


def test_a_process_that_outlives_its_server_is_noticed_and_ended(tmp_path: Path) -> None:
    server = RieServer(tmp_path)
    survivor = subprocess.Popen(["sleep", "60"])
    try:
        server.wait_ready()
        family = {survivor.pid: process_table()[survivor.pid][1]}
        assert server._outlived(family) == [survivor.pid]
        assert survivor.wait(5) == -9
    finally:
        survivor.kill()
        survivor.wait()
        server.stop()
