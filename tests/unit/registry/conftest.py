import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rie_server.model.arn import FunctionArn
from rie_server.model.function_life_cycle import is_settled
from rie_server.model.function_record import FunctionRecord
from rie_server.registry.functions import FunctionRegistry
from tests.fakes.clock import FakeClock
from tests.fakes.registry_ports import ExecutorAnswers, FakeImages, MemoryObjectStorage, zip_of
from tests.fakes.stores import MemoryCodeStore, MemoryFunctionStore

ROLE = "arn:aws:iam::000000000000:role/any"


class World:
    """Everything around a registry, which a test may take down and build anew."""

    def __init__(self, folder: Path) -> None:
        self.store = MemoryFunctionStore()
        self.code = MemoryCodeStore(folder)
        self.objects = MemoryObjectStorage()
        self.images = FakeImages()
        self.supports = ExecutorAnswers()
        self.clock = FakeClock()
        self.changes: list[tuple[str, str | None]] = []
        self.registry = self.build()

    def build(self, *, concurrency_limit: int = 1000, start: bool = True) -> FunctionRegistry:
        registry = FunctionRegistry(
            store=self.store,
            code=self.code,
            objects=self.objects,
            images=self.images,
            supports=self.supports,
            clock=self.clock,
            concurrency_limit=concurrency_limit,
        )
        registry.on_change(lambda arn, deployment_id: self.changes.append((arn.name, deployment_id)))
        if start:
            registry.start()
        return registry

    def restart(self) -> None:
        self.registry.close()
        self.registry = self.build()

    def create(self, name: str = "f", **members: Any) -> FunctionRecord:
        return self.registry.create(arn(name), zip_members(**members))

    def settle(self, name: str = "f") -> FunctionRecord:
        """Lets time pass until nothing is under way with the function."""
        self.clock.advance(0.01)
        wait_for(lambda: is_settled(self.registry.get(arn(name))))
        return self.registry.get(arn(name))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "waited five seconds in vain"
        time.sleep(0.001)


def arn(name: str = "f", qualifier: str | None = None) -> FunctionArn:
    return FunctionArn(region="us-east-1", account="000000000000", name=name, qualifier=qualifier)


def zip_members(text: str = "x", **members: Any) -> dict[str, Any]:
    return {
        "Role": ROLE,
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Code": {"ZipFile": zip_of(app=text)},
        **members,
    }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.registry.close()
