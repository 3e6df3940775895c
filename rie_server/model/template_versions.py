"""What a template says about a function's versions and aliases, and about events that are meant for these.

Pure. ``AutoPublishAlias`` is SAM's; ``AWS::Lambda::Version``, ``AWS::Lambda::Alias`` and
``AWS::Lambda::EventInvokeConfig`` are resources of their own that name their function. Those of a function that the
template does not describe are left alone, like that function.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from rie_server.errors import LambdaError
from rie_server.model.arn import LATEST, parse_function_reference
from rie_server.model.cloudformation import NO_VALUE, Document, Resolver, TemplateValueError
from rie_server.model.template_code import PropertyError
from rie_server.model.template_invoke import TemplateInvocation, event_invoke_members

VERSION: Final = "AWS::Lambda::Version"
ALIAS: Final = "AWS::Lambda::Alias"
EVENT_INVOKE_CONFIG: Final = "AWS::Lambda::EventInvokeConfig"

PROVISIONED: Final = "ProvisionedConcurrencyConfig"

_ALIAS_NAME: Final = re.compile(r"(?!^[0-9]+$)[a-zA-Z0-9-_]{1,128}")
_VERSION: Final = re.compile(r"\$LATEST|[0-9]{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateAlias:
    """
    Attributes:
        version: a number or ``$LATEST``; None for the version that the deployment publishes.
        weights: as in ``AdditionalVersionWeights``.
        provisioned: provisioned concurrency; 0 for none.
    """

    name: str
    version: str | None = None
    description: str = ""
    weights: Mapping[str, float]
    provisioned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersions:
    """
    Attributes:
        publishes: the deployment publishes a version, unless nothing has changed since the last one.
        only_for_code: not for a changed configuration alone, as SAM has it.
        description: of the version; empty for the function's own.
    """

    publishes: bool = False
    only_for_code: bool = False
    description: str = ""
    aliases: tuple[TemplateAlias, ...] = ()


def serverless_versions(properties: Document) -> TemplateVersions:
    """What ``AutoPublishAlias`` and the properties around it ask for.

    Raises:
        PropertyError: a value that SAM would refuse.
    """
    name = properties.get("AutoPublishAlias")
    provisioned = _provisioned(properties.get(PROVISIONED))
    if not name:
        if provisioned:
            raise PropertyError(PROVISIONED, "needs AutoPublishAlias")
        return TemplateVersions()
    if not _ALIAS_NAME.fullmatch(str(name)):
        raise PropertyError("AutoPublishAlias", f"{name!r} cannot be the name of an alias")
    return TemplateVersions(
        publishes=True,
        only_for_code=str(properties.get("AutoPublishAliasAllProperties", "")).lower() != "true",
        description=str(properties.get("VersionDescription") or ""),
        aliases=(TemplateAlias(name=str(name), weights={}, provisioned=provisioned),),
    )


def on_alias(invocation: TemplateInvocation, versions: TemplateVersions) -> TemplateInvocation:
    """With ``AutoPublishAlias`` SAM's ``EventInvokeConfig`` is the alias's, and the function itself has none."""
    if not versions.aliases:
        return invocation
    (alias,) = versions.aliases
    return replace(invocation, event_invoke={}, qualified={alias.name: invocation.event_invoke})


class QualifierResources:
    """The resources of a template that are about versions and aliases, by the name of their function.

    Raises:
        PropertyError, TemplateValueError: from ``read``, where AWS would refuse the resource, too.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._versions: dict[str, TemplateVersions] = {}
        self._event_invoke: dict[str, dict[str, Mapping[str, Any]]] = {}

    def read(self, resource: Document) -> None:
        """Takes in a resource, of whatever type."""
        kind = resource.get("Type")
        if kind not in (VERSION, ALIAS, EVENT_INVOKE_CONFIG):
            return
        if "Condition" in resource and not self._resolver.condition(resource["Condition"]):
            return
        properties = resource.get("Properties") or {}
        if not isinstance(properties, dict):
            raise PropertyError("Properties", "must be a mapping")
        function = self._function(properties)
        if kind == VERSION:
            known = self._versions.get(function, TemplateVersions())
            description = self._text(properties, "Description") or known.description
            self._versions[function] = replace(known, publishes=True, description=description)
        elif kind == ALIAS:
            known = self._versions.get(function, TemplateVersions())
            self._versions[function] = replace(known, aliases=(*known.aliases, self._alias(properties)))
        else:
            qualifier = self._text(properties, "Qualifier") or LATEST
            resolved = {key: self._value(properties, key) for key in properties}
            members = event_invoke_members({key: one for key, one in resolved.items() if one is not NO_VALUE})
            self._event_invoke.setdefault(function, {})[qualifier] = members

    def versions_of(self, function: str, own: TemplateVersions) -> TemplateVersions:
        """What the function itself and the resources about it ask for, together."""
        more = self._versions.get(function)
        if more is None:
            return own
        return TemplateVersions(
            publishes=own.publishes or more.publishes,
            only_for_code=own.only_for_code and not more.publishes,
            description=more.description or own.description,
            aliases=(*own.aliases, *more.aliases),
        )

    def invocation_of(
        self, function: str, own: TemplateInvocation, aliases: tuple[TemplateAlias, ...]
    ) -> TemplateInvocation:
        """Likewise. What the template sets for none of its aliases is unset there."""
        configs = dict(self._event_invoke.get(function, {}))
        event_invoke = configs.pop(LATEST, own.event_invoke)
        unset: dict[str, Mapping[str, Any]] = {alias.name: {} for alias in aliases}
        return replace(own, event_invoke=event_invoke, qualified={**unset, **own.qualified, **configs})

    def _alias(self, properties: Document) -> TemplateAlias:
        name = self._text(properties, "Name")
        if not _ALIAS_NAME.fullmatch(name):
            raise PropertyError("Name", f"{name!r} cannot be the name of an alias")
        return TemplateAlias(
            name=name,
            version=self._version(properties.get("FunctionVersion")),
            description=self._text(properties, "Description"),
            weights=self._weights(properties),
            provisioned=_provisioned(self._value(properties, PROVISIONED)),
        )

    def _version(self, value: Any) -> str | None:
        """None where it is the attribute of a version of this template, whose number is known only at the end."""
        reference = value.get("Fn::GetAtt") if isinstance(value, dict) else None
        parts = reference.split(".") if isinstance(reference, str) else list(reference or [])
        if parts[1:] == ["Version"] and self._type_of(str(parts[0])) == VERSION:
            return None
        version = self._text({"FunctionVersion": value}, "FunctionVersion")
        if not _VERSION.fullmatch(version):
            raise PropertyError("FunctionVersion", f"{version!r} is neither a number nor $LATEST")
        return version

    def _type_of(self, logical_id: str) -> Any:
        resource = self._resolver.section("Resources").get(logical_id)
        return resource.get("Type") if isinstance(resource, dict) else None

    def _weights(self, properties: Document) -> dict[str, float]:
        routing = self._value(properties, "RoutingConfig")
        entries = routing.get("AdditionalVersionWeights", []) if isinstance(routing, dict) else []
        try:
            return {str(entry["FunctionVersion"]): float(entry["FunctionWeight"]) for entry in entries}
        except (KeyError, TypeError, ValueError):
            raise PropertyError("RoutingConfig", "needs FunctionVersion and FunctionWeight") from None

    def _function(self, properties: Document) -> str:
        reference = self._text(properties, "FunctionName")
        resolver = self._resolver
        if not reference:
            raise PropertyError("FunctionName", "is required")
        try:
            return parse_function_reference(
                reference, qualifier=None, region=resolver.region, account=resolver.account_id
            ).name
        except LambdaError as wrong:
            raise PropertyError("FunctionName", wrong.message.rstrip(".")) from None

    def _text(self, properties: Document, name: str) -> str:
        value = self._value(properties, name)
        if isinstance(value, (list, dict)):
            raise PropertyError(name, "must be text")
        return "" if value is None or value is NO_VALUE else str(value)

    def _value(self, properties: Document, name: str) -> Any:
        try:
            return self._resolver.resolve(properties.get(name))
        except PropertyError:
            raise
        except TemplateValueError as wrong:
            raise PropertyError(name, str(wrong)) from None


def _provisioned(config: Any) -> int:
    if config is None or config is NO_VALUE:
        return 0
    executions = config.get("ProvisionedConcurrentExecutions") if isinstance(config, dict) else None
    if not re.fullmatch(r"[1-9]\d{0,5}", str(executions)):
        raise PropertyError(PROVISIONED, f"ProvisionedConcurrentExecutions: {executions!r} is not a number from 1 on")
    return int(str(executions))
