"""Function URLs of a SAM or CloudFormation template, as inputs of CreateFunctionUrlConfig.

Pure: takes the template's text. SAM's ``FunctionUrlConfig`` is the URL of the function or, where it publishes an alias,
of that; ``AWS::Lambda::Url`` is a resource of its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rie_server.errors import ConfigurationError
from rie_server.model.cloudformation import NO_VALUE, Document, Resolver, TemplateValueError, read_document
from rie_server.model.template import SERVERLESS_FUNCTION, serverless_properties

URL: Final = "AWS::Lambda::Url"
PROPERTY: Final = "FunctionUrlConfig"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUrl:
    """One URL of a template.

    Attributes:
        name: the function's name, with its alias, or the resource's logical id.
        members: inputs of CreateFunctionUrlConfig, not yet validated.
        opens: whoever knows the URL may call it, as SAM has it for AuthType NONE; a resource's own permissions say so.
    """

    name: str
    members: Mapping[str, Any]
    opens: bool


def template_urls(text: str, *, path: Path, region: str, account_id: str) -> tuple[TemplateUrl, ...]:
    """The URLs of the template ``text``, in its order; ``path`` says where it lies, for errors.

    Raises:
        ConfigurationError: one line that names the file and what is wrong.
    """
    try:
        resolver = Resolver(document=read_document(text), region=region, account_id=account_id)
        return tuple(_urls(resolver))
    except TemplateValueError as wrong:
        raise ConfigurationError(f"{path}: {wrong}.") from None


def _urls(resolver: Resolver) -> Iterator[TemplateUrl]:
    for logical_id, resource in resolver.section("Resources").items():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if kind not in (SERVERLESS_FUNCTION, URL):
            continue
        if "Condition" in resource and not resolver.condition(resource["Condition"]):
            continue
        properties = resource.get("Properties") or {}
        if not isinstance(properties, dict):
            raise TemplateValueError(f"{logical_id}.Properties must be a mapping")
        try:
            url = _resource(logical_id, properties, resolver) if kind == URL else _sam(logical_id, properties, resolver)
        except TemplateValueError as wrong:
            raise TemplateValueError(f"{logical_id}: {wrong}") from None
        if url is not None:
            yield url


def _sam(logical_id: str, own: Document, resolver: Resolver) -> TemplateUrl | None:
    properties = serverless_properties(own, resolver)
    config = resolver.resolve(properties.get(PROPERTY))
    if config is None or config is NO_VALUE:
        return None
    members = _members(config, PROPERTY)
    function = resolver.text({"Ref": logical_id})
    alias = resolver.resolve(properties.get("AutoPublishAlias"))
    qualifier = "" if alias is None or alias is NO_VALUE else str(alias)
    return TemplateUrl(
        name=f"{function}:{qualifier}" if qualifier else function,
        members=_of(function, qualifier, members),
        opens=members.get("AuthType") == "NONE",
    )


def _resource(logical_id: str, properties: Document, resolver: Resolver) -> TemplateUrl:
    members = _members(resolver.resolve(properties), "Properties")
    function, qualifier = members.pop("TargetFunctionArn", None), members.pop("Qualifier", "")
    if not isinstance(function, str) or not function:
        raise TemplateValueError("TargetFunctionArn is required")
    return TemplateUrl(name=logical_id, members=_of(function, str(qualifier), members), opens=False)


def _of(function: str, qualifier: str, members: Mapping[str, Any]) -> dict[str, Any]:
    return {"FunctionName": function, **({"Qualifier": qualifier} if qualifier else {}), **members}


def _members(config: Any, name: str) -> dict[str, Any]:
    """Numbers and truth values where the API wants them; the rest of a template is text."""
    if not isinstance(config, dict):
        raise TemplateValueError(f"{name} must be a mapping")
    members = {key: value for key, value in config.items() if value is not NO_VALUE}
    if not isinstance(members.get("Cors"), dict):
        return members
    cors = {key: value for key, value in members["Cors"].items() if value is not NO_VALUE}
    if re.fullmatch(r"\d{1,9}", str(cors.get("MaxAge"))):
        cors["MaxAge"] = int(cors["MaxAge"])
    if str(cors.get("AllowCredentials")).lower() in ("true", "false"):
        cors["AllowCredentials"] = str(cors["AllowCredentials"]).lower() == "true"
    return {**members, "Cors": cors}
