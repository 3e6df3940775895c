"""SAM and CloudFormation templates: which functions they describe, as inputs of the Lambda API and where the code lies.

Pure: takes the template's text, looks at no file. Event source mappings are ``template_mappings``', function URLs
``template_urls``'; everything else is left alone. What a template asks for and
this server does not carry out yet is named in ``TemplateFunction.ignored``, so that nobody waits for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rie_server.errors import ConfigurationError
from rie_server.model.cloudformation import NO_VALUE, Document, Resolver, TemplateValueError, read_document
from rie_server.model.template_code import PropertyError, RemoteCode, TemplateCode, lambda_code, serverless_code
from rie_server.model.template_invoke import TemplateInvocation, dead_letter_target, template_invocation
from rie_server.model.template_mappings import other_events
from rie_server.model.template_versions import QualifierResources, TemplateVersions, on_alias, serverless_versions

SERVERLESS_FUNCTION = "AWS::Serverless::Function"
LAMBDA_FUNCTION = "AWS::Lambda::Function"

_SAME_NAME = (
    "Architectures",
    "Description",
    "DurableConfig",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Runtime",
    "SnapStart",
    "TenancyConfig",
    "Timeout",
    "VpcConfig",
)
"""Properties that both resource types and CreateFunction call alike."""

_NOT_CARRIED_OUT = ("DeploymentPreference",)
_WHOLE_NUMBERS = (
    "ExecutionTimeout",
    "MaximumEventAgeInSeconds",
    "MaximumRetryAttempts",
    "MemorySize",
    "ProvisionedConcurrentExecutions",
    "ReservedConcurrentExecutions",
    "RetentionPeriodInDays",
    "Size",
    "Timeout",
)
_TRUTH_VALUES = ("Ipv6AllowedForDualStack",)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFunction:
    """One function of a template.

    Attributes:
        logical_id: its name within the template.
        members: inputs of CreateFunction without ``Code``.
        invocation: what is set on the function apart from these.
        versions: what is published of it, and its aliases.
        ignored: properties that have an effect in AWS and none here.
    """

    logical_id: str
    members: Mapping[str, Any]
    code: TemplateCode
    invocation: TemplateInvocation
    versions: TemplateVersions
    ignored: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.members["FunctionName"])


def template_functions(text: str, *, path: Path, region: str, account_id: str) -> tuple[TemplateFunction, ...]:
    """The functions of the template ``text``, in its order; ``path`` says where it lies, for relative paths and errors.

    Raises:
        ConfigurationError: one line that names the file, the resource and the property.
    """
    try:
        resolver = Resolver(document=read_document(text), region=region, account_id=account_id)
        resources = resolver.section("Resources")
    except TemplateValueError as wrong:
        raise ConfigurationError(f"{path}: {wrong}.") from None
    if not resources:
        raise ConfigurationError(f"{path}: it has no Resources.")
    functions: dict[str, TemplateFunction] = {}
    about_qualifiers = QualifierResources(resolver)
    for logical_id, resource in resources.items():
        try:
            function = _function(logical_id, resource, resolver, path.parent)
            if isinstance(resource, dict):
                about_qualifiers.read(resource)
        except PropertyError as wrong:
            raise ConfigurationError(f"{path}: {logical_id}.{wrong.property_name}: {wrong}.") from None
        except TemplateValueError as wrong:
            raise ConfigurationError(f"{path}: {logical_id}: {wrong}.") from None
        if function is None:
            continue
        if function.name in functions:
            other = functions[function.name].logical_id
            raise ConfigurationError(f"{path}: {logical_id}.FunctionName: {other} is named {function.name}, too.")
        functions[function.name] = function
    return tuple(_completed(function, about_qualifiers) for function in functions.values())


def _completed(function: TemplateFunction, about_qualifiers: QualifierResources) -> TemplateFunction:
    """``function`` with what other resources say about its versions and aliases."""
    versions = about_qualifiers.versions_of(function.name, function.versions)
    invocation = about_qualifiers.invocation_of(function.name, function.invocation, versions.aliases)
    return replace(function, versions=versions, invocation=invocation)


def _function(logical_id: str, resource: Any, resolver: Resolver, folder: Path) -> TemplateFunction | None:
    kind = resource.get("Type") if isinstance(resource, dict) else None
    if kind not in (SERVERLESS_FUNCTION, LAMBDA_FUNCTION):
        return None
    if "Condition" in resource and not resolver.condition(resource["Condition"]):
        return None
    own = resource.get("Properties") or {}
    if not isinstance(own, dict):
        raise PropertyError("Properties", "must be a mapping")
    raw = serverless_properties(own, resolver) if kind == SERVERLESS_FUNCTION else own
    properties = dict(_resolved(raw, resolver))
    name = str(properties.get("FunctionName") or logical_id)
    members: dict[str, Any] = {"FunctionName": name, "Role": _role(properties.get("Role"), resolver.account_id)}
    members |= {key: properties[key] for key in _SAME_NAME if key in properties}
    members |= _renamed(kind, properties)
    if kind == SERVERLESS_FUNCTION:
        code = serverless_code(logical_id, properties, resource.get("Metadata"), folder)
    else:
        code = lambda_code(properties, resource.get("Metadata"), folder)
    is_image = isinstance(code, RemoteCode) and code.image_uri is not None
    members["PackageType"] = "Image" if is_image else "Zip"
    _check_runtime(properties, is_image=is_image)
    invocation = template_invocation(properties)
    versions = serverless_versions(properties) if kind == SERVERLESS_FUNCTION else TemplateVersions()
    return TemplateFunction(
        logical_id=logical_id,
        members=members,
        code=code,
        invocation=on_alias(invocation, versions),
        versions=versions,
        ignored=(
            *(key for key in _NOT_CARRIED_OUT if key in properties),
            *other_events(raw.get("Events")),
            *invocation.ignored,
        ),
    )


def serverless_properties(own: Document, resolver: Resolver) -> Document:
    """The properties of a function of SAM's, those of Globals among them; not resolved."""
    return dict(_merged(_globals(resolver), own))


def _globals(resolver: Resolver) -> Document:
    functions = resolver.section("Globals").get("Function") or {}
    if not isinstance(functions, dict):
        raise TemplateValueError("Globals.Function must be a mapping")
    return functions


def _merged(shared: Any, own: Any) -> Any:
    """SAM's rule for Globals: mappings merge, lists are joined, everything else is replaced."""
    if isinstance(shared, dict) and isinstance(own, dict):
        if any(key == "Ref" or key.startswith("Fn::") for key in (*shared, *own)):
            return own
        return {
            **shared,
            **{key: _merged(shared[key], value) if key in shared else value for key, value in own.items()},
        }
    if isinstance(shared, list) and isinstance(own, list):
        return [*shared, *own]
    return own


def _resolved(properties: Document, resolver: Resolver) -> Iterator[tuple[str, Any]]:
    """The properties that are read here, resolved; those that are ignored may hold what nobody here can know."""
    for name, value in properties.items():
        if name in _NOT_CARRIED_OUT or name in ("Events", "FunctionUrlConfig", "Policies", "AssumeRolePolicyDocument"):
            yield name, None
            continue
        try:
            resolved = _typed(name, resolver.resolve(value))
        except PropertyError:
            raise
        except TemplateValueError as wrong:
            raise PropertyError(name, str(wrong)) from None
        if resolved is not NO_VALUE:
            yield name, resolved


def _typed(name: str, value: Any) -> Any:
    """Numbers and truth values where CreateFunction wants them; the rest of a template is text."""
    if isinstance(value, dict) and name not in ("Environment", "Tags"):
        return {key: _typed(key, item) for key, item in value.items()}
    if name in _WHOLE_NUMBERS:
        if not re.fullmatch(r"\d+", str(value)):
            raise PropertyError(name, f"{value!r} is not a whole number")
        return int(value)
    return str(value).lower() == "true" if name in _TRUTH_VALUES else value


def _role(role: Any, account_id: str) -> str:
    """SAM makes a role where none is given; this server never asks what it may do, only that there is one."""
    name = str(role or "lambda-function")
    return name if name.startswith("arn:") else f"arn:aws:iam::{account_id}:role/{name}"


def _renamed(kind: str, properties: Document) -> Iterator[tuple[str, Any]]:
    """Members whose shape or name differs between a template and CreateFunction."""
    variables = _mapping(properties, "Environment").get("Variables")
    if variables is not None:
        yield "Environment", {"Variables": _texts("Environment", variables)}
    tags = properties.get("Tags") or {}
    if kind == LAMBDA_FUNCTION and isinstance(tags, list):
        tags = {tag["Key"]: tag["Value"] for tag in tags if isinstance(tag, dict) and {"Key", "Value"} <= tag.keys()}
    if tags:
        yield "Tags", _texts("Tags", tags)
    mode = properties.get("Tracing") or _mapping(properties, "TracingConfig").get("Mode")
    if mode and mode != "Disabled":
        yield "TracingConfig", {"Mode": mode}
    target = dead_letter_target(properties)
    if target:
        yield "DeadLetterConfig", {"TargetArn": target}
    key = properties.get("KmsKeyArn") or properties.get("KMSKeyArn")
    if key:
        yield "KMSKeyArn", key


def _mapping(properties: Document, name: str) -> Document:
    value = properties.get(name) or {}
    if not isinstance(value, dict):
        raise PropertyError(name, "must be a mapping")
    return value


def _texts(name: str, values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        raise PropertyError(name, "must be a mapping")
    for key, value in values.items():
        if isinstance(value, (list, dict)):
            raise PropertyError(name, f"{key} must be text")
    return {key: str(value) for key, value in values.items()}


def _check_runtime(properties: Document, *, is_image: bool) -> None:
    for name in ("Runtime", "Handler"):
        if is_image and properties.get(name):
            raise PropertyError(name, "does not go with a container image; ImageConfig.Command names its handler")
        if not is_image and not properties.get(name):
            raise PropertyError(name, "is required for a function that is not a container image")
