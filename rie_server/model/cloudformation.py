"""CloudFormation templates as documents: YAML with short tags, parameters, conditions and intrinsic functions.

Pure. Scalars stay text exactly as written (``0123``, ``on`` and ``1.10`` mean themselves), because CloudFormation hands
nearly everything to services as text; whoever needs a number asks for one. An intrinsic function is resolved only where
its value is read, so that a template may hold things that nobody here can know.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Document = Mapping[str, Any]

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")
LAYER_TYPES = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")
_NAME_PROPERTIES = (
    "LayerName",
    "FunctionName",
    "QueueName",
    "TopicName",
    "TableName",
    "BucketName",
    "StreamName",
    "RoleName",
    "Name",
)
_ARN_OF_TYPE: Mapping[str, str] = {
    "AWS::Serverless::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    **dict.fromkeys(LAYER_TYPES, "lambda:{region}:{account}:layer:{name}:0"),
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::Kinesis::Stream": "kinesis:{region}:{account}:stream/{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Serverless::SimpleTable": "dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::Events::EventBus": "events:{region}:{account}:event-bus/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
}
_REFERRED_TO_BY_ARN = ("AWS::SNS::Topic", *LAYER_TYPES)


class TemplateValueError(ValueError):
    """A template says something that cannot be resolved here; the text tells why."""


class _Loader(yaml.SafeLoader):
    """Text scalars only, and ``!Tag value`` as ``{"Fn::Tag": value}``."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:merge"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type] # the third of three kinds
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct_tag)


def read_document(text: str) -> Document:
    """The template's document, its intrinsic functions unresolved.

    Raises:
        TemplateValueError: not YAML, or not a mapping.
    """
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as wrong:
        line = f"line {wrong.problem_mark.line + 1}: " if wrong.problem_mark else ""
        raise TemplateValueError(f"{line}{wrong.problem}") from None
    except yaml.YAMLError as wrong:
        raise TemplateValueError(str(wrong).splitlines()[0]) from None
    if not isinstance(document, dict):
        raise TemplateValueError("a template is a mapping with Resources")
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Resolves the intrinsic functions of one template. ``NO_VALUE`` comes out of ``AWS::NoValue``."""

    document: Document
    region: str
    account_id: str
    stack_name: str = "rie-server"
    _pending: set[str] = field(default_factory=set)

    def resolve(self, value: Any) -> Any:
        """``value`` without intrinsic functions.

        Raises:
            TemplateValueError: a name that the template does not define, or a function that cannot be known here.
        """
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            function = _FUNCTIONS.get(name)
            if function is not None:
                return function(self, argument)
            if name.startswith("Fn::"):
                raise TemplateValueError(f"{name} is not resolved by this server")
        resolved = ((key, self.resolve(item)) for key, item in value.items())
        return {key: item for key, item in resolved if item is not NO_VALUE}

    def text(self, value: Any) -> str:
        """``value`` resolved, as the text that CloudFormation would pass on."""
        resolved = self.resolve(value)
        if isinstance(resolved, (list, dict)) or resolved is NO_VALUE:
            raise TemplateValueError("text is needed here, not a list or a mapping")
        return str(resolved)

    def condition(self, name: str) -> bool:
        """Whether the template's condition ``name`` holds."""
        conditions = self.section("Conditions")
        if name not in conditions:
            raise TemplateValueError(f"condition {name} is not defined")
        if name in self._pending:
            raise TemplateValueError(f"condition {name} depends on itself")
        self._pending.add(name)
        try:
            return self.is_true(conditions[name])
        finally:
            self._pending.discard(name)

    def is_true(self, expression: Any) -> bool:
        value = self.resolve(expression)
        return value if isinstance(value, bool) else str(value).lower() == "true"

    def section(self, name: str) -> Document:
        section = self.document.get(name) or {}
        if not isinstance(section, dict):
            raise TemplateValueError(f"{name} must be a mapping")
        return section

    def reference(self, name: str) -> Any:
        """What ``Ref`` gives: a parameter's default, a pseudo parameter, or the name of a resource (a topic's ARN)."""
        pseudo = {
            "AWS::Region": self.region,
            "AWS::AccountId": self.account_id,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{self.region}:{self.account_id}:stack/{self.stack_name}/local",
            "AWS::NoValue": NO_VALUE,
            "AWS::NotificationARNs": [],
        }
        if name in pseudo:
            return pseudo[name]
        parameters = self.section("Parameters")
        if name in parameters:
            return self._parameter(name, parameters[name])
        resource = self.section("Resources").get(name)
        if isinstance(resource, dict) and resource.get("Type") in _REFERRED_TO_BY_ARN:
            return self.attribute(name, "Arn")
        return self._physical_name(name)

    def _parameter(self, name: str, parameter: Any) -> Any:
        if not isinstance(parameter, dict) or "Default" not in parameter:
            raise TemplateValueError(f"parameter {name} has no Default")
        default = parameter["Default"]
        is_list = str(parameter.get("Type", "")).startswith(("List<", "CommaDelimitedList"))
        return [item.strip() for item in default.split(",")] if is_list else default

    def _physical_name(self, logical_id: str) -> str:
        """A resource's own name, where it has one; otherwise its logical id stands for what AWS would make up."""
        resource = self.section("Resources").get(logical_id)
        if not isinstance(resource, dict):
            raise TemplateValueError(f"{logical_id} is neither a parameter nor a resource of this template")
        if logical_id in self._pending:
            raise TemplateValueError(f"the name of {logical_id} depends on itself")
        properties = resource.get("Properties") or {}
        named = next((properties[key] for key in _NAME_PROPERTIES if key in properties), logical_id)
        self._pending.add(logical_id)
        try:
            return self.text(named)
        finally:
            self._pending.discard(logical_id)

    def attribute(self, logical_id: str, attribute: str) -> str:
        """What ``Fn::GetAtt`` gives: ARNs of the resources that functions deal with."""
        name = self._physical_name(logical_id)
        pattern = _ARN_OF_TYPE.get(str(self.section("Resources")[logical_id].get("Type")))
        if pattern is None or attribute not in ("Arn", "TopicArn", "LayerVersionArn"):
            raise TemplateValueError(f"{logical_id}.{attribute} is known only after a deployment to AWS")
        return "arn:aws:" + pattern.format(region=self.region, account=self.account_id, name=name)


class _NoValue:
    """``AWS::NoValue``: the property is as if it were not there."""


NO_VALUE = _NoValue()


def _get_att(resolver: Resolver, argument: Any) -> str:
    parts = argument.split(".", 1) if isinstance(argument, str) else [resolver.text(part) for part in argument]
    if len(parts) != 2:
        raise TemplateValueError("Fn::GetAtt needs a resource and an attribute")
    return resolver.attribute(parts[0], parts[1])


def _sub(resolver: Resolver, argument: Any) -> str:
    pattern, variables = argument if isinstance(argument, list) else (argument, {})

    def replace(match: re.Match[str]) -> str:
        literal, name = match[1], match[2].strip()
        if literal:
            return f"${{{match[2]}}}"
        if name in variables:
            return resolver.text(variables[name])
        if "." in name:
            return _get_att(resolver, name)
        return resolver.text({"Ref": name})

    return _PLACEHOLDER.sub(replace, resolver.text(pattern))


def _join(resolver: Resolver, argument: Any) -> str:
    separator, items = argument
    resolved = resolver.resolve(items)
    if not isinstance(resolved, list):
        raise TemplateValueError("Fn::Join needs a list")
    return str(separator).join(map(resolver.text, resolved))


def _select(resolver: Resolver, argument: Any) -> Any:
    index, items = argument
    return resolver.resolve(items)[int(resolver.text(index))]


def _find_in_map(resolver: Resolver, argument: Any) -> Any:
    name, first, second = (resolver.text(key) for key in argument[:3])
    try:
        return resolver.section("Mappings")[name][first][second]
    except KeyError:
        raise TemplateValueError(f"Mappings has no {name}.{first}.{second}") from None


def _if(resolver: Resolver, argument: Any) -> Any:
    name, then, otherwise = argument
    return resolver.resolve(then if resolver.condition(name) else otherwise)


def _guarded(name: str, function: Callable[[Resolver, Any], Any]) -> Callable[[Resolver, Any], Any]:
    """Turns what a misshapen argument does to ``function`` into words."""

    def call(resolver: Resolver, argument: Any) -> Any:
        try:
            return function(resolver, argument)
        except TemplateValueError:
            raise
        except (TypeError, ValueError, IndexError, AttributeError):
            raise TemplateValueError(f"{name} does not take these arguments") from None

    return call


_FUNCTIONS: Mapping[str, Callable[[Resolver, Any], Any]] = {
    name: _guarded(name, function)
    for name, function in {
        "Ref": lambda resolver, name: resolver.reference(name),
        "Condition": lambda resolver, name: resolver.condition(name),
        "Fn::GetAtt": _get_att,
        "Fn::Sub": _sub,
        "Fn::Join": _join,
        "Fn::Split": lambda resolver, split: resolver.text(split[1]).split(split[0]),
        "Fn::Select": _select,
        "Fn::FindInMap": _find_in_map,
        "Fn::If": _if,
        "Fn::Equals": lambda resolver, pair: resolver.resolve(pair[0]) == resolver.resolve(pair[1]),
        "Fn::And": lambda resolver, terms: all(map(resolver.is_true, terms)),
        "Fn::Or": lambda resolver, terms: any(map(resolver.is_true, terms)),
        "Fn::Not": lambda resolver, terms: not resolver.is_true(terms[0]),
        "Fn::Base64": lambda resolver, text: base64.b64encode(resolver.text(text).encode()).decode(),
    }.items()
}
