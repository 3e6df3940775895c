from collections.abc import Callable
from pathlib import Path

from tests.unit.invoke.conftest import Stage


def test_a_caller_who_is_alone_does_not_wait_for_the_log(tmp_path: Path) -> None:
    later: list[Callable[[], object]] = []
    stage = Stage(tmp_path, later=later.append)
    stage.invoke("a")
    runtime = stage.runtime().next()
    stage.clock.advance(0.5)
    runtime.respond()
    assert stage.results["a"].payload == b'"done"'
    assert "END RequestId: a" not in stage.log_text()

    stage.clock.advance(0.25)
    (write,) = later
    write()
    assert "END RequestId: a" in stage.log_text()
    assert "REPORT RequestId: a\tDuration: 500.00 ms" in stage.log_text()


def test_where_others_are_served_the_log_is_written_at_once(tmp_path: Path) -> None:
    later: list[Callable[[], object]] = []
    stage = Stage(tmp_path, later=later.append)
    stage.invoke("a")
    stage.invoke("b")
    first, second = stage.runtime(0).next(), stage.runtime(1).next()
    first.respond()
    assert not later
    assert f"END RequestId: {first.request_id}" in stage.log_text()
    first.next()  # it is idle now
    second.respond()
    assert len(later) == 1


def test_a_caller_who_wants_the_log_waits_for_it(tmp_path: Path) -> None:
    later: list[Callable[[], object]] = []
    stage = Stage(tmp_path, later=later.append)
    stage.invoke("a", want_log_tail=True)
    stage.runtime().next().respond()
    assert not later
    assert b"END RequestId: a" in (stage.results["a"].log_tail or b"")
