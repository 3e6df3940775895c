from collections.abc import Sequence
from pathlib import Path

import pytest

from rie_server.errors import AccessDeniedException, CodeStorageExceededException, InvalidParameterValueException
from rie_server.model.layer import LayerArn, LayerVersion, merged_digest, parse_layer_reference
from tests.fakes.registry_ports import zip_of
from tests.unit.registry.conftest import World, arn

TOOLS = LayerArn(region="us-east-1", account="000000000000", name="tools")
OTHER = LayerArn(region="us-east-1", account="000000000000", name="other")
NEIGHBOURS = LayerArn(region="us-east-1", account="111111111111", name="tools")
RETIRED_SECONDS = 20 * 60 + 1


def publish(world: World, layer: LayerArn = TOOLS, text: str = "x") -> LayerVersion:
    members = {"Content": {"ZipFile": zip_of(**{layer.name: text, "both": text})}}
    return world.registry.layers.publish(layer, members, account=layer.account)


def seen(world: World) -> Path:
    folder = world.registry.resolve(arn()).layers_directory
    assert folder is not None
    return folder


def stored(world: World) -> Sequence[str]:
    return sorted(world.code._zips)


def test_layers_and_their_policies_survive_a_restart(world: World) -> None:
    version = publish(world)
    members = {"StatementId": "all", "Action": "lambda:GetLayerVersion", "Principal": "*"}
    world.registry.layers.permit(TOOLS, 1, members, account=TOOLS.account)
    before = world.registry.layers.get(TOOLS, 1, account=TOOLS.account)
    world.restart()
    assert world.registry.layers.get(TOOLS, 1, account=TOOLS.account) == before
    assert before.sha256 == version.sha256
    world.registry.layers.delete(TOOLS, 1, account=TOOLS.account)
    world.restart()
    assert publish(world).version == 2


def test_a_layer_that_is_the_same_already_needs_no_more_room(world: World) -> None:
    version = publish(world)
    world.registry.storage.limit_bytes = version.size_bytes
    members = {"Content": {"ZipFile": zip_of(tools="x", both="x")}}
    again = world.registry.layers.publish(TOOLS, members, account=TOOLS.account, only_changed=True)
    assert again == version
    with pytest.raises(CodeStorageExceededException):
        publish(world, text="more")


def test_a_function_runs_with_its_layers_laid_over_one_another_in_their_order(world: World) -> None:
    first, second = publish(world, TOOLS, "first"), publish(world, OTHER, "second")
    world.create(Layers=[first.arn, second.arn])
    world.settle()
    assert (seen(world) / "tools").read_text() == "first"
    assert (seen(world) / "both").read_text() == "second"
    world.registry.versions.publish(arn(), {})
    world.registry.update_configuration(arn(), {"Layers": [second.arn, first.arn]})
    world.settle()
    assert (seen(world) / "both").read_text() == "first"
    published = world.registry.resolve(arn(qualifier="1")).layers_directory
    assert published is not None
    assert (published / "both").read_text() == "second"


def test_a_function_without_layers_has_no_folder_of_them(world: World) -> None:
    world.create()
    world.settle()
    assert world.registry.resolve(arn()).layers_directory is None


def test_a_deleted_version_is_kept_for_the_functions_that_hold_it_and_no_longer(world: World) -> None:
    version = publish(world)
    world.create(Layers=[version.arn])
    world.settle()
    world.registry.layers.delete(TOOLS, 1, account=TOOLS.account)
    world.restart()
    world.settle()
    assert (seen(world) / "tools").read_text() == "x"
    assert version.sha256 in stored(world)
    world.registry.update_code(arn(), {"ZipFile": zip_of(app="new")})
    world.settle()
    assert [layer.arn for layer in world.registry.get(arn()).current.layers] == [version.arn]
    world.registry.delete(arn())
    world.clock.advance(RETIRED_SECONDS)
    world.create("g")
    assert version.sha256 not in stored(world)


def test_a_layer_that_no_function_holds_is_kept_while_it_is_published(world: World) -> None:
    version = publish(world)
    world.restart()
    assert stored(world) == [version.sha256]
    world.registry.layers.delete(TOOLS, 1, account=TOOLS.account)
    world.restart()
    assert stored(world) == []


def test_code_whose_size_was_refused_together_with_its_layers_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rie_server.model.layer_rules.UNZIPPED_BYTES", 10)
    version = publish(world)
    with pytest.raises(InvalidParameterValueException):
        world.create(Layers=[version.arn], text="too long together")
    world.clock.advance(RETIRED_SECONDS)
    world.create("g", text="y")
    assert len(stored(world)) == 2


def test_unchanged_layers_publish_no_new_version_and_others_do(world: World) -> None:
    first, second = publish(world), publish(world, text="y")
    world.create(Layers=[first.arn])
    world.settle()
    assert world.registry.versions.publish(arn(), {}).version == "1"
    assert world.registry.versions.publish(arn(), {}).version == "1"
    world.registry.update_configuration(arn(), {"Layers": [second.arn]})
    world.settle()
    assert world.registry.versions.publish(arn(), {}).version == "2"


def test_another_accounts_layer_takes_a_permission(world: World) -> None:
    version = publish(world, NEIGHBOURS)
    layers = world.registry.layers
    with pytest.raises(AccessDeniedException, match="not authorized to perform: lambda:GetLayerVersion"):
        world.create(Layers=[version.arn])
    with pytest.raises(AccessDeniedException):
        layers.get(NEIGHBOURS, 1, account=TOOLS.account)
    with pytest.raises(AccessDeniedException, match="not authorized to perform: lambda:PublishLayerVersion"):
        layers.publish(NEIGHBOURS, {"Content": {"ZipFile": zip_of(a="b")}}, account=TOOLS.account)
    members = {"StatementId": "us", "Action": "lambda:GetLayerVersion", "Principal": TOOLS.account}
    layers.permit(NEIGHBOURS, 1, members, account=NEIGHBOURS.account)
    world.create(Layers=[version.arn])
    assert layers.get(NEIGHBOURS, 1, account=TOOLS.account).arn == version.arn
    with pytest.raises(AccessDeniedException):
        layers.delete(NEIGHBOURS, 1, account=TOOLS.account)


@pytest.mark.parametrize(
    ("reference", "name", "account", "number"),
    [
        ("tools", "tools", "000000000000", None),
        ("arn:aws:lambda:us-east-1:111111111111:layer:tools", "tools", "111111111111", None),
        ("arn:aws:lambda:us-east-1:111111111111:layer:tools:7", "tools", "111111111111", 7),
        ("arn:aws:lambda:::awslayer:insights", "arn:aws:lambda:::awslayer:insights", "", None),
    ],
)
def test_names_and_arns_of_layers_are_read(reference: str, name: str, account: str, number: int | None) -> None:
    layer, found = parse_layer_reference(reference, region="us-east-1", account="000000000000")
    assert (layer.name, layer.account, found) == (name, account, number)


def test_the_order_of_layers_is_part_of_what_they_make() -> None:
    assert merged_digest(["a", "b"]) != merged_digest(["b", "a"])
    assert merged_digest(["a"]) == "a"
