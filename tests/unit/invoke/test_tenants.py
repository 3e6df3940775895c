"""An environment never serves two tenants."""

from dataclasses import replace
from pathlib import Path

import pytest

from rie_server.errors import InvalidParameterValueException, TooManyRequestsException
from tests.unit.invoke.conftest import Runtime, Stage, function_version

ENABLED = (
    "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
)
NOT_ENABLED = (
    "The invoked function is not enabled with tenancy configuration. "
    "Remove the tenant ID from your request and try again."
)


def isolated(stage: Stage) -> Stage:
    stage.catalog.functions["orders"] = replace(function_version(), tenant_isolated=True)
    return stage


def answered(runtime: Runtime) -> Runtime:
    runtime.respond()
    return runtime.next()


def test_each_tenant_has_environments_of_its_own_and_finds_them_again(stage: Stage) -> None:
    isolated(stage)
    stage.invoke("a", tenant_id="blue")
    blue = answered(stage.runtime().next())
    stage.invoke("b", tenant_id="green")
    green = answered(stage.runtime().next())
    assert len(stage.executor.started) == 2
    stage.invoke("c", tenant_id="blue")
    stage.invoke("d", tenant_id="green")
    assert (blue.request_id, green.request_id) == ("c", "d")
    assert len(stage.executor.started) == 2


def test_a_tenants_environment_that_comes_free_does_not_take_another_tenants_invocation(stage: Stage) -> None:
    isolated(stage)
    stage.invoke("a", tenant_id="blue")
    stage.invoke("b", tenant_id="green")
    blue = answered(stage.runtime(0).next())
    assert [one.request.request_id for one in blue.got] == ["a"]
    assert stage.runtime(1).next().request_id == "b"


def test_tenants_that_differ_in_anything_are_two(stage: Stage) -> None:
    isolated(stage)
    for number, tenant_id in enumerate(("a", "A", "a ", "a b", "a:b", "a/b")):
        stage.invoke(str(number), tenant_id=tenant_id)
        answered(stage.runtime().next())
    assert len(stage.executor.started) == 6


def test_a_house_that_is_full_gives_up_the_longest_idle_environment_of_another_tenant(tmp_path: Path) -> None:
    stage = isolated(Stage(tmp_path, max_environments=2))
    for request_id, tenant_id in (("a", "blue"), ("b", "green")):
        stage.invoke(request_id, tenant_id=tenant_id)
        answered(stage.runtime().next())
        stage.clock.advance(1)
    stage.invoke("c", tenant_id="red")
    assert [one.stopped for one in stage.executor.started] == [True, False, False]
    assert stage.runtime().next().request_id == "c"


def test_with_every_environment_at_work_for_others_a_tenant_is_throttled_in_the_end(tmp_path: Path) -> None:
    stage = isolated(Stage(tmp_path, max_environments=1))
    stage.catalog.functions["orders"] = replace(stage.catalog.functions["orders"], timeout_seconds=900)
    stage.fleet.begin_sweeping()
    stage.invoke("a", tenant_id="blue")
    stage.runtime().next()
    stage.invoke("b", tenant_id="green")
    stage.clock.advance(62)
    assert isinstance(stage.results["b"].refusal, TooManyRequestsException)


def test_an_update_lets_the_environments_of_all_tenants_go(stage: Stage) -> None:
    isolated(stage)
    for request_id, tenant_id in (("a", "blue"), ("b", "green")):
        stage.invoke(request_id, tenant_id=tenant_id)
        answered(stage.runtime().next())
    function = stage.catalog.functions["orders"]
    stage.fleet.retire(function.arn, "d2")
    assert all(one.stopped for one in stage.executor.started)
    assert stage.fleet.roster.pools == {}


def test_a_tenant_is_named_where_the_function_keeps_them_apart_and_nowhere_else(stage: Stage) -> None:
    with pytest.raises(InvalidParameterValueException, match=NOT_ENABLED):
        stage.invoke("a", tenant_id="blue")
    isolated(stage)
    with pytest.raises(InvalidParameterValueException, match=ENABLED):
        stage.invoke("b")
    assert stage.executor.started == []
    assert stage.front_controller.running == 0
