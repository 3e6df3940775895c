"""What is set on a function apart from its deployments: kept, told, and gone with the function."""

from dataclasses import asdict
from typing import Any

import pytest

from rie_server.errors import InvalidParameterValueException, LambdaError, ResourceNotFoundException
from rie_server.model.arn import FunctionArn
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function_document import from_document, to_document
from rie_server.model.recursion import RecursiveLoop
from rie_server.registry.functions import FunctionRegistry
from tests.unit.registry.conftest import World, arn

QUEUE = "arn:aws:sqs:us-east-1:000000000000:queue"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"


class Heard:
    """Reservations as they are told."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self.told: list[tuple[str, Any]] = []
        registry.invoke_settings.tell(self)

    def reserve(self, function: FunctionArn, executions: int | None) -> None:
        self.told.append((function.name, executions))

    def forget(self, function: FunctionArn) -> None:
        self.told.append((function.name, "gone"))


def test_a_function_without_settings_has_awss_defaults_and_so_has_one_that_was_never_there(world: World) -> None:
    world.create()
    assert world.registry.event_invoke_config(arn()) == EventInvokeConfig()
    assert world.registry.event_invoke_config(arn("never-there", "1")) == EventInvokeConfig()


def test_the_settings_of_a_qualifier_hold_for_it_alone(world: World) -> None:
    world.create()
    settings = world.registry.invoke_settings
    settings.put_event_invoke(
        arn(), {"MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}
    )
    wanted = EventInvokeConfig(maximum_retry_attempts=0, on_failure=QUEUE)
    assert world.registry.event_invoke_config(arn()) == wanted
    assert world.registry.event_invoke_config(arn(qualifier="$LATEST")) == wanted
    assert world.registry.event_invoke_config(arn(qualifier="live")) == EventInvokeConfig()


def test_put_replaces_and_update_merges(world: World) -> None:
    world.create()
    settings = world.registry.invoke_settings
    settings.put_event_invoke(
        arn(), {"MaximumRetryAttempts": 1, "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}}
    )
    world.clock.advance(5)
    merged = settings.put_event_invoke(arn(), {"MaximumEventAgeInSeconds": 60}, merge=True)
    assert asdict(merged) == {
        "maximum_retry_attempts": 1,
        "maximum_event_age_seconds": 60,
        "on_success": QUEUE,
        "on_failure": None,
        "last_modified": round(world.clock.now(), 3),
    }
    cleared = settings.put_event_invoke(arn(), {"DestinationConfig": {"OnSuccess": {"Destination": ""}}}, merge=True)
    assert (cleared.on_success, cleared.maximum_retry_attempts) == (None, 1)
    replaced = settings.put_event_invoke(arn(), {"MaximumRetryAttempts": 2})
    assert (replaced.maximum_retry_attempts, replaced.maximum_event_age_seconds) == (2, None)


def test_the_dead_letter_target_is_that_of_the_deployment_which_runs(world: World) -> None:
    world.create(DeadLetterConfig={"TargetArn": DEAD})
    assert world.registry.event_invoke_config(arn()).dead_letter == DEAD
    world.settle()
    world.registry.update_configuration(arn(), {"DeadLetterConfig": {"TargetArn": ""}})
    assert world.registry.event_invoke_config(arn()).dead_letter == DEAD
    world.settle()
    assert world.registry.event_invoke_config(arn()).dead_letter is None


def test_a_function_may_be_a_destination_if_it_exists(world: World) -> None:
    world.create("f")
    world.create("g")
    config = {"DestinationConfig": {"OnSuccess": {"Destination": str(arn("g"))}}}
    assert world.registry.invoke_settings.put_event_invoke(arn("f"), config).on_success == str(arn("g"))
    world.registry.delete(arn("g"))
    with pytest.raises(InvalidParameterValueException, match=r"The destination ARN .*:g is invalid\."):
        world.registry.invoke_settings.put_event_invoke(arn("f"), config)


def test_everything_survives_a_restart_and_an_update(world: World) -> None:
    world.create()
    world.settle()
    settings = world.registry.invoke_settings
    put = settings.put_event_invoke(arn(), {"MaximumRetryAttempts": 0})
    settings.reserve(arn(), 7)
    settings.set_recursive_loop(arn(), RecursiveLoop.ALLOW)
    world.registry.update_configuration(arn(), {"Timeout": 9})
    world.settle()
    world.restart()
    assert world.registry.invoke_settings.get_event_invoke(arn()) == put
    assert world.registry.get(arn()).reserved_concurrency == 7
    assert world.registry.allows_recursion(arn())


def test_everything_goes_with_the_function(world: World) -> None:
    world.create()
    settings = world.registry.invoke_settings
    settings.put_event_invoke(arn(), {"MaximumRetryAttempts": 0})
    settings.reserve(arn(), 7)
    settings.set_recursive_loop(arn(), RecursiveLoop.ALLOW)
    world.registry.delete(arn())
    assert settings.unreserved_concurrency == 1000
    assert not world.registry.allows_recursion(arn())
    world.create()
    assert world.registry.event_invoke_config(arn()) == EventInvokeConfig()
    assert world.registry.get(arn()).reserved_concurrency is None
    assert world.registry.get(arn()).recursive_loop is RecursiveLoop.TERMINATE


def test_the_events_of_a_deleted_function_go_where_it_said_until_there_is_one_of_that_name_again(world: World) -> None:
    world.create(DeadLetterConfig={"TargetArn": DEAD})
    world.settle()
    settings = world.registry.invoke_settings
    settings.put_event_invoke(arn(), {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}})
    world.registry.delete(arn())
    wanted = EventInvokeConfig(on_failure=QUEUE, dead_letter=DEAD)
    assert world.registry.event_invoke_config(arn()) == wanted
    world.create()
    assert world.registry.event_invoke_config(arn()) == EventInvokeConfig()


def test_whoever_holds_functions_to_their_reservation_hears_of_each_change_and_of_nothing_else(world: World) -> None:
    heard = Heard(world.registry)
    world.create()
    world.settle()
    world.registry.tag(arn(), {"any": "change"})
    assert heard.told == []
    for executions in (5, 5, 0, None, 3):
        world.registry.invoke_settings.reserve(arn(), executions)
    world.registry.delete(arn())
    assert heard.told == [("f", 5), ("f", 0), ("f", None), ("f", 3), ("f", "gone")]


def test_whoever_holds_functions_to_their_reservation_hears_of_all_at_the_start(world: World) -> None:
    for name in "fgh":
        world.create(name)
    world.registry.invoke_settings.reserve(arn("f"), 5)
    world.registry.invoke_settings.reserve(arn("g"), 0)
    world.registry.close()
    world.registry = world.build(start=False)
    heard = Heard(world.registry)
    world.registry.start()
    assert sorted(heard.told) == [("f", 5), ("g", 0)]


def test_reservations_leave_a_hundred_for_all_others(world: World) -> None:
    world.create("f")
    world.create("g")
    settings = world.registry.invoke_settings
    settings.reserve(arn("f"), 500)
    settings.reserve(arn("g"), 400)
    assert settings.unreserved_concurrency == 100
    settings.reserve(arn("g"), 400)
    for name, executions in (("g", 401), ("f", 501)):
        with pytest.raises(LambdaError, match=r"below its minimum value of \[100\]\."):
            settings.reserve(arn(name), executions)
    settings.reserve(arn("g"), 399)
    assert settings.unreserved_concurrency == 101


def test_a_reservation_can_be_lowered_on_a_host_that_could_not_grant_it(world: World) -> None:
    world.create("f")
    world.registry.invoke_settings.reserve(arn("f"), 800)
    world.registry.close()
    world.registry = world.build(concurrency_limit=20)
    settings = world.registry.invoke_settings
    assert settings.unreserved_concurrency == 10
    settings.reserve(arn("f"), 700)
    with pytest.raises(LambdaError, match=r"below its minimum value of \[10\]\."):
        settings.reserve(arn("f"), 701)
    settings.reserve(arn("f"), 10)
    assert settings.unreserved_concurrency == 10


def test_what_cannot_be_stored_is_not_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard(world.registry)
    world.create()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(world.store, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        world.registry.invoke_settings.reserve(arn(), 5)
    assert heard.told == []
    assert world.registry.get(arn()).reserved_concurrency is None


def test_a_record_of_an_earlier_release_has_nothing_set(world: World) -> None:
    record = world.create()
    document = to_document(record)
    for name in ("event_invoke_settings", "reserved_concurrency", "recursive_loop"):
        del document[name]
    assert from_document(document) == record


def test_what_is_not_there_cannot_be_set(world: World) -> None:
    settings = world.registry.invoke_settings
    world.create("f")
    for function in (arn("g"), arn("f", "live")):
        with pytest.raises(ResourceNotFoundException, match=r"The function doesn't exist\."):
            settings.put_event_invoke(function, {"MaximumRetryAttempts": 0})
    with pytest.raises(ResourceNotFoundException, match="Function not found"):
        settings.reserve(arn("g"), 1)
