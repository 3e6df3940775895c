"""Layers as a function sees them that runs as a process of a real server."""

from collections.abc import Callable
from typing import Any

from tests.conftest import RieServer
from tests.integration.invoke.deploying import create, invoke, wait_updated, zip_of

LOOK = """
    import importlib

    def handler(event, context):
        return {name: importlib.import_module(name).VALUE for name in event}
"""


def publish(client: Any, name: str, **modules: str) -> str:
    files = {f"python/{module}.py": f"VALUE = {value!r}" for module, value in modules.items()}
    published = client.publish_layer_version(LayerName=name, Content={"ZipFile": zip_of(files)})
    return str(published["LayerVersionArn"])


def test_a_function_imports_from_its_layers_and_the_later_one_counts(rie: RieServer) -> None:
    client = rie.client()
    lower, upper = publish(client, "lower", one="lower", both="lower"), publish(client, "upper", two="up", both="up")
    create(client, "f", LOOK, Layers=[lower, upper])
    assert invoke(client, "f", ["one", "two", "both"]).payload == {"one": "lower", "two": "up", "both": "up"}
    client.update_function_configuration(FunctionName="f", Layers=[upper, lower])
    wait_updated(client, "f")
    assert invoke(client, "f", ["both"]).payload == {"both": "lower"}
    client.update_function_configuration(FunctionName="f", Layers=[])
    wait_updated(client, "f")
    assert invoke(client, "f", ["both"]).error == "Unhandled"


def test_a_deleted_layer_works_on_in_its_functions_also_after_a_crash(start_rie: Callable[..., RieServer]) -> None:
    rie = start_rie()
    client = rie.client()
    layers = [publish(client, "tools", tool="x"), publish(client, "other", other="y")]
    create(client, "f", LOOK, Layers=layers)
    client.delete_layer_version(LayerName="tools", VersionNumber=1)
    client.delete_layer_version(LayerName="other", VersionNumber=1)
    rie.kill()
    rie.restart()
    client = rie.client()
    assert invoke(client, "f", ["tool", "other"]).payload == {"tool": "x", "other": "y"}
    client.delete_function(FunctionName="f")
    rie.stop()
    rie.restart()
    assert rie.client().list_layers()["Layers"] == []
    assert [path.name for path in (rie.data_dir / "code").iterdir()] == [".boot"]
