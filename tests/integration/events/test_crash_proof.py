"""Ten times killed: whatever got its 202 is run, and ends in exactly one way."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rie_server.stores.database import sqlite_url
from tests.conftest import RieServer, wait_until
from tests.integration.events.crashing import RECORD, WORK, Killer, Senders, lasting_port, queue_length
from tests.integration.invoke.deploying import create
from tests.servers.moto import REGION, MotoServer
from tests.servers.postgresql import PostgresqlServer
from tests.written import lines_in

EVENTS = 2_000
KILLS = 10
CLIENTS = 16
# Of twenty events so many go to each function.
FUNCTIONS = ["works"] * 12 + ["works-recorded"] * 4 + ["fails-recorded"] * 3 + ["fails-dead"]
ARN = f"arn:aws:lambda:{REGION}:000000000000:function:"


@pytest.fixture
def moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "data")
        return
    with PostgresqlServer() as server:
        yield server.new_database().replace("postgresql:", "postgresql+psycopg:")


def deploy(server: RieServer, dead_letters: str) -> None:
    client = server.client()
    create(client, "records", RECORD)
    for name in sorted(set(FUNCTIONS) - {"fails-dead"}):
        create(client, name, WORK)
    create(client, "fails-dead", WORK, DeadLetterConfig={"TargetArn": dead_letters})
    for name, outcome in (("works-recorded", "OnSuccess"), ("fails-recorded", "OnFailure")):
        destination = {outcome: {"Destination": f"{ARN}records"}}
        client.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)


@pytest.mark.timeout(240)
def test_accepted_events_survive_ten_kills_and_end_in_exactly_one_way(
    database_url: str, moto: MotoServer, tmp_path: Path, start_rie: Callable[..., RieServer]
) -> None:
    runs, records = tmp_path / "runs", tmp_path / "records"
    server = start_rie(
        environ=moto.environ,
        region=REGION,
        port=lasting_port(),
        database_url="" if database_url.startswith("sqlite") else database_url,
        async_retry_base_seconds=0.2,
        max_environments=8,
    )
    deploy(server, moto.create_queue("dead"))
    senders = Senders(server.client(), {"runs": str(runs), "records": str(records)}, pause_seconds=0.04)
    with Killer(server, times=KILLS, seed=7) as killer:
        senders.run(FUNCTIONS, clients=CLIENTS, enough=EVENTS, until=lambda: killer.is_done)
    wait_until(lambda: queue_length(database_url) == 0, seconds=60, what="every event to end")

    begun, endings = defaultdict(list), defaultdict(set)
    for line in lines_in(runs):
        token, request_id = line.split(" ")
        begun[token].append(request_id)
    repeated = 0
    for line in lines_in(records):
        token, *ending = json.loads(line)
        repeated += tuple(ending) in endings[token]
        endings[token].add(tuple(ending))
    for message in moto.messages("dead"):
        token = json.loads(message["Body"])["token"]
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        repeated += len(endings[token])
        endings[token].add(("dead", attributes["ErrorCode"], attributes["RequestID"]))
    for event in senders.accepted:
        expected = {
            "works": set(),
            "works-recorded": {("Success", 1, event.request_id)},
            "fails-recorded": {("RetriesExhausted", 3, event.request_id)},
            "fails-dead": {("dead", "200", event.request_id)},
        }[event.function]
        assert endings[event.token] == expected, event
        assert set(begun[event.token]) == {event.request_id}, event
        assert len(begun[event.token]) >= (3 if event.function.startswith("fails") else 1), event
    assert len(senders.accepted) >= EVENTS
    runs_needed = sum(3 if event.function.startswith("fails") else 1 for event in senders.accepted)
    print(
        f"\n{len(senders.accepted)} accepted, {len(lines_in(runs)) - runs_needed} runs and {repeated} records repeated"
    )
