"""Versions and aliases of a template's functions: published once, pointed at, and left as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.function_record import FunctionRecord, State
from tests.unit.registry.test_deployment import IMAGE, TEMPLATE, Deployments

QUEUE = "arn:aws:sqs:us-east-1:000000000000:failed"
AUTO = ", AutoPublishAlias: live"
EVENTS = f", EventInvokeConfig: {{DestinationConfig: {{OnFailure: {{Type: SQS, Destination: '{QUEUE}'}}}}}}"


@pytest.fixture
def deployments(tmp_path: Path) -> Iterator[Deployments]:
    prepared = Deployments(tmp_path)
    yield prepared
    prepared.close()


def at(deployments: Deployments, qualifier: str, name: str = "hello") -> FunctionRecord:
    return deployments.registry.get(deployments.record(name).arn.qualified(qualifier))


def change_code(deployments: Deployments, text: str) -> None:
    (deployments.code / "app.py").write_text(text)


def test_a_new_function_is_published_and_its_alias_runs_the_version(deployments: Deployments) -> None:
    (hello,) = deployments.deploy(TEMPLATE % AUTO)
    assert (str(hello), hello.is_ready) == ("hello: created", True)
    assert at(deployments, "live").version == "1"
    served = deployments.registry.resolve(deployments.record().arn.qualified("live"))
    assert served.version == "1"


def test_unchanged_code_publishes_nothing_new(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % AUTO)
    before = deployments.record()
    assert deployments.actions(TEMPLATE % AUTO) == [("hello", "unchanged")]
    assert deployments.record() == before


def test_changed_code_is_published_and_the_alias_moves(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % AUTO)
    change_code(deployments, "def handler(event, context): return 2")
    assert deployments.actions(TEMPLATE % AUTO) == [("hello", "updated")]
    assert (at(deployments, "live").version, list(deployments.record().versions)) == ("2", ["1", "2"])


@pytest.mark.parametrize(("more", "version"), [("", "1"), (", AutoPublishAliasAllProperties: true", "2")])
def test_a_changed_configuration_is_published_only_where_all_properties_count(
    deployments: Deployments, more: str, version: str
) -> None:
    deployments.deploy(TEMPLATE % (AUTO + more))
    deployments.deploy(TEMPLATE % f"{AUTO}{more}, Timeout: 9")
    assert at(deployments, "$LATEST").current.configuration["Timeout"] == 9
    assert at(deployments, "live").version == version


def test_an_alias_that_was_moved_by_hand_is_back_after_a_restart(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % AUTO)
    deployments.registry.aliases.update(deployments.record().arn, {"Name": "live", "FunctionVersion": "$LATEST"})
    assert deployments.actions(TEMPLATE % AUTO) == [("hello", "updated")]
    assert deployments.record().aliases["live"].version == "1"


def test_the_aliass_events_go_where_the_template_says_and_the_functions_do_not(deployments: Deployments) -> None:
    deployments.deploy(TEMPLATE % (AUTO + EVENTS))
    arn, config = deployments.record().arn, deployments.registry.event_invoke_config
    assert config(arn.qualified("live")) == EventInvokeConfig(on_failure=QUEUE)
    assert config(arn) == EventInvokeConfig()
    assert deployments.actions(TEMPLATE % (AUTO + EVENTS)) == [("hello", "unchanged")]
    assert deployments.actions(TEMPLATE % AUTO) == [("hello", "updated")]
    assert config(arn.qualified("live")) == EventInvokeConfig()


def test_version_and_alias_resources_are_deployed_likewise(deployments: Deployments) -> None:
    rest = """
  Published: {Type: 'AWS::Lambda::Version', Properties: {FunctionName: !Ref Hello, Description: first}}
  Live:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !GetAtt Hello.Arn, Name: live, FunctionVersion: !GetAtt Published.Version}
"""
    template = TEMPLATE % "" + rest
    assert [str(one) for one in deployments.deploy(template)] == ["hello: created"]
    live = at(deployments, "live")
    assert (live.version, live.current.configuration["Description"]) == ("1", "first")
    assert deployments.actions(template) == [("hello", "unchanged")]


def test_an_alias_of_a_version_that_is_not_there_is_refused_and_the_function_runs(deployments: Deployments) -> None:
    rest = "  Live: {Type: 'AWS::Lambda::Alias', Properties: {FunctionName: hello, Name: live, FunctionVersion: '7'}}"
    (hello,) = deployments.deploy(TEMPLATE % "" + rest)
    assert hello.is_ready
    assert str(hello).startswith("hello: created, but: alias live: Function not found: ")


def test_an_image_is_published_together_with_its_function(deployments: Deployments) -> None:
    template = IMAGE.replace("FunctionName: shop", "FunctionName: shop, AutoPublishAlias: live")
    (shop,) = deployments.deploy(template)
    assert (str(shop), shop.is_ready) == ("shop: created", True)
    live = at(deployments, "live", "shop")
    assert (live.version, live.life.state) == ("1", State.ACTIVE)
    assert deployments.actions(template) == [("shop", "unchanged")]


def test_provisioned_concurrency_is_as_the_template_says(deployments: Deployments) -> None:
    provisioned = ", ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: %d}"
    deployments.deploy(TEMPLATE % (AUTO + provisioned % 2))
    assert {key: one.executions for key, one in deployments.record().provisioned.items()} == {"live": 2}
    assert deployments.actions(TEMPLATE % (AUTO + provisioned % 2)) == [("hello", "unchanged")]
    change_code(deployments, "def handler(event, context): return 2")
    assert deployments.actions(TEMPLATE % (AUTO + provisioned % 1)) == [("hello", "updated")]
    assert {key: one.executions for key, one in deployments.record().provisioned.items()} == {"live": 1}
    assert deployments.actions(TEMPLATE % AUTO) == [("hello", "updated")]
    assert deployments.record().provisioned == {}
