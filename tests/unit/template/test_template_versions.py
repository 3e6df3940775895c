"""What a template says about versions, aliases and the events of either."""

from pathlib import Path

import pytest

from rie_server.errors import ConfigurationError
from rie_server.model.template import TemplateFunction, template_functions
from rie_server.model.template_versions import TemplateAlias, TemplateVersions

PATH = Path("/project/template.yaml")
SAM, LAMBDA = "AWS::Serverless::Function", "AWS::Lambda::Function"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:failed"


def function(properties: str = "Timeout: 3", *, kind: str = SAM, rest: str = "") -> TemplateFunction:
    usual = "FunctionName: work, Handler: a.b, Runtime: python3.12, " + ("" if kind == SAM else "Role: r, Code: src, ")
    text = (
        "Parameters: {Stage: {Type: String, Default: live}}\nConditions: {Never: !Equals [a, b]}\n"
        f"Resources:\n  Work:\n    Type: {kind}\n    Properties: {{{usual}{properties}}}\n{rest}"
    )
    return template_functions(text, path=PATH, region="us-east-1", account_id="000000000000")[0]


def resource(name: str, kind: str, properties: str, more: str = "") -> str:
    return f"  {name}: {{Type: 'AWS::Lambda::{kind}'{more}, Properties: {{FunctionName: !Ref Work, {properties}}}}}\n"


def test_a_function_that_says_nothing_publishes_nothing() -> None:
    assert function().versions == TemplateVersions()


def test_auto_publish_alias_publishes_changed_code_and_points_its_alias_at_it() -> None:
    work = function("AutoPublishAlias: !Ref Stage, VersionDescription: new")
    alias = TemplateAlias(name="live", weights={})
    assert work.versions == TemplateVersions(publishes=True, only_for_code=True, description="new", aliases=(alias,))
    assert work.ignored == ()
    assert not function("AutoPublishAlias: live, AutoPublishAliasAllProperties: true").versions.only_for_code


def test_provisioned_concurrency_is_the_aliass() -> None:
    config = "ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: '2'}"
    (alias,) = function(f"AutoPublishAlias: live, {config}").versions.aliases
    assert alias == TemplateAlias(name="live", weights={}, provisioned=2)
    rest = resource("Edge", "Alias", f"Name: edge, FunctionVersion: '1', {config}")
    assert function(rest=rest).versions.aliases == (TemplateAlias(name="edge", version="1", weights={}, provisioned=2),)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}", "needs AutoPublishAlias"),
        ("AutoPublishAlias: live, ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 0}", "from 1 on"),
        ("AutoPublishAlias: live, ProvisionedConcurrencyConfig: {}", "from 1 on"),
    ],
)
def test_provisioned_concurrency_that_sam_would_refuse_is_refused(properties: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ProvisionedConcurrencyConfig.*{message}"):
        function(properties)


def test_with_auto_publish_alias_the_event_invoke_config_is_the_aliass() -> None:
    config = f"EventInvokeConfig: {{DestinationConfig: {{OnFailure: {{Type: SQS, Destination: '{QUEUE}'}}}}}}"
    members = {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}
    work = function(f"AutoPublishAlias: live, {config}")
    assert (work.invocation.event_invoke, work.invocation.qualified) == ({}, {"live": members})
    assert (function(config).invocation.event_invoke, function(config).invocation.qualified) == (members, {})


@pytest.mark.parametrize("kind", [SAM, LAMBDA])
def test_versions_and_aliases_are_resources_too(kind: str) -> None:
    rest = (
        resource("First", "Version", "Description: one")
        + resource("Live", "Alias", "Name: live, FunctionVersion: !GetAtt First.Version, Description: d")
        + resource(
            "Canary",
            "Alias",
            "Name: canary, FunctionVersion: '2', RoutingConfig: {AdditionalVersionWeights: "
            "[{FunctionVersion: '1', FunctionWeight: 0.25}]}",
        )
        + resource("Edge", "Alias", "Name: edge, FunctionVersion: $LATEST")
    )
    assert function(kind=kind, rest=rest).versions == TemplateVersions(
        publishes=True,
        description="one",
        aliases=(
            TemplateAlias(name="live", version=None, description="d", weights={}),
            TemplateAlias(name="canary", version="2", weights={"1": 0.25}),
            TemplateAlias(name="edge", version="$LATEST", weights={}),
        ),
    )


def test_an_event_invoke_config_may_be_a_resource_for_any_qualifier() -> None:
    destination = f"DestinationConfig: {{OnSuccess: {{Destination: '{QUEUE}'}}}}"
    rest = (
        resource("Live", "Alias", "Name: live, FunctionVersion: $LATEST")
        + resource("Quiet", "Alias", "Name: quiet, FunctionVersion: $LATEST")
        + resource("One", "EventInvokeConfig", "Qualifier: live, MaximumRetryAttempts: 0")
        + resource("Two", "EventInvokeConfig", f"Qualifier: $LATEST, MaximumEventAgeInSeconds: 60, {destination}")
    )
    invocation = function(rest=rest).invocation
    assert invocation.qualified == {"live": {"MaximumRetryAttempts": 0}, "quiet": {}}
    assert invocation.event_invoke == {
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}},
    }


def test_what_is_conditioned_away_or_anothers_is_left_alone() -> None:
    rest = resource("Live", "Alias", "Name: live, FunctionVersion: $LATEST", ", Condition: Never")
    rest += "  Others: {Type: 'AWS::Lambda::Version', Properties: {FunctionName: other}}\n"
    assert function(rest=rest).versions == TemplateVersions()


@pytest.mark.parametrize(
    ("properties", "rest", "message"),
    [
        ("AutoPublishAlias: 1", "", r"Work\.AutoPublishAlias: '1' cannot be the name of an alias"),
        ("Timeout: 3", resource("X", "Alias", "FunctionVersion: '1'"), r"X\.Name: '' cannot be the name of an alias"),
        (
            "Timeout: 3",
            resource("X", "Alias", "Name: a, FunctionVersion: one"),
            r"X\.FunctionVersion: 'one' is neither",
        ),
        (
            "Timeout: 3",
            resource("X", "Alias", "Name: a, FunctionVersion: '1', RoutingConfig: {AdditionalVersionWeights: [1]}"),
            r"X\.RoutingConfig: needs FunctionVersion and FunctionWeight",
        ),
        (
            "Timeout: 3",
            resource("X", "EventInvokeConfig", "Qualifier: $LATEST, MaximumRetryAttempts: 3"),
            r"X\.MaximumRetryAttempts: 3 is not from 0 to 2",
        ),
        ("Timeout: 3", "  X: {Type: 'AWS::Lambda::Version', Properties: {}}\n", r"X\.FunctionName: is required"),
    ],
)
def test_a_mistake_is_named_with_its_place(properties: str, rest: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        function(properties, rest=rest)
