import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

made = []

@pytest.fixture(scope="session")
def server():
    made.append("begun")
    yield len(made)
    made.append("ended")

def test_passes(server):
    assert server == 1

def test_fails_the_first_time(server):
    assert server == 3

def test_comes_after(server):
    assert server == 3
    assert made == ["begun", "ended", "begun"]
"""


def test_a_test_that_runs_again_gets_shared_fixtures_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "test_attempts.py"
    program.write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.fresh_fixtures", "--reruns", "1", str(program)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert "3 passed, 1 rerun" in ended.stdout, ended.stdout
