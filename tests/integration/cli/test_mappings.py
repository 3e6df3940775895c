"""Event source mappings of a real server: from a template, across restarts and crashes, and as ``rie mappings`` and
``/metrics`` show them.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import RieServer, wait_until
from tests.servers.moto import ACCOUNT, REGION, MotoServer

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:Orders"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/clicks"
TEMPLATE = """
Resources:
  Orders: {Type: AWS::SQS::Queue}
  Table: {Type: AWS::DynamoDB::Table}
  Work:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: work
      Runtime: python3.12
      Handler: app.handler
      CodeUri: code/
      Events:
        FromQueue:
          Type: SQS
          Properties: {Queue: !GetAtt Orders.Arn, BatchSize: %s, Enabled: false}
        FromTable:
          Type: DynamoDB
          Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST}
        Nightly:
          Type: Schedule
          Properties: {Schedule: rate(1 day)}
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    """Has the queue and the streams that these tests poll."""
    with MotoServer() as made:
        made.create_queue("Orders")
        for name in ("clicks", "clicks-2"):
            made.client("kinesis").create_stream(StreamName=name, ShardCount=1)
        yield made


@pytest.fixture
def start(start_rie: Callable[..., RieServer], moto: MotoServer) -> Callable[..., RieServer]:
    """Starts servers that find their sources in moto."""
    return partial(start_rie, environ=moto.environ, region=REGION, account_id=ACCOUNT)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("def handler(event, context):\n    return len(event['Records'])\n")
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE % 5)
    return path


def mappings_of(server: RieServer) -> list[dict[str, Any]]:
    return server.client().list_event_source_mappings()["EventSourceMappings"]


def settled(server: RieServer) -> list[dict[str, Any]]:
    def look() -> list[dict[str, Any]] | None:
        found = mappings_of(server)
        return found if all(one["State"] in ("Enabled", "Disabled") for one in found) else None

    return wait_until(look, what="all mappings to settle")


def run(server: RieServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RIE_")}
    command = [sys.executable, "-m", "rie_server", "mappings", "--url", server.url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


def test_a_templates_events_become_mappings_and_stay_the_same_until_it_changes(
    start: Callable[..., RieServer], template: Path
) -> None:
    server = start(template=template)
    (first,) = settled(server)
    assert (first["EventSourceArn"], first["BatchSize"], first["State"]) == (QUEUE, 5, "Disabled")
    assert "Work.FromQueue: created\n" in server.output
    assert "Work.FromTable: skipped: Stream: Table.StreamArn is known only after a deployment to AWS\n" in server.output
    assert "work: created [not carried out: Events.Nightly]" in server.output

    server.stop()
    server.restart()
    assert settled(server) == [first]
    assert "Work.FromQueue: unchanged\n" in server.output

    server.stop()
    template.write_text(TEMPLATE % 6)
    server.restart()
    (changed,) = settled(server)
    assert (changed["UUID"], changed["BatchSize"]) == (first["UUID"], 6)
    assert "Work.FromQueue: updated\n" in server.output


def test_a_mistake_in_a_mapping_of_the_template_stops_the_start_in_one_line(template: Path, tmp_path: Path) -> None:
    template.write_text(TEMPLATE % 11)
    server = RieServer(tmp_path, template=template)
    assert server.process.wait(30) != 0
    assert f"{template}: Work.FromQueue: Maximum batch window in seconds must be greater than 0" in server.output
    assert "Traceback" not in server.output


def test_mappings_survive_a_restart_and_kill_9_as_their_last_answer_said(
    start: Callable[..., RieServer], template: Path
) -> None:
    template.write_text((TEMPLATE % 5).replace("Enabled: false", "Enabled: true"))
    server = start(template=template)
    client = server.client()
    stream = client.create_event_source_mapping(
        FunctionName="work", EventSourceArn=STREAM, StartingPosition="TRIM_HORIZON", Tags={"team": "shop"}
    )
    before = {one["UUID"]: one["State"] for one in settled(server)}
    deleted = client.create_event_source_mapping(
        FunctionName="work", EventSourceArn=f"{STREAM}-2", StartingPosition="LATEST"
    )
    settled(server)
    client.delete_event_source_mapping(UUID=deleted["UUID"])
    server.kill()

    server.restart()

    wait_until(lambda: {one["UUID"]: one["State"] for one in settled(server)} == before)
    assert set(before.values()) == {"Enabled"}
    assert server.client().list_tags(Resource=stream["EventSourceMappingArn"])["Tags"] == {"team": "shop"}


def test_a_function_that_is_deleted_leaves_its_mapping(start: Callable[..., RieServer], template: Path) -> None:
    server = start(template=template)
    server.client().delete_function(FunctionName="work")
    server.stop()
    template.write_text("Resources: {Nothing: {Type: AWS::SQS::Queue}}")
    server.restart()
    (mapping,) = settled(server)
    assert mapping["FunctionArn"].endswith(":function:work")


def test_the_command_shows_where_mappings_stand(start: Callable[..., RieServer], template: Path) -> None:
    server = start(template=template)
    (mapping,) = settled(server)
    shown = run(server)
    assert shown.returncode == 0
    header, row = shown.stdout.splitlines()
    assert header.split()[:4] == ["UUID", "FUNCTION", "SOURCE", "STATE"]
    assert row.split()[:5] == [mapping["UUID"], "work", "sqs", "Orders", "Disabled"]
    nothing = run(server, "--function", "nobody")
    assert (nothing.stdout, nothing.returncode) == ("", 0)
    assert nothing.stderr.startswith("No event source mappings.")


def test_who_follows_sees_a_line_for_every_change(start: Callable[..., RieServer], template: Path) -> None:
    server = start(template=template)
    (mapping,) = settled(server)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RIE_")}
    command = [sys.executable, "-m", "rie_server", "mappings", "--follow", "--url", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**environ, "PYTHONUNBUFFERED": "1"}) as one:
        assert one.stdout is not None
        assert "Disabled" in one.stdout.readline()
        server.client().delete_event_source_mapping(UUID=mapping["UUID"])
        server.client().create_event_source_mapping(
            FunctionName="work", EventSourceArn=STREAM, StartingPosition="LATEST", Enabled=False
        )
        line = one.stdout.readline()
        while "kinesis" not in line:
            line = one.stdout.readline()
        one.terminate()


def test_metrics_are_there_for_event_source_mappings(start: Callable[..., RieServer], template: Path) -> None:
    server = start(template=template)
    with requests.get(f"{server.url}/metrics", timeout=10) as reply:
        assert "# TYPE PolledEventCount_total counter" in reply.text
        assert "# TYPE IteratorAge histogram" in reply.text


def test_a_clock_moved_by_hand_waits_for_pollers_too(start: Callable[..., RieServer], template: Path) -> None:
    server = start(template=template, clock="manual")
    server.client().create_event_source_mapping(
        FunctionName="work", EventSourceArn=STREAM, StartingPosition="LATEST", Enabled=False
    )
    with requests.post(f"{server.url}/_rie/clock", json={"advance_seconds": 300}, timeout=60) as reply:
        assert reply.json()["settled"] is True
    assert [one["State"] for one in mappings_of(server)] == ["Disabled", "Disabled"]
