import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rie_server.errors import (
    CodeStorageExceededException,
    InvalidParameterValueException,
    LambdaError,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from rie_server.limits import CODE_STORAGE_BYTES
from rie_server.model.function_description import describe_code
from rie_server.model.function_record import State, UpdateStatus
from rie_server.registry.code_keeping import RETIRED_CODE_SECONDS
from tests.fakes.registry_ports import zip_of
from tests.unit.registry.conftest import ROLE, World, arn, wait_for, zip_members

PENDING = "The operation cannot be performed at this time. The function is currently in the following state: Pending"


def test_a_new_function_is_pending_until_its_code_is_ready_and_active_afterwards(world: World) -> None:
    record = world.create()
    assert record.life.state is State.PENDING
    assert record.life.state_reason == "The function is being created."
    with pytest.raises(ResourceConflictException, match=PENDING):
        world.registry.resolve(arn())
    settled = world.settle()
    assert (settled.life.state, settled.life.update_status) == (State.ACTIVE, UpdateStatus.SUCCESSFUL)
    assert settled.life.state_reason is None
    assert settled.revision_id != record.revision_id
    version = world.registry.resolve(arn())
    assert version is world.registry.resolve(arn(qualifier="$LATEST"))
    assert version.code_directory is not None
    assert (version.code_directory / "app").read_text() == "x"
    assert (version.timeout_seconds, version.memory_size_mb, version.log_group) == (3, 128, "/aws/lambda/f")


def test_a_function_that_is_not_there_is_reported_with_the_qualifier_that_was_meant(world: World) -> None:
    world.create()
    world.settle()
    for function, shown in [
        (arn("g"), f"{arn('g')}:$LATEST"),
        (arn("g", "7"), f"{arn('g')}:7"),
        (arn("f", "live"), f"{arn('f')}:live"),
    ]:
        with pytest.raises(ResourceNotFoundException) as error:
            world.registry.resolve(function)
        assert error.value.message == f"Function not found: {shown}"
    with pytest.raises(ResourceNotFoundException) as error:
        world.registry.get(arn("g"))
    assert error.value.message == f"Function not found: {arn('g')}"


def test_invocations_run_the_old_code_while_an_update_is_in_progress(world: World) -> None:
    world.create(text="old")
    world.settle()
    old = world.registry.resolve(arn())
    world.changes.clear()
    updated = world.registry.update_code(arn(), {"ZipFile": zip_of(app="new")})
    assert updated.life.state is State.ACTIVE
    assert updated.life.update_status is UpdateStatus.IN_PROGRESS
    assert world.registry.resolve(arn()) is old
    with pytest.raises(ResourceConflictException) as error:
        world.registry.update_configuration(arn(), {"Timeout": 9})
    assert error.value.message == (
        f"The operation cannot be performed at this time. An update is in progress for resource: {arn()}"
    )
    world.settle()
    new = world.registry.resolve(arn())
    assert new.deployment_id != old.deployment_id
    assert new.code_directory is not None
    assert (new.code_directory / "app").read_text() == "new"
    wait_for(lambda: world.changes == [("f", new.deployment_id)])


def test_a_configuration_update_keeps_what_it_does_not_mention(world: World) -> None:
    world.create(Timeout=7, Environment={"Variables": {"A1": "1", "B1": "2"}})
    world.settle()
    world.registry.update_configuration(arn(), {"MemorySize": 256, "Environment": {"Variables": {"C1": "3"}}})
    world.settle()
    version = world.registry.resolve(arn())
    assert (version.timeout_seconds, version.memory_size_mb, dict(version.variables)) == (7, 256, {"C1": "3"})


def test_an_update_of_a_pending_function_is_refused(world: World) -> None:
    world.create()
    with pytest.raises(ResourceConflictException, match=PENDING):
        world.registry.update_code(arn(), {"ZipFile": zip_of(app="y")})
    with pytest.raises(ResourceConflictException, match=PENDING):
        world.registry.update_configuration(arn(), {"Timeout": 5})


def test_an_update_with_another_revision_id_than_the_latest_is_refused(world: World) -> None:
    stale = world.create().revision_id
    latest = world.settle().revision_id
    for update in (
        lambda: world.registry.update_configuration(arn(), {"Timeout": 5, "RevisionId": stale}),
        lambda: world.registry.update_code(arn(), {"ZipFile": zip_of(app="y"), "RevisionId": stale}),
    ):
        with pytest.raises(PreconditionFailedException):
            update()
    world.registry.update_configuration(arn(), {"Timeout": 5, "RevisionId": latest})


def test_a_dry_run_shows_what_would_be_and_changes_nothing(world: World) -> None:
    world.create(text="old")
    before = world.settle()
    shown = world.registry.update_code(arn(), {"ZipFile": zip_of(app="new"), "DryRun": True})
    assert shown.current.code.sha256 != before.current.code.sha256
    assert world.registry.get(arn()) == before


def test_only_one_of_many_callers_creates_a_function(world: World) -> None:
    barrier = threading.Barrier(8)

    def create() -> str:
        barrier.wait()
        try:
            world.create()
        except ResourceConflictException as error:
            return error.message
        return "created"

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(lambda _: create(), range(8)))
    assert answers == ["Function already exist: f"] * 7 + ["created"]


def test_functions_and_their_code_survive_a_restart(world: World) -> None:
    world.create(Tags={"a": "b"}, text="kept")
    before = world.settle()
    world.restart()
    assert world.registry.get(arn()) == before
    version = world.registry.resolve(arn())
    assert version.code_directory is not None
    assert (version.code_directory / "app").read_text() == "kept"


def test_what_was_under_way_at_the_end_is_taken_up_at_the_next_start(world: World) -> None:
    world.create("new")
    world.create("old", text="old")
    world.settle("old")
    world.registry.update_code(arn("old"), {"ZipFile": zip_of(app="newer")})
    world.restart()
    assert world.registry.resolve(arn("old")).code_directory is not None
    assert world.registry.get(arn("new")).life.state in {State.PENDING, State.ACTIVE}
    assert world.settle("new").life.state is State.ACTIVE
    assert world.settle("old").life.update_status is UpdateStatus.SUCCESSFUL
    directory = world.registry.resolve(arn("old")).code_directory
    assert directory is not None
    assert (directory / "app").read_text() == "newer"


def test_a_version_published_with_its_code_is_settled_wherever_the_server_was_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind: list[Mapping[str, Mapping[str, Any]]] = []
    save = world.store.save

    def remember(key: str, document: Mapping[str, Any]) -> None:
        save(key, document)
        left_behind.append(world.store.load())

    monkeypatch.setattr(world.store, "save", remember)
    world.create(Publish=True)
    world.settle()
    monkeypatch.undo()
    assert len(left_behind) > 1
    for documents in left_behind:
        world.registry.close()
        for key, document in documents.items():
            world.store.save(key, document)
        world.registry = world.build()
        world.settle()
        assert world.registry.get(arn(qualifier="1")).life.state is State.ACTIVE
        assert world.registry.resolve(arn(qualifier="1")).version == "1"


def test_a_function_the_executor_cannot_run_fails_with_the_executors_words(world: World) -> None:
    world.supports.refused["java21"] = "There is no Java on this machine."
    world.create(Runtime="java21")
    life = world.settle().life
    assert (life.state, life.state_reason) == (State.FAILED, "There is no Java on this machine.")
    with pytest.raises(ResourceConflictException, match="following state: Failed"):
        world.registry.resolve(arn())


def test_a_failed_update_leaves_the_former_deployment_in_service(world: World) -> None:
    world.supports.refused["java21"] = "There is no Java on this machine."
    world.create()
    world.settle()
    served = world.registry.resolve(arn())
    world.registry.update_configuration(arn(), {"Runtime": "java21"})
    life = world.settle().life
    assert (life.state, life.update_status) == (State.ACTIVE, UpdateStatus.FAILED)
    assert life.update_reason == "There is no Java on this machine."
    assert world.registry.resolve(arn()) is served


def test_a_function_that_failed_lives_again_when_the_obstacle_is_gone_at_the_next_start(world: World) -> None:
    world.supports.refused["java21"] = "There is no Java on this machine."
    world.create(Runtime="java21")
    world.settle()
    world.supports.refused.clear()
    world.restart()
    world.clock.advance(0.01)
    wait_for(lambda: world.registry.get(arn()).life.state is State.ACTIVE)


def test_an_active_function_that_a_restarted_server_cannot_run_is_failed_with_the_reason(world: World) -> None:
    world.create()
    world.settle()
    world.supports.refused["python3.12"] = "There is no Python on this machine."
    world.restart()
    life = world.registry.get(arn()).life
    assert (life.state, life.state_reason) == (State.FAILED, "There is no Python on this machine.")


def image_members(uri: str) -> dict[str, object]:
    return {"Role": ROLE, "PackageType": "Image", "Code": {"ImageUri": uri}}


def test_an_image_is_pulled_before_the_function_is_active_and_its_digest_is_remembered(world: World) -> None:
    world.images.digests["repo/a:1"] = "sha256:" + "ab" * 32
    world.registry.create(arn(), image_members("repo/a:1"))
    code = world.settle().current.code
    assert (code.sha256, code.image_digest) == ("ab" * 32, "sha256:" + "ab" * 32)
    assert world.registry.resolve(arn()).image_uri == "repo/a:1"
    world.registry.update_configuration(arn(), {"Timeout": 9})
    world.settle()
    assert world.images.pulled == ["repo/a:1"]
    world.registry.update_code(arn(), {"ImageUri": "repo/a:1"})
    world.settle()
    assert world.images.pulled == ["repo/a:1"] * 2


def test_an_image_that_is_not_there_fails_the_function(world: World) -> None:
    world.registry.create(arn(), image_members("repo/missing"))
    life = world.settle().life
    assert (life.state, life.state_reason_code) == (State.FAILED, "InvalidImage")
    assert life.state_reason == "The image repo/missing does not exist."


def test_code_from_s3_is_fetched(world: World) -> None:
    world.objects.objects["bucket", "key"] = zip_of(app="from s3")
    world.create(Code={"S3Bucket": "bucket", "S3Key": "key"})
    world.settle()
    directory = world.registry.resolve(arn()).code_directory
    assert directory is not None
    assert (directory / "app").read_text() == "from s3"
    with pytest.raises(InvalidParameterValueException, match="S3 Error Code: NoSuchKey"):
        world.create("g", Code={"S3Bucket": "bucket", "S3Key": "nothing"})


def test_a_deleted_function_is_gone_and_whoever_listens_is_told(world: World) -> None:
    world.create()
    world.settle()
    world.changes.clear()
    world.registry.delete(arn())
    assert world.changes == [("f", None)]
    with pytest.raises(ResourceNotFoundException):
        world.registry.resolve(arn())
    with pytest.raises(ResourceNotFoundException):
        world.registry.delete(arn())
    world.restart()
    assert world.registry.list(region="us-east-1", account="000000000000") == []


def test_a_function_deleted_while_pending_does_not_come_back(world: World) -> None:
    world.create()
    world.registry.delete(arn())
    world.create(text="second")
    world.settle()
    directory = world.registry.resolve(arn()).code_directory
    assert directory is not None
    assert (directory / "app").read_text() == "second"


def test_replaced_code_is_kept_while_invocations_may_run_it_and_removed_afterwards(world: World) -> None:
    old = world.create(text="old").current.code.sha256
    world.settle()
    world.registry.update_code(arn(), {"ZipFile": zip_of(app="new")})
    world.settle()
    assert world.code.read_zip(old)
    world.clock.advance(RETIRED_CODE_SECONDS + 1)
    world.registry.tag(arn(), {"any": "change"})
    with pytest.raises(LambdaError):
        world.code.read_zip(old)
    assert world.code.read_zip(world.registry.get(arn()).current.code.sha256)


def test_the_code_of_a_function_created_anew_with_the_same_zip_is_not_swept(world: World) -> None:
    sha256 = world.create().current.code.sha256
    world.registry.delete(arn())
    world.create("again")
    world.clock.advance(RETIRED_CODE_SECONDS + 1)
    world.registry.tag(arn("again"), {"any": "change"})
    assert world.code.read_zip(sha256)


def test_a_write_that_fails_is_not_visible(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(key: str, document: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(world.store, "save", full)
    with pytest.raises(OSError, match="No space left"):
        world.create()
    with pytest.raises(ResourceNotFoundException):
        world.registry.get(arn())


def test_tags_are_added_and_removed_without_touching_the_revision(world: World) -> None:
    world.create(Tags={"a": "1"})
    revision_id = world.settle().revision_id
    world.registry.tag(arn(), {"b": "2", "a": "3"})
    assert world.registry.get(arn()).tags == {"a": "3", "b": "2"}
    world.registry.untag(arn(), ["a", "never there"])
    record = world.registry.get(arn())
    assert (record.tags, record.revision_id) == ({"b": "2"}, revision_id)
    with pytest.raises(InvalidParameterValueException, match="Number of tags exceeds resource tag limit"):
        world.registry.tag(arn(), {f"k{number}": "" for number in range(50)})


def test_functions_of_another_region_are_not_listed(world: World) -> None:
    for name in ("b", "a"):
        world.create(name)
    elsewhere = arn("c")
    world.registry.create(type(elsewhere)(region="eu-west-1", account=elsewhere.account, name="c"), zip_members())
    names = [record.arn.name for record in world.registry.list(region="us-east-1", account="000000000000")]
    assert names == ["a", "b"]


def test_code_beyond_the_accounts_storage_is_refused(world: World) -> None:
    assert CODE_STORAGE_BYTES == 75 * 1024**3
    world.registry.storage.limit_bytes = 150
    world.create()
    with pytest.raises(CodeStorageExceededException):
        world.create("g", text="another")
    world.settle()
    with pytest.raises(CodeStorageExceededException):
        world.registry.versions.publish(arn(), {})


def test_no_thread_of_the_registry_outlives_it(world: World) -> None:
    world.create()
    world.settle()
    world.registry.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("registry-")]
    world.restart = lambda: None  # type: ignore[method-assign]
    world.registry = world.build()


def test_a_restarted_server_that_can_run_neither_the_old_nor_the_new_deployment_fails_the_function(
    world: World,
) -> None:
    world.create()
    world.settle()
    world.registry.update_configuration(arn(), {"Timeout": 9})
    world.supports.refused["python3.12"] = "There is no Python on this machine."
    world.restart()
    world.clock.advance(0.01)
    wait_for(lambda: world.registry.get(arn()).life.state is State.FAILED)
    assert world.registry.get(arn()).life.update_status is UpdateStatus.FAILED


def test_the_key_of_an_encrypted_package_is_shown_until_code_comes_without_one(world: World) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    world.create(Code={"ZipFile": zip_of(app="x"), "SourceKMSKeyArn": key})
    assert describe_code(world.settle(), "")["SourceKMSKeyArn"] == key
    world.registry.update_code(arn(), {"ZipFile": zip_of(app="y"), "Architectures": ["arm64"]})
    record = world.settle()
    assert "SourceKMSKeyArn" not in describe_code(record, "")
    assert world.registry.resolve(arn()).architecture == "arm64"
