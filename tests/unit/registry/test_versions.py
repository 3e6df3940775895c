"""Published versions in the registry: what runs, what is kept, and what outlives the server."""

import pytest

from rie_server.errors import ResourceConflictException, ResourceNotFoundException, ServiceException
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function_document import from_document, to_document
from rie_server.model.function_record import FunctionRecord, State
from rie_server.registry import records
from rie_server.registry.code_keeping import RETIRED_CODE_SECONDS
from tests.fakes.registry_ports import zip_of
from tests.unit.registry.conftest import World, arn

QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"
PENDING = "The operation cannot be performed at this time. The function is currently in the following state: Pending"


@pytest.fixture
def active(world: World) -> World:
    """A world with a function, ``f``, that is ready."""
    world.create(text="old")
    world.settle()
    return world


def publish(world: World) -> FunctionRecord:
    return world.registry.versions.publish(arn(), {})


def update_code(world: World, text: str) -> None:
    world.registry.update_code(arn(), {"ZipFile": zip_of(app=text)})
    world.settle()


def code_of(world: World, qualifier: str) -> str:
    directory = world.registry.resolve(arn(qualifier=qualifier)).code_directory
    assert directory is not None
    return (directory / "app").read_text()


def test_a_version_runs_the_code_it_was_published_with_in_environments_of_its_own(active: World) -> None:
    publish(active)
    update_code(active, "new")
    publish(active)
    assert [code_of(active, one) for one in ("1", "2", "$LATEST")] == ["old", "new", "new"]
    served = [active.registry.resolve(arn(qualifier=one)) for one in ("1", "2", "$LATEST")]
    assert [one.version for one in served] == ["1", "2", "$LATEST"]
    assert len({one.deployment_id for one in served}) == 3


def test_publishing_leaves_the_environments_of_latest_and_of_other_versions_alone(active: World) -> None:
    publish(active)
    active.changes.clear()
    update_code(active, "new")
    active.changes.clear()
    publish(active)
    assert active.changes == []


def test_nothing_is_published_while_the_function_is_being_made_ready(world: World) -> None:
    world.create()
    with pytest.raises(ResourceConflictException, match=PENDING):
        publish(world)
    world.settle()
    world.registry.update_configuration(arn(), {"Timeout": 9})
    with pytest.raises(ResourceConflictException, match="An update is in progress for resource"):
        publish(world)


def test_what_cannot_run_is_not_published(world: World) -> None:
    world.supports.refused["python3.12"] = "no python3.12 here"
    world.create()
    world.settle()
    with pytest.raises(ResourceConflictException, match="following state: Failed"):
        publish(world)


def test_a_version_that_is_published_with_its_function_settles_with_it(world: World) -> None:
    shown = world.create(Publish=True)
    assert (shown.version, shown.life.state) == ("1", State.PENDING)
    with pytest.raises(ResourceConflictException, match=PENDING):
        world.registry.resolve(arn(qualifier="1"))
    world.settle()
    assert world.registry.get(arn(qualifier="1")).life.state is State.ACTIVE
    assert world.registry.resolve(arn(qualifier="1")).version == "1"


def test_a_version_that_cannot_run_fails_with_its_function(world: World) -> None:
    world.supports.refused["python3.12"] = "no python3.12 here"
    world.create(Publish=True)
    world.settle()
    version = world.registry.get(arn(qualifier="1"))
    assert (version.life.state, version.life.state_reason) == (State.FAILED, "no python3.12 here")


def test_versions_and_aliases_survive_a_restart(active: World) -> None:
    publish(active)
    update_code(active, "new")
    publish(active)
    members = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.0}}}
    active.registry.aliases.create(arn(), {"Name": "canary", **members})
    active.registry.aliases.create(arn(), {"Name": "live", "FunctionVersion": "1"})
    before = active.registry.get(arn())
    active.restart()
    assert active.registry.get(arn()) == before
    assert [code_of(active, one) for one in ("1", "live", "canary", "$LATEST")] == ["old", "old", "new", "new"]


def test_a_version_that_was_pending_when_the_server_ended_is_made_ready(world: World) -> None:
    world.create(Publish=True)
    world.restart()
    world.settle()
    assert world.registry.resolve(arn(qualifier="1")).version == "1"


def test_a_version_that_this_host_cannot_run_any_more_fails_and_lives_again_where_it_can(active: World) -> None:
    publish(active)
    active.supports.refused["python3.12"] = "no python3.12 here"
    active.restart()
    with pytest.raises(ResourceConflictException, match="following state: Failed"):
        active.registry.resolve(arn(qualifier="1"))
    active.supports.refused.clear()
    active.restart()
    assert active.registry.resolve(arn(qualifier="1")).version == "1"


def test_code_is_kept_for_as_long_as_a_version_has_it(active: World) -> None:
    publish(active)
    update_code(active, "new")
    active.clock.advance(RETIRED_CODE_SECONDS + 1)
    active.registry.tag(arn(), {"any": "change"})
    old = active.registry.get(arn(qualifier="1")).current.code.sha256
    assert active.code.read_zip(old) == zip_of(app="old")
    active.registry.versions.delete(arn(), "1")
    active.clock.advance(RETIRED_CODE_SECONDS + 1)
    active.registry.tag(arn(), {"any": "other change"})
    with pytest.raises(ServiceException):
        active.code.read_zip(old)


def test_a_deleted_version_runs_no_more_and_its_environments_are_told(active: World) -> None:
    publish(active)
    active.changes.clear()
    active.registry.versions.delete(arn(), "1")
    assert active.changes == [("f", None)]
    assert active.registry.resolve(arn()).version == "$LATEST"
    with pytest.raises(ResourceNotFoundException, match=r"Function not found: .*:f:1$"):
        active.registry.resolve(arn(qualifier="1"))


def test_an_image_is_pulled_once_for_a_function_and_its_version(world: World) -> None:
    world.images.digests["shop:1"] = "sha256:" + "1" * 64
    members = {"PackageType": "Image", "Code": {"ImageUri": "shop:1"}, "Publish": True, "Role": "arn:aws:iam::0:role/r"}
    world.registry.create(arn(), members)
    world.settle()
    version = world.registry.get(arn(qualifier="1"))
    assert version.current.code.image_digest == "sha256:" + "1" * 64
    assert world.registry.versions.publish(arn(), {}).version == "1"
    assert world.images.pulled == ["shop:1"]


def test_the_numbers_of_a_deleted_function_are_remembered_over_a_restart(active: World) -> None:
    publish(active)
    update_code(active, "new")
    publish(active)
    active.registry.delete(arn())
    active.restart()
    active.create()
    active.settle()
    active.restart()
    assert publish(active).version == "3"


def test_the_dead_letter_target_is_that_of_the_version_that_runs(world: World) -> None:
    world.create(DeadLetterConfig={"TargetArn": DEAD})
    world.settle()
    publish(world)
    world.registry.aliases.create(arn(), {"Name": "live", "FunctionVersion": "1"})
    world.registry.update_configuration(arn(), {"DeadLetterConfig": {"TargetArn": ""}})
    world.settle()
    dead = [world.registry.event_invoke_config(arn(qualifier=one)).dead_letter for one in (None, "1", "live")]
    assert dead == [None, DEAD, DEAD]


def gone(world: World) -> None:
    """Deletes ``f``, which had settings of every kind."""
    world.create(DeadLetterConfig={"TargetArn": DEAD})
    world.settle()
    publish(world)
    world.registry.aliases.create(arn(), {"Name": "live", "FunctionVersion": "1"})
    settings = world.registry.invoke_settings
    settings.put_event_invoke(arn(), {"MaximumRetryAttempts": 0})
    settings.put_event_invoke(arn(qualifier="live"), {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}})
    world.registry.delete(arn())


def configs(world: World) -> list[EventInvokeConfig]:
    return [world.registry.event_invoke_config(arn(qualifier=one)) for one in (None, "1", "live", "other")]


def test_the_last_settings_of_a_deleted_function_survive_restarts(world: World) -> None:
    gone(world)
    wanted = [
        EventInvokeConfig(maximum_retry_attempts=0, dead_letter=DEAD),
        EventInvokeConfig(dead_letter=DEAD),
        EventInvokeConfig(on_failure=QUEUE, dead_letter=DEAD),
        EventInvokeConfig(),
    ]
    assert configs(world) == wanted
    for _ in range(2):
        world.restart()
        assert configs(world) == wanted
    assert "variables" not in str(world.store.load()).lower()
    world.create()
    world.restart()
    assert configs(world) == [EventInvokeConfig()] * 4


def test_only_so_many_deleted_functions_are_remembered_and_those_deleted_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "KEPT_GONE", 2)
    for name in "abc":
        world.create(name, DeadLetterConfig={"TargetArn": DEAD})
    for name in "bca":
        world.registry.delete(arn(name))
    world.restart()
    assert [world.registry.event_invoke_config(arn(name)).dead_letter for name in "abc"] == [DEAD, None, DEAD]
    assert len(world.store.load()) == 2


def test_a_crash_between_the_two_writes_of_a_deletion_leaves_the_function(
    active: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_key: str) -> None:
        raise OSError("crash")

    publish(active)
    with monkeypatch.context() as broken:
        broken.setattr(active.store, "delete", crash)
        with pytest.raises(OSError, match="crash"):
            active.registry.delete(arn())
    active.restart()
    assert active.registry.resolve(arn(qualifier="1")).version == "1"
    assert list(active.store.load()) == [str(arn())]


def test_events_of_a_deleted_alias_or_version_go_where_it_said_until_there_is_one_again(active: World) -> None:
    publish(active)
    active.registry.aliases.create(arn(), {"Name": "live", "FunctionVersion": "1"})
    destination = {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}
    for qualifier in ("1", "live"):
        active.registry.invoke_settings.put_event_invoke(arn(qualifier=qualifier), destination)
    active.registry.aliases.delete(arn(), "live")
    active.registry.versions.delete(arn(), "1")
    active.restart()
    assert [one.on_failure for one in configs(active)] == [None, QUEUE, QUEUE, None]
    active.registry.aliases.create(arn(), {"Name": "live", "FunctionVersion": "$LATEST"})
    assert [one.on_failure for one in configs(active)] == [None, QUEUE, None, None]
    active.registry.delete(arn())
    assert [one.on_failure for one in configs(active)] == [None, QUEUE, None, None]


def test_a_record_of_an_earlier_release_has_neither_versions_nor_aliases(active: World) -> None:
    record = active.registry.get(arn())
    document = to_document(record)
    for name in ("versions", "aliases", "last_version", "gone_configs", "policies"):
        del document[name]
    assert from_document(document) == record


def test_a_record_with_everything_is_read_as_it_was_written(active: World) -> None:
    publish(active)
    active.registry.aliases.create(arn(), {"Name": "live", "FunctionVersion": "1"})
    permission = {"StatementId": "s", "Principal": "*", "Action": "lambda:*", "SourceAccount": "000000000000"}
    active.registry.policies.add(arn(qualifier="live"), permission)
    record = active.registry.get(arn())
    assert from_document(to_document(record)) == record
