"""Peers that need what this machine may not have: they say so, and leave nothing half done."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import load
from benchmarks.contenders import containers, moto, sam
from benchmarks.contenders.contender import HANDLERS, Unavailable
from benchmarks.load import HELLO_REPLY, Load, Target, run_load
from benchmarks.processes import ContenderFailed


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where the SAM CLI would be installed."""
    monkeypatch.setattr(sam, "_HOME", tmp_path / "sam")
    return tmp_path / "sam"


def test_an_installation_that_fails_makes_sam_unavailable_and_is_begun_again(home, monkeypatch):
    def half_way(command, **_options):
        (Path(home.with_name("sam.begun")) / "bin").mkdir(parents=True)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", half_way)
    for _ in range(2):
        with pytest.raises(Unavailable, match="could not be installed"):
            sam.installed_sam()
    assert not home.exists()


def test_an_installed_sam_is_not_installed_again(home):
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").touch()
    (home / "lib" / "python3" / "site-packages" / "aws_sam_cli-1.2.3.dist-info").mkdir(parents=True)
    assert sam.installed_sam() == home / "bin" / "python"
    assert sam.sam_version() == "1.2.3"


def test_a_sam_that_does_not_start_is_unavailable_with_its_last_words():
    def fails(*_arguments, **_options):
        raise ContenderFailed("exit status 1 at start: much\nError: no image\n")

    with pytest.raises(Unavailable, match="Error: no image"):
        sam._wait_until_it_answers(SimpleNamespace(listens_on=fails), Target(host="h", port=1, path="/"))


def test_a_moto_whose_containers_fail_is_unavailable_with_the_reason(monkeypatch):
    def fails(*_arguments):
        raise ContenderFailed("client: WrongReply: error running docker")

    monkeypatch.setattr(moto, "built_image", lambda name, _dockerfile: nullcontext(name))
    monkeypatch.setattr(moto, "has_image", lambda _name: False)
    monkeypatch.setattr(moto, "moto", lambda _variables: nullcontext((1, "role")))
    monkeypatch.setattr(moto, "_contender", fails)
    with pytest.raises(Unavailable, match="error running docker"), moto.moto_in_containers():
        pass


def test_without_an_engine_containers_are_missing_and_nothing_breaks(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert containers.missing_docker() == "no Docker engine answers"


def test_the_entry_point_for_moto_prints_the_answer_last():
    command = [sys.executable, str(HANDLERS / "moto_entry.py"), "bench_handler.hello", "{}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(HANDLERS)})
    assert done.stdout.splitlines()[-1] == HELLO_REPLY


def test_a_contender_gets_its_own_headers_and_those_of_the_load(monkeypatch):
    plans = []
    monkeypatch.setattr(load, "run_plan", lambda _module, plan: plans.append(plan))
    target = Target(host="h", port=1, path="/", headers={"Authorization": "a"})
    run_load(target, Load(headers={"X-Amz-Invocation-Type": "Event"}))
    assert plans[0]["headers"] == {"Authorization": "a", "X-Amz-Invocation-Type": "Event"}
    assert json.dumps(plans[0])
