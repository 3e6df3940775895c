"""A version with SnapStart: initialized, told that it has been restored, and given its first invocation afterwards."""

from dataclasses import replace

import pytest

from rie_server.errors import RuntimeApiError, SnapStartException, SnapStartTimeoutException
from tests.unit.invoke.conftest import Stage, function_version


@pytest.fixture
def snapped(stage: Stage) -> Stage:
    stage.catalog.functions["orders"] = replace(function_version(), version="1", snap_start=True)
    return stage


def test_the_runtime_is_told_how_it_was_initialized(snapped: Stage) -> None:
    snapped.invoke("a")
    assert snapped.executor.started[0].spec.variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"


def test_the_first_invocation_comes_after_the_restore_and_its_report_says_how_long_that_took(snapped: Stage) -> None:
    snapped.invoke("a", want_log_tail=True)
    runtime = snapped.runtime()
    snapped.clock.advance(4)
    snapped.mailbox.restore_next(runtime.id)
    snapped.clock.advance(0.25)
    runtime.next()
    runtime.respond()
    log = snapped.log_text()
    places = [log.index(word) for word in ("INIT_START", "RESTORE_START", "RESTORE_REPORT", "START RequestId")]
    assert places == sorted(places)
    assert "RESTORE_REPORT Restore Duration: 250.00 ms\n" in log
    assert "Restore Duration: 250.00 ms\tBilled Restore Duration: 250 ms\t" in log.split("REPORT RequestId")[1]
    assert "Init Duration" not in log
    runtime.next()
    snapped.invoke("b")
    runtime.respond()
    assert "Restore" not in snapped.log_text().split("START RequestId: b")[1]


def test_it_may_take_long_to_initialize_and_not_to_go_on(snapped: Stage) -> None:
    snapped.invoke("a")
    snapped.clock.advance(120)
    runtime = snapped.runtime()
    snapped.mailbox.restore_next(runtime.id)
    assert snapped.results == {}
    snapped.clock.advance(10)
    refusal = snapped.results["a"].refusal
    assert isinstance(refusal, SnapStartTimeoutException)
    assert refusal.status == 408
    assert runtime.running.stopped
    assert len(snapped.executor.started) == 1, "another snapshot would be restored no faster"


@pytest.mark.parametrize("report", ["restore_error", "init_error"])
def test_a_hook_that_fails_is_told_to_the_caller(snapped: Stage, report: str) -> None:
    snapped.invoke("a")
    runtime = snapped.runtime()
    snapped.mailbox.restore_next(runtime.id)
    getattr(snapped.mailbox, report)(runtime.id, b"{}", "Runtime.AfterRestoreError")
    runtime.running.exit(status=65)
    assert isinstance(snapped.results["a"].refusal, SnapStartException)
    assert "RESTORE_REPORT Restore Duration: 0.00 ms\tStatus: error\tError Type: Runtime.AfterRestoreError" in (
        snapped.log_text()
    )
    assert snapped.front_controller.running == 0


def test_a_runtime_that_dies_while_it_is_restored_is_told_likewise(snapped: Stage) -> None:
    snapped.invoke("a")
    snapped.mailbox.restore_next(snapped.runtime().id)
    snapped.runtime().running.exit(signal=9)
    assert isinstance(snapped.results["a"].refusal, SnapStartException)


def test_a_hook_before_the_snapshot_that_fails_is_an_initialization_that_fails(snapped: Stage) -> None:
    snapped.invoke("a")
    for number in range(2):
        runtime = snapped.runtime(number)
        snapped.mailbox.init_error(runtime.id, b'{"errorType":"Runtime.BeforeSnapshotError"}', "Runtime.Unknown")
        runtime.running.exit(status=64)
    assert snapped.error_of("a") == {"errorType": "Runtime.BeforeSnapshotError"}


def test_a_runtime_without_hooks_asks_for_work_at_once(snapped: Stage) -> None:
    snapped.invoke("a")
    assert snapped.runtime().next().request_id == "a"


def test_what_the_states_do_not_allow_is_denied(snapped: Stage) -> None:
    snapped.invoke("a")
    runtime = snapped.runtime()
    denied = r"State transition from Started to RuntimeRestoreErrorState failed"
    with pytest.raises(RuntimeApiError, match=denied):
        snapped.mailbox.restore_error(runtime.id, b"", "Runtime.Unknown")
    snapped.mailbox.restore_next(runtime.id)
    with pytest.raises(RuntimeApiError, match="from Restoring to RestoreReady"):
        snapped.mailbox.restore_next(runtime.id)
    runtime.next()
    with pytest.raises(RuntimeApiError, match="from Running to RestoreReady"):
        snapped.mailbox.restore_next(runtime.id)


def test_a_function_without_snap_start_is_never_restored(stage: Stage) -> None:
    stage.invoke("a")
    with pytest.raises(RuntimeApiError, match="from Started to RestoreReady") as denied:
        stage.mailbox.restore_next(stage.runtime().id)
    assert (denied.value.status, denied.value.error_type) == (403, "InvalidStateTransition")
