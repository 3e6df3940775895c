"""Servers that share a PostgreSQL carry out durable executions together."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.integration.durable.conftest import DurableServer, workflow
from tests.integration.invoke.test_restart import crash
from tests.servers.postgresql import PostgresqlServer
from tests.written import lines_in

CALLBACK = workflow(
    """
    answer = context.wait_for_callback(lambda callback_id, _: note(event, callback_id), name="approval")
    return context.step(lambda _: note(event, "answered") and answer, name="answered")
    """
)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server


def test_a_callback_may_come_to_another_server_than_the_one_whose_caller_waits(
    postgresql: PostgresqlServer,
    start_durable: Callable[..., DurableServer],
    in_background: Callable[..., Any],
    tmp_path: Path,
) -> None:
    url, journal = postgresql.new_database(), tmp_path / "journal"
    first = start_durable(data_dir=tmp_path / "a", database_url=url)
    first.create("approval", CALLBACK)
    second = start_durable(data_dir=tmp_path / "b", database_url=url)
    waiting = in_background(first.execute, "approval", {"journal": str(journal)})
    (callback_id,) = wait_until(lambda: lines_in(journal), seconds=30, what="the callback's id")

    second.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b'"yes"')

    result, reply = waiting.result(30)
    assert json.loads(result) == "yes"
    assert lines_in(journal).count("answered") == 1
    assert second.get(reply["DurableExecutionArn"])["Status"] == "SUCCEEDED"


def test_an_execution_on_postgresql_outlives_a_server_that_is_killed(
    postgresql: PostgresqlServer, start_durable: Callable[..., DurableServer], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    durable = start_durable(database_url=postgresql.new_database())
    durable.create("approval", CALLBACK)
    arn = durable.start("approval", {"journal": str(journal)})
    (callback_id,) = wait_until(lambda: lines_in(journal), seconds=30, what="the callback's id")

    crash(durable.server)
    durable.server.restart()
    durable.reconnect()
    durable.client.send_durable_execution_callback_success(CallbackId=callback_id, Result=b'"yes"')

    assert json.loads(json.loads(durable.wait(arn)["Result"])) == "yes"
