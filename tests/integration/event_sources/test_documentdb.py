"""DocumentDB through boto3: a cluster, a real server, a function that writes down what it gets.

The cluster is the tests' own (``servers/documentdb``), or the replica set that ``MONGODB_URI`` names, with a user in it
who may read and write every database.
"""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.recording import (
    Recorder,
    create_mapping,
    delete_mapping,
    settled,
    wait_for_result,
)
from tests.integration.event_sources.stories import Story, serving
from tests.integration.events.crashing import crash
from tests.integration.invoke.deploying import error_of
from tests.servers.documentdb import PASSWORD, USER, DocumentDbServer
from tests.servers.moto import REGION, MotoServer

ARN = f"arn:aws:rds:{REGION}:123456789012:cluster:orders"
MONGODB_URI = os.environ.get("MONGODB_URI", "")
of_its_own = pytest.mark.skipif(bool(MONGODB_URI), reason="a cluster of somebody else's is neither stopped nor changed")


class ClusterStory(Story):
    """
    Attributes:
        cluster: None where it is somebody else's.
    """

    def __init__(self, cluster: DocumentDbServer | None, moto: MotoServer, rie: RieServer, folder: Path) -> None:
        from pymongo import MongoClient  # noqa: PLC0415 - an extra

        super().__init__(moto, rie, folder, user=USER, password=PASSWORD)
        self.cluster = cluster
        user: dict[str, Any] = {} if cluster is None else {"username": USER, "password": PASSWORD}
        self.mongo: MongoClient[dict[str, Any]] = MongoClient(MONGODB_URI if cluster is None else cluster.url, **user)

    def members(self, database: str, **members: Any) -> dict[str, Any]:
        """Of CreateEventSourceMapping, for ``database``."""
        return {
            "EventSourceArn": ARN,
            "StartingPosition": "LATEST",
            "SourceAccessConfigurations": [self.basic_auth()],
            "DocumentDBEventSourceConfig": {"DatabaseName": database},
            **members,
        }


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStory]:
    folder = tmp_path_factory.mktemp("documentdb")
    cluster = None if MONGODB_URI else DocumentDbServer()
    url = MONGODB_URI if cluster is None else f"{cluster.url}&serverSelectionTimeoutMS=500"
    with cluster or contextlib.nullcontext(), serving(folder, documentdb_endpoints=f"{ARN}={url}") as (moto, rie):
        story = ClusterStory(cluster, moto, rie, folder)
        try:
            yield story
        finally:
            story.mongo.close()


@pytest.fixture
def database(story: ClusterStory) -> Iterator[str]:
    """The name of a database that no other test uses."""
    name = f"shop-{uuid.uuid4().hex[:8]}"
    yield name
    if MONGODB_URI:
        story.mongo.drop_database(name)


@pytest.fixture
def mapped(story: ClusterStory, database: str) -> Iterator[Callable[..., str]]:
    """Creates mappings that end with the test, and waits until they watch."""
    with story.mappings() as create:
        yield lambda recorder, **members: create(recorder, **story.members(database, **members))


def changes(recorder: Recorder) -> list[dict[str, Any]]:
    return [one["event"] for event in recorder.events for one in event["events"]]


def keys(recorder: Recorder) -> list[Any]:
    return [change["documentKey"]["_id"] for change in changes(recorder)]


def watch_from_now(story: ClusterStory, recorder: Recorder, database: str) -> None:
    """Returns once the mapping's stream is open: a change before that is none of LATEST's."""

    def seen() -> bool:
        story.mongo[database].probes.insert_one({"_id": uuid.uuid4().hex})
        return bool(recorder.events)

    wait_until(seen, what="the stream to be open")


def test_changes_reach_the_function_as_aws_sends_them(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder = story.recorder()
    config = {"DatabaseName": database, "CollectionName": "orders", "FullDocument": "UpdateLookup"}
    orders = story.mongo[database].orders
    orders.insert_one({"_id": 0, "price": 0.5})
    name = mapped(recorder, StartingPosition="TRIM_HORIZON", DocumentDBEventSourceConfig=config)
    orders.insert_one({"_id": 1, "price": 2.5})
    orders.update_one({"_id": 1}, {"$set": {"price": 3.5}})
    story.mongo[database].others.insert_one({"_id": 2})
    orders.delete_one({"_id": 1})
    wait_until(lambda: len(changes(recorder)) >= 4, what="four changes")

    event = recorder.events[0]
    assert {**event, "events": []} == {"eventSourceArn": ARN, "events": [], "eventSource": "aws:docdb"}
    assert [one["operationType"] for one in changes(recorder)] == ["insert", "insert", "update", "delete"]
    assert keys(recorder) == [0, 1, 1, 1]
    first, _, updated, _ = changes(recorder)
    assert first["ns"] == {"db": database, "coll": "orders"}
    assert set(first["clusterTime"]["$timestamp"]) == {"t", "i"}
    assert first["fullDocument"] == {"_id": 0, "price": 0.5}
    assert updated["updateDescription"]["updatedFields"] == {"price": 3.5}
    assert wait_for_result(story.client, name, lambda said: said == "OK")


def test_a_batch_that_fails_comes_again_until_it_succeeds(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder = story.recorder()
    name = mapped(recorder)
    watch_from_now(story, recorder, database)
    recorder.fail()
    story.mongo[database].orders.insert_one({"_id": 1})
    wait_until(lambda: len(recorder.failures) >= 2, what="the second failure")
    assert wait_for_result(story.client, name, lambda said: said == "PROBLEM: Function call failed")
    story.mongo[database].orders.insert_one({"_id": 2})
    recorder.succeed()
    wait_until(lambda: keys(recorder)[-2:] == [1, 2], what="both changes, in order")


def test_a_disabled_mapping_goes_on_where_it_was(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder = story.recorder()
    name = mapped(recorder)
    watch_from_now(story, recorder, database)
    story.client.update_event_source_mapping(UUID=name, Enabled=False)
    assert settled(story.client, name)["State"] == "Disabled"
    story.mongo[database].orders.insert_one({"_id": 1})

    story.client.update_event_source_mapping(UUID=name, Enabled=True)
    wait_until(lambda: keys(recorder)[-1] == 1, what="the change meanwhile")


def test_a_mapping_that_is_deleted_watches_no_more(story: ClusterStory, database: str) -> None:
    recorder = story.recorder()
    name = create_mapping(story.client, recorder, **story.members(database))
    watch_from_now(story, recorder, database)
    delete_mapping(story.client, name)
    story.mongo[database].orders.insert_one({"_id": "after"})

    other = story.recorder()
    second = create_mapping(story.client, other, **story.members(database, StartingPosition="TRIM_HORIZON"))
    wait_until(lambda: "after" in keys(other), what="the other mapping to have seen it")
    delete_mapping(story.client, second)
    assert "after" not in keys(recorder)


def test_a_server_that_was_killed_goes_on_after_the_last_batch_that_succeeded(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder, count = story.recorder(seconds=0.02), 400
    mapped(recorder, BatchSize=10, StartingPosition="TRIM_HORIZON", MaximumBatchingWindowInSeconds=0)
    story.mongo[database].orders.insert_many([{"_id": number} for number in range(count)])
    wait_until(lambda: len(keys(recorder)) >= count // 4, seconds=30, what="a quarter")
    crash(story.rie)
    story.rie.restart()
    wait_until(lambda: len(set(keys(recorder))) == count, seconds=30, what="all changes")

    assert list(dict.fromkeys(keys(recorder))) == list(range(count))
    assert len(keys(recorder)) <= count + 3 * 10


# --- bad input --------------------------------------------------------------------------------------------------------


@of_its_own
def test_a_cluster_that_went_away_is_found_again(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder, cluster = story.recorder(), story.cluster
    assert cluster is not None
    name = mapped(recorder)
    watch_from_now(story, recorder, database)
    cluster.stop()
    try:
        wait_for_result(story.client, name, lambda said: "cannot be reached" in said)
    finally:
        cluster.start()
    story.mongo[database].orders.insert_one({"_id": 1})
    wait_until(lambda: keys(recorder)[-1] == 1, seconds=20, what="the change")


@of_its_own
def test_a_connection_that_breaks_while_a_batch_is_with_the_function_costs_nothing(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder, cluster, count = story.recorder(seconds=0.05), story.cluster, 200
    assert cluster is not None
    mapped(recorder, BatchSize=10, StartingPosition="TRIM_HORIZON", MaximumBatchingWindowInSeconds=0)
    story.mongo[database].orders.insert_many([{"_id": number} for number in range(count)])
    for part in (4, 2):
        wait_until(lambda: len(keys(recorder)) >= count // part, seconds=30, what="a part")  # noqa: B023
        cluster.stop()
        cluster.start()
    wait_until(lambda: len(set(keys(recorder))) == count, seconds=30, what="all changes")

    assert list(dict.fromkeys(keys(recorder))) == list(range(count))
    assert len(keys(recorder)) <= count + 2 * 10


@of_its_own
def test_a_wrong_password_is_told_until_the_secret_is_corrected(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder, secret = story.recorder(), story.new_secret("wrong")
    story.mongo[database].orders.insert_one({"_id": 1})
    name = mapped(recorder, StartingPosition="TRIM_HORIZON", SourceAccessConfigurations=[story.basic_auth(secret)])
    said = wait_for_result(story.client, name, lambda said: said.startswith("PROBLEM: "))
    assert "EVENT_SOURCE_AUTHN_ERROR: Lambda failed to authenticate the event source." in said
    assert "wrong" not in said

    story.change_secret(secret, PASSWORD)
    wait_until(lambda: keys(recorder) == [1], seconds=30, what="the change")
    assert wait_for_result(story.client, name, lambda said: said == "OK")


@of_its_own
def test_a_password_that_is_changed_at_the_cluster_counts_once_the_secret_has_it(
    story: ClusterStory, mapped: Callable[..., str], database: str
) -> None:
    recorder, cluster = story.recorder(), story.cluster
    assert cluster is not None
    name = mapped(recorder)
    watch_from_now(story, recorder, database)
    try:
        cluster.change_password("another")
        assert wait_for_result(story.client, name, lambda said: "EVENT_SOURCE_AUTHN_ERROR" in said)
        story.change_secret(story.secret, "another")
        assert wait_for_result(story.client, name, lambda said: not said.startswith("PROBLEM"), seconds=30)
    finally:
        story.change_secret(story.secret, PASSWORD)
        cluster.change_password(PASSWORD)
    story.mongo[database].orders.insert_one({"_id": 1})
    wait_until(lambda: keys(recorder)[-1] == 1, seconds=30, what="the change")


def test_what_documentdb_does_not_know_is_refused(story: ClusterStory, database: str) -> None:
    recorder = story.recorder()

    def refused(**changes: Any) -> tuple[int, str, str]:
        members = {**story.members(database), "FunctionName": recorder.name, **changes}
        given = {name: value for name, value in members.items() if value is not None}
        return error_of(story.client.create_event_source_mapping, **given)

    for wrong, words in [
        ({"FilterCriteria": {"Filters": [{"Pattern": "{}"}]}}, "Unsupported 'filterCriteria' parameter"),
        ({"SourceAccessConfigurations": None}, "Required 'sourceAccessConfigurations' parameter is missing."),
        ({"DocumentDBEventSourceConfig": None}, "Required 'documentDBEventSourceConfig' parameter is missing."),
        ({"DocumentDBEventSourceConfig": {"CollectionName": "orders"}}, "databaseName"),
        ({"Queues": ["orders"]}, "Unsupported 'queues' parameter"),
    ]:
        status, code, message = refused(**wrong)
        assert (status, code) == (400, "InvalidParameterValueException"), (wrong, message)
        assert words in message, message
