"""The gate holds whoever names it, lets everybody else pass, and says when it does not hold."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from benchmarks.functions.bench_handler import gated
from benchmarks.gate import Gate
from benchmarks.load import Outcome
from benchmarks.processes import ContenderFailed

HELLO = {"message": "hello"}


def at_gate(folder, name):
    """A function at the gate, on a thread of its own, and where its answer will be."""
    answers = []
    context = SimpleNamespace(aws_request_id=name)
    thread = threading.Thread(target=lambda: answers.append(gated({"gate": str(folder)}, context)), name=name)
    thread.start()
    return thread, answers


def test_an_event_without_a_gate_passes_at_once():
    assert gated({}, None) == HELLO


def test_functions_wait_until_the_gate_opens(tmp_path):
    gate = Gate(tmp_path, Future(), 2)
    waiting = [at_gate(tmp_path, name) for name in ("one", "two")]
    gate.wait_until_shut()
    assert [answers for _, answers in waiting] == [[], []]
    gate.open()
    for thread, _ in waiting:
        thread.join(10)
    assert [answers for _, answers in waiting] == [[HELLO], [HELLO]]


def test_a_gate_that_holds_too_few_is_no_gate(tmp_path):
    passed = Future()
    passed.set_result(Outcome(latencies_ms=(1.0,), wall_seconds=1.0, client_cpu_seconds=0.0))
    (tmp_path / "one").touch()
    with pytest.raises(ContenderFailed, match="1 of 2 environments"):
        Gate(tmp_path, passed, 2).wait_until_shut()


def test_what_has_gone_wrong_with_those_who_hold_it_is_said(tmp_path):
    failed = Future()
    failed.set_exception(ContenderFailed("client: 502"))
    with pytest.raises(ContenderFailed, match="502"):
        Gate(tmp_path, failed, 1).wait_until_shut()
