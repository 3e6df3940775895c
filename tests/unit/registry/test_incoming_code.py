"""Code on its way in: it holds nobody up, and it is there when its record is made."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rie_server.errors import InvalidParameterValueException
from tests.fakes.registry_ports import zip_of
from tests.unit.registry.conftest import World, arn, wait_for, zip_members

RETIRED_SECONDS = 20 * 60 + 1


@pytest.fixture
def slow_put(world: World) -> Any:
    """``begun`` is set when a zip with the name ``slow`` is being put, which ends with ``go_on``."""
    put = world.code.put

    class Slow:
        begun, go_on = threading.Event(), threading.Event()

        def __call__(self, zip_bytes: bytes, **limits: int) -> Any:
            stored = put(zip_bytes, **limits)
            if zip_bytes == zip_of(app="slow"):
                self.begun.set()
                assert self.go_on.wait(5)
            return stored

    slow = Slow()
    world.code.put = slow  # type: ignore[method-assign]
    yield slow
    slow.go_on.set()


def test_a_large_zip_that_is_being_unpacked_holds_up_no_other_change(world: World, slow_put: Any) -> None:
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(world.create, "slow", **zip_members("slow"))
        assert slow_put.begun.wait(5)
        world.create("quick")
        assert not slow.done()
        slow_put.go_on.set()
        assert slow.result(5).arn.name == "slow"


def test_code_that_is_on_its_way_is_not_swept(world: World, slow_put: Any) -> None:
    world.create("old", **zip_members("slow" * 2))
    world.registry.delete(arn("old"))
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(world.create, "slow", **zip_members("slow"))
        assert slow_put.begun.wait(5)
        world.clock.advance(RETIRED_SECONDS)
        world.create("sweeps")
        assert len(world.code._zips) == 2
        slow_put.go_on.set()
        slow.result(5)
    world.clock.advance(0.01)
    wait_for(lambda: world.registry.get(arn("slow")).serving is not None)


def test_code_whose_function_was_refused_goes_with_the_next_sweep(world: World) -> None:
    world.create("f", **zip_members("first"))
    with pytest.raises(InvalidParameterValueException, match="does not exist"):
        world.create("g", **zip_members("refused"), Layers=["arn:aws:lambda:us-east-1:000000000000:layer:no:1"])
    assert len(world.code._zips) == 2
    world.clock.advance(RETIRED_SECONDS)
    world.create("h", **zip_members("first"))
    assert len(world.code._zips) == 1


def test_code_that_nobody_needs_goes_in_time_though_nothing_else_changes(world: World) -> None:
    world.create("f", **zip_members("first"))
    world.settle()
    world.registry.update_code(arn(), {"ZipFile": zip_of(app="second")})
    world.settle()
    world.clock.advance(RETIRED_SECONDS + 1)
    wait_for(lambda: list(world.code._zips) == [world.registry.get(arn()).current.code.sha256])
