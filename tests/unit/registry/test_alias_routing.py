"""Which version an alias means: by the draw, by weight, and for how long."""

import math
import random
from pathlib import Path

import pytest

from rie_server.model.alias import Alias
from rie_server.model.alias_routing import WeightedRoute, routed
from rie_server.model.arn import LATEST
from rie_server.model.function import FunctionVersion, ImageConfig
from rie_server.registry.serving import ServingVersions
from tests.unit.registry.conftest import arn

CHOICES = 10_000


def runnable(version: str) -> FunctionVersion:
    return FunctionVersion(
        arn=arn(),
        version=version,
        deployment_id=f"deployment-{version}",
        runtime="python3.12",
        handler="app.handler",
        timeout_seconds=3,
        memory_size_mb=128,
        ephemeral_storage_mb=512,
        architecture="x86_64",
        variables={},
        code_directory=Path("/code"),
        image_uri=None,
        image_config=ImageConfig(),
        log_group="/aws/lambda/f",
        role="role",
    )


def alias(version: str = "1", **weights: float) -> Alias:
    shares = {name.removeprefix("v"): weight for name, weight in weights.items()}
    return Alias(name="live", version=version, description="", revision_id="r", additional_weights=shares)


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5, 0.9])
def test_the_shares_of_many_invocations_are_the_weights(weight: float) -> None:
    route = WeightedRoute(primary="1", additional="2", weight=weight)
    chance = random.Random(20260101)
    chosen = sum(routed(route, chance.random()) == "2" for _ in range(CHOICES))
    deviation = math.sqrt(CHOICES * weight * (1 - weight))
    assert abs(chosen - CHOICES * weight) <= 3 * deviation


@pytest.mark.parametrize("drawn", [0.0, 0.5, math.nextafter(1.0, 0.0)])
def test_a_weight_of_nought_is_never_and_of_one_is_always(drawn: float) -> None:
    assert routed(WeightedRoute(primary="1", additional="2", weight=0.0), drawn) == "1"
    assert routed(WeightedRoute(primary="1", additional="2", weight=1.0), drawn) == "2"


def test_a_draw_on_the_weight_itself_is_the_first_versions() -> None:
    route = WeightedRoute(primary="1", additional="2", weight=0.5)
    assert [routed(route, drawn) for drawn in (0.49, 0.5, 0.51)] == ["2", "1", "1"]


class Drawn:
    """Numbers that are drawn, one after the other."""

    def __init__(self, *numbers: float) -> None:
        self.left = list(numbers)

    def __call__(self) -> float:
        return self.left.pop(0)


def serving(draw: Drawn) -> ServingVersions:
    versions = ServingVersions(draw)
    for version in (LATEST, "1", "2"):
        versions.publish(arn(), runnable(version))
    return versions


def test_only_an_alias_with_weights_costs_a_draw() -> None:
    versions = serving(Drawn())
    versions.route(arn(), [alias()])
    found = [versions.find(arn(qualifier=one)) for one in (None, LATEST, "1", "live")]
    assert [one and one.version for one in found] == [LATEST, LATEST, "1", "1"]


def test_each_invocation_of_an_alias_with_weights_is_drawn_for() -> None:
    versions = serving(Drawn(0.1, 0.9, 0.3))
    versions.route(arn(), [alias(v2=0.3)])
    live = arn(qualifier="live")
    assert versions.find(live) is None
    assert [versions.choose(live)[1] for _ in range(3)] == [runnable("2"), runnable("1"), runnable("1")]


def test_an_alias_that_moves_means_the_other_version_at_once() -> None:
    versions = serving(Drawn(0.1))
    live = arn(qualifier="live")
    versions.route(arn(), [alias()])
    versions.route(arn(), [alias("2")])
    assert versions.find(live) == runnable("2")
    versions.route(arn(), [alias("2", v1=0.5)])
    assert versions.find(live) is None
    assert versions.choose(live)[1] == runnable("1")
    versions.route(arn(), [alias("1")])
    assert versions.find(live) == runnable("1")
    versions.route(arn(), [])
    assert versions.find(live) is None
    assert versions.choose(live) == (live, None)


def test_an_alias_follows_what_latest_is() -> None:
    versions = serving(Drawn())
    versions.route(arn(), [alias(LATEST)])
    newer = runnable(LATEST)
    versions.publish(arn(), newer)
    assert versions.find(arn(qualifier="live")) is newer
    versions.withdraw(arn())
    assert versions.find(arn(qualifier="live")) is None


def test_a_version_that_does_not_run_is_named_when_the_draw_falls_on_it() -> None:
    versions = serving(Drawn(0.1))
    versions.route(arn(), [alias("1", v2=0.5)])
    versions.withdraw(arn(), "2")
    assert versions.choose(arn(qualifier="live")) == (arn(qualifier="2"), None)


def test_a_function_is_forgotten_with_everything_and_its_environments_are_told() -> None:
    versions = serving(Drawn())
    versions.route(arn(), [alias()])
    told: list[tuple[str, str | None]] = []
    versions.on_change(lambda function, deployment_id: told.append((str(function), deployment_id)))
    versions.forget(arn())
    assert all(versions.find(arn(qualifier=one)) is None for one in (None, LATEST, "1", "2", "live"))
    assert sorted(told) == [(str(arn()), None), (f"{arn()}:1", None), (f"{arn()}:2", None)]
