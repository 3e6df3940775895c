"""A template's functions at the start of the server: what is deployed, what is left as it is, and what is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rie_server.clock import SystemClock
from rie_server.errors import ConfigurationError, EnvironmentStartError, InvalidParameterValueException
from rie_server.model.arn import FunctionArn
from rie_server.model.function_record import FunctionRecord
from rie_server.model.template_code import LocalCode
from rie_server.registry.deployed_function import DeployedFunction
from rie_server.registry.deployment import deploy_template
from rie_server.registry.functions import FunctionRegistry
from rie_server.registry.packaging import package
from tests.fakes.stores import MemoryCodeStore, MemoryFunctionStore

REGION, ACCOUNT = "us-east-1", "000000000000"
TEMPLATE = """
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: hello, Handler: app.handler, Runtime: python3.12, CodeUri: hello%s}
"""
IMAGE = """
Resources:
  Shop: {Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: "shop:1", FunctionName: shop}}
"""


class Buckets:
    """S3 with one object, and a count of how often it was read."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.reads = 0

    def get(self, bucket: str, key: str, version: str | None, *, region: str) -> bytes:
        self.reads += 1
        if self.content is None:
            raise InvalidParameterValueException("Error occurred while GetObject. S3 Error Code: NoSuchKey.")
        return self.content


class Images:
    """An engine that has every image but ``missing``."""

    def prepare_image(self, image_uri: str) -> str:
        if image_uri == "missing:1":
            raise EnvironmentStartError("InvalidImage", "there is no image missing:1")
        return f"sha256:{image_uri.encode().hex():0>64}"


class Deployments:
    """A registry, and the template and folders that are deployed to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "template.yaml"
        self.code = folder / "hello"
        self.code.mkdir()
        (self.code / "app.py").write_text("def handler(event, context): return 1")
        self.clock = SystemClock()
        self.clock.start()
        self.buckets = Buckets()
        self.obstacle: str | None = None
        self.registry = FunctionRegistry(
            store=MemoryFunctionStore(),
            code=MemoryCodeStore(folder / "store"),
            objects=self.buckets,
            images=Images(),
            supports=lambda _: None,
            clock=self.clock,
            concurrency_limit=10,
        )
        self.registry.start()

    def close(self) -> None:
        self.registry.close()
        self.clock.close()

    def deploy(self, template: str, **options: Any) -> list[DeployedFunction]:
        self.path.write_text(template)
        deployed = deploy_template(
            self.path,
            registry=self.registry,
            supports=lambda _: self.obstacle,
            clock=self.clock,
            region=REGION,
            account_id=ACCOUNT,
            **{"wait_seconds": 10.0, **options},
        )
        return list(deployed)

    def actions(self, template: str) -> list[tuple[str, str]]:
        return [(one.name, one.action) for one in self.deploy(template)]

    def record(self, name: str = "hello") -> FunctionRecord:
        return self.registry.get(FunctionArn(region=REGION, account=ACCOUNT, name=name))


@pytest.fixture
def deployments(tmp_path: Path) -> Iterator[Deployments]:
    prepared = Deployments(tmp_path)
    yield prepared
    prepared.close()


def test_a_new_function_is_created_and_ready_when_deploy_returns(deployments: Deployments) -> None:
    (hello,) = deployments.deploy(TEMPLATE % "")
    assert (str(hello), hello.is_ready) == ("hello: created", True)
    assert deployments.registry.resolve(deployments.record().arn).handler == "app.handler"


def test_an_unchanged_function_is_not_touched(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % "")
    before = deployments.record()
    assert deployments.actions(TEMPLATE % "") == [("hello", "unchanged")]
    assert deployments.record() == before


def test_changed_code_alone_is_updated(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % "")
    before = deployments.record().current
    (deployments.code / "app.py").write_text("def handler(event, context): return 2")
    assert deployments.actions(TEMPLATE % "") == [("hello", "updated")]
    after = deployments.record().current
    assert after.code.sha256 != before.code.sha256
    assert after.configuration == before.configuration


def test_changed_code_and_configuration_are_both_there_when_deploy_returns(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % "")
    before = deployments.record().current
    (deployments.code / "app.py").write_text("def handler(event, context): return 2")
    (hello,) = deployments.deploy(TEMPLATE % ", Timeout: 9, Architectures: [arm64]")
    assert (hello.action, hello.is_ready) == ("updated", True)
    serving = deployments.registry.resolve(deployments.record().arn)
    assert (serving.timeout_seconds, serving.architecture) == (9, "arm64")
    assert deployments.record().current.code.sha256 != before.code.sha256


def test_a_property_that_leaves_the_template_goes_back_to_its_default(deployments: Deployments) -> None:
    more = ", Timeout: 9, MemorySize: 512, Description: d, Environment: {Variables: {A1: b}}"
    deployments.deploy(TEMPLATE % more)
    assert deployments.actions(TEMPLATE % "") == [("hello", "updated")]
    serving = deployments.registry.resolve(deployments.record().arn)
    assert (serving.timeout_seconds, serving.memory_size_mb, dict(serving.variables)) == (3, 128, {})
    assert deployments.actions(TEMPLATE % "") == [("hello", "unchanged")]


def test_a_function_that_was_changed_by_hand_is_as_the_template_says_again(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % "")
    deployments.registry.update_configuration(deployments.record().arn, {"Timeout": 60})
    assert deployments.actions(TEMPLATE % "") == [("hello", "updated")]
    assert deployments.record().current.configuration["Timeout"] == 3


def test_a_function_that_became_an_image_is_replaced(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % "")
    assert deployments.actions(IMAGE.replace("FunctionName: shop", "FunctionName: hello")) == [("hello", "replaced")]
    assert deployments.record().current.code.image_uri == "shop:1"


def test_another_image_is_an_update_and_the_same_one_is_not(deployments: Deployments) -> None:
    assert deployments.actions(IMAGE) == [("shop", "created")]
    assert deployments.actions(IMAGE) == [("shop", "unchanged")]
    assert deployments.actions(IMAGE.replace("shop:1", "shop:2")) == [("shop", "updated")]
    assert deployments.registry.resolve(deployments.record("shop").arn).image_uri == "shop:2"


def test_functions_that_the_template_does_not_name_are_left_alone(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % "")
    before = deployments.record()
    deployments.deploy(IMAGE)
    assert deployments.record() == before


def test_a_function_that_cannot_run_here_is_skipped_with_the_reason(deployments: Deployments) -> None:
    deployments.obstacle = "no Docker engine answers"
    (shop,) = deployments.deploy(IMAGE)
    assert str(shop) == "shop: skipped: no Docker engine answers"
    assert not deployments.registry.list(region=REGION, account=ACCOUNT)


def test_an_image_that_is_missing_fails_its_function_and_not_the_start(deployments: Deployments) -> None:
    (shop,) = deployments.deploy(IMAGE.replace("shop:1", "missing:1"))
    assert str(shop) == "shop: created, not ready: there is no image missing:1"
    assert not shop.is_ready


def test_deploy_does_not_wait_for_what_takes_long(deployments: Deployments) -> None:
    (hello,) = deployments.deploy(TEMPLATE % "", wait_seconds=0.0)
    assert str(hello) == "hello: created, not ready: still being prepared"


def test_code_in_s3_is_updated_only_when_the_object_has_changed(deployments: Deployments) -> None:
    template = (TEMPLATE % "").replace("CodeUri: hello", "CodeUri: s3://bucket/hello.zip")
    deployments.deploy(TEMPLATE % "")
    deployments.buckets.content = package(LocalCode(path=deployments.code))
    assert deployments.actions(template) == [("hello", "unchanged")]
    (deployments.code / "app.py").write_text("changed = 1")
    deployments.buckets.content = package(LocalCode(path=deployments.code))
    assert deployments.actions(template) == [("hello", "updated")]


def test_code_that_s3_does_not_have_fails_its_function_and_not_the_start(deployments: Deployments) -> None:
    (hello,) = deployments.deploy((TEMPLATE % "").replace("CodeUri: hello", "CodeUri: s3://bucket/none.zip"))
    assert (hello.action, hello.reason) == ("failed", "Error occurred while GetObject. S3 Error Code: NoSuchKey.")


def test_properties_that_are_not_carried_out_are_told(deployments: Deployments) -> None:
    (hello,) = deployments.deploy(TEMPLATE % ", Events: {Nightly: {Type: Schedule}, Work: {Type: SQS}}")
    assert str(hello) == "hello: created [not carried out: Events.Nightly]"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (", Timeout: 901", "Hello: 'Timeout' value failed to satisfy constraint"),
        (", Environment: {Variables: {AWS_REGION: x}}", "Hello: Lambda was unable to configure your environment"),
        ("/nowhere", "Hello: there is no "),
    ],
)
def test_a_mistake_in_the_template_stops_the_start_before_anything_is_deployed(
    deployments: Deployments, more: str, words: str
) -> None:
    good = TEMPLATE % ""
    bad = (TEMPLATE % more).replace("hello, Handler", "other, Handler")
    with pytest.raises(ConfigurationError) as caught:
        deployments.deploy(good.replace("  Hello:", "  First:") + bad.split("Resources:\n")[1])
    assert str(caught.value).startswith(f"{deployments.path}: {words}")
    assert "\n" not in str(caught.value)
    assert not deployments.registry.list(region=REGION, account=ACCOUNT)


def test_a_template_that_cannot_be_read_is_named(deployments: Deployments) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml cannot be read"):
        deploy_template(
            deployments.path.with_name("none.yaml"),
            registry=deployments.registry,
            supports=lambda _: None,
            clock=deployments.clock,
            region=REGION,
            account_id=ACCOUNT,
        )
