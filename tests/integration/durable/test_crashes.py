"""What outlives a server that stops, and one that is killed: executions, their timers, and what they wait for."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import wait_until
from tests.integration.durable.conftest import DurableServer, workflow
from tests.integration.invoke.deploying import create
from tests.integration.invoke.test_restart import crash
from tests.written import lines_in

NAP = workflow(
    """
    context.step(lambda _: note(event, "before"), name="before")
    context.wait(Duration.from_seconds(event["seconds"]), name="nap")
    return context.step(lambda _: note(event, "after"), name="after")
    """
)
LONG_STEP = workflow(
    """
    context.step(lambda _: note(event, "before"), name="before")
    def long(step):
        note(event, "begun")
        while not os.path.exists(event["journal"] + ".go"):
            time.sleep(0.02)
        return note(event, "done")
    return context.step(long, name="long")
    """
)
CALLBACK = workflow(
    """
    return context.wait_for_callback(lambda callback_id, _: note(event, callback_id), name="approval")
    """
)
CHAIN = workflow(
    """
    return context.invoke(event["target"], {"journal": event["journal"], "go": event["journal"] + ".go"}, name="child")
    """
)
SLOW_PLAIN = """
    import os, time
    def handler(event, context):
        with open(event["journal"], "a") as journal:
            journal.write("plain\\n")
        while not os.path.exists(event["go"]):
            time.sleep(0.02)
        return "plain result"
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def go(journal: Path) -> None:
    journal.with_name(journal.name + ".go").touch()


def stop(durable: DurableServer) -> None:
    durable.server.stop()


def kill(durable: DurableServer) -> None:
    crash(durable.server)


WAYS = pytest.mark.parametrize("end", [stop, kill])


def again(durable: DurableServer) -> None:
    durable.server.restart()
    durable.reconnect()


@WAYS
def test_a_timer_goes_off_after_the_restart(
    start_durable: Callable[..., DurableServer], journal: Path, end: Callable[[DurableServer], None]
) -> None:
    durable = start_durable()
    durable.create("nap", NAP)
    arn = durable.start("nap", {"seconds": 3, "journal": str(journal)})
    wait_until(lambda: "WaitStarted" in durable.event_types(arn), seconds=20, what="the wait")
    begun = time.monotonic()

    end(durable)
    again(durable)

    assert json.loads(durable.wait(arn)["Result"]) == "after"
    assert time.monotonic() - begun >= 2
    assert lines_in(journal) == ["before", "after"]


@WAYS
def test_what_was_running_when_the_server_ended_is_run_again_from_its_last_checkpoint(
    start_durable: Callable[..., DurableServer], journal: Path, end: Callable[[DurableServer], None]
) -> None:
    durable = start_durable(drain_seconds=0.5)
    durable.create("long", LONG_STEP)
    arn = durable.start("long", {"journal": str(journal)})
    wait_until(lambda: lines_in(journal) == ["before", "begun"], seconds=20, what="the long step")

    end(durable)
    again(durable)
    wait_until(lambda: lines_in(journal) == ["before", "begun", "begun"], seconds=20, what="the second try")
    go(journal)

    assert json.loads(durable.wait(arn)["Result"]) == "done"
    assert lines_in(journal) == ["before", "begun", "begun", "done"]


@WAYS
def test_a_callback_is_answered_after_the_restart(
    start_durable: Callable[..., DurableServer], journal: Path, end: Callable[[DurableServer], None]
) -> None:
    durable = start_durable()
    durable.create("approval", CALLBACK)
    arn = durable.start("approval", {"journal": str(journal)})
    (callback_id,) = wait_until(lambda: lines_in(journal), seconds=20, what="the callback's id")

    end(durable)
    again(durable)
    durable.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b'"yes"')

    assert json.loads(json.loads(durable.wait(arn)["Result"])) == "yes"
    assert len(lines_in(journal)) in {1, 2}, "the step that tells the id may run twice, never the callback"


@pytest.mark.parametrize("target", ["child:$LATEST", "plain"])
def test_chained_functions_and_those_who_wait_for_them_go_on_after_a_crash(
    start_durable: Callable[..., DurableServer], journal: Path, target: str
) -> None:
    durable = start_durable()
    durable.create("chain", CHAIN)
    durable.create("child", LONG_STEP)
    create(durable.client, "plain", SLOW_PLAIN, Timeout=60)
    arn = durable.start("chain", {"target": target, "journal": str(journal)})
    begun = "plain" if target == "plain" else "begun"
    wait_until(lambda: begun in lines_in(journal), seconds=20, what="the child")

    kill(durable)
    again(durable)
    wait_until(lambda: lines_in(journal).count(begun) == 2, seconds=20, what="the child's second run")
    go(journal)

    expected = "plain result" if target == "plain" else "done"
    assert json.loads(durable.wait(arn)["Result"]) == expected


def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed_while_executions_begin(
    start_durable: Callable[..., DurableServer], journal: Path
) -> None:
    durable = start_durable()
    durable.create("nap", NAP)
    acknowledged: list[str] = []

    def begin(number: int) -> None:
        try:
            acknowledged.append(
                durable.start("nap", {"seconds": 1, "journal": str(journal)}, DurableExecutionName=f"n-{number}")
            )
        except Exception:
            return

    with ThreadPoolExecutor(8) as threads:
        for number in range(60):
            threads.submit(begin, number)
        wait_until(lambda: len(acknowledged) >= 20, seconds=20, what="twenty executions")
        kill(durable)
    again(durable)

    for arn in tuple(acknowledged):
        durable.wait(arn, seconds=60)
    assert len(acknowledged) >= 20


def test_an_execution_timeout_that_passed_while_no_server_ran_is_noticed(
    start_durable: Callable[..., DurableServer], journal: Path
) -> None:
    durable = start_durable()
    durable.create("nap", NAP, execution_timeout=10)
    arn = durable.start("nap", {"seconds": 600, "journal": str(journal)})
    wait_until(lambda: "WaitStarted" in durable.event_types(arn), seconds=20, what="the wait")
    begun = durable.get(arn)["StartTimestamp"].timestamp()
    stop(durable)
    time.sleep(max(0.0, begun + 10 - time.time()))

    again(durable)

    assert durable.wait(arn, "TIMED_OUT", seconds=5)["Error"]["ErrorMessage"] == "Execution timed out after 10 seconds."


def test_a_clock_that_is_moved_plays_waits_and_retention(
    start_durable: Callable[..., DurableServer], journal: Path
) -> None:
    durable = start_durable(clock="manual")
    durable.create("nap", NAP, execution_timeout=31_622_400)
    arn = durable.start("nap", {"seconds": 86_400 * 30, "journal": str(journal)})
    wait_until(lambda: "WaitStarted" in durable.event_types(arn), seconds=20, what="the wait")
    wait_until(lambda: len(durable.events(arn)) == 5, seconds=20, what="the invocation's end")

    def advance(seconds: float) -> None:
        reply = requests.post(f"{durable.server.url}/_rie/clock", json={"advance_seconds": seconds}, timeout=60)
        assert reply.json()["settled"] is True, reply.text

    advance(86_400 * 30)
    assert durable.get(arn)["Status"] == "SUCCEEDED"
    advance(86_400 * 14 + 1)

    def is_forgotten() -> bool:
        with sqlite3.connect(f"file:{durable.server.data_dir / 'rie.sqlite3'}?mode=ro", uri=True) as database:
            counts = [
                database.execute(f"SELECT count(*) FROM durable_{table}").fetchone()[0]
                for table in ("executions", "operations", "events")
            ]
        database.close()
        return counts == [0, 0, 0]

    wait_until(is_forgotten, what="the execution to be forgotten")


def test_an_environment_that_is_killed_costs_one_try(
    start_durable: Callable[..., DurableServer], journal: Path
) -> None:
    durable = start_durable()
    durable.create(
        "mortal",
        workflow(
            """
            context.step(lambda _: note(event, "before"), name="before")
            def long(step):
                note(event, str(os.getpid()))
                while not os.path.exists(event["journal"] + ".go"):
                    time.sleep(0.02)
                return "done"
            return context.step(long, name="long")
            """
        ),
    )
    arn = durable.start("mortal", {"journal": str(journal)})
    wait_until(lambda: len(lines_in(journal)) == 2, seconds=20, what="the long step")

    os.kill(int(lines_in(journal)[1]), signal.SIGKILL)
    wait_until(lambda: len(lines_in(journal)) == 3, seconds=20, what="the second try")
    go(journal)

    assert json.loads(durable.wait(arn)["Result"]) == "done"
    completed: list[Any] = [event for event in durable.events(arn) if event["EventType"] == "InvocationCompleted"]
    assert "Error" in completed[0]["InvocationCompletedDetails"]
