"""Layers of a SAM or CloudFormation template, as inputs of PublishLayerVersion and where their content lies.

Pure: takes the template's text, looks at no file. Which number a version gets is known only once it is published, so a
reference to a layer of the template is a placeholder until then: its ARN with version 0, which no layer has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rie_server.errors import ConfigurationError
from rie_server.model.cloudformation import LAYER_TYPES, NO_VALUE, Resolver, TemplateValueError, read_document
from rie_server.model.template_code import LocalCode, PropertyError, RemoteCode, layer_content

_SAME_NAME: Final = ("Description", "CompatibleRuntimes", "CompatibleArchitectures")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateLayer:
    """One layer of a template.

    Attributes:
        placeholder: what references to it are until it is published.
        members: inputs of PublishLayerVersion without ``Content``.
    """

    logical_id: str
    placeholder: str
    members: Mapping[str, Any]
    code: LocalCode | RemoteCode


def template_layers(text: str, *, path: Path, region: str, account_id: str) -> tuple[TemplateLayer, ...]:
    """The layers of the template ``text``, in its order; ``path`` says where it lies, for relative paths and errors.

    Raises:
        ConfigurationError: one line that names the file, the resource and the property.
    """
    try:
        resolver = Resolver(document=read_document(text), region=region, account_id=account_id)
        resources = resolver.section("Resources")
    except TemplateValueError as wrong:
        raise ConfigurationError(f"{path}: {wrong}.") from None
    found: list[TemplateLayer] = []
    for logical_id, resource in resources.items():
        if not isinstance(resource, dict) or resource.get("Type") not in LAYER_TYPES:
            continue
        try:
            if "Condition" not in resource or resolver.condition(resource["Condition"]):
                found.append(_layer(logical_id, resource, resolver, path.parent))
        except PropertyError as wrong:
            raise ConfigurationError(f"{path}: {logical_id}.{wrong.property_name}: {wrong}.") from None
        except TemplateValueError as wrong:
            raise ConfigurationError(f"{path}: {logical_id}: {wrong}.") from None
    return tuple(found)


def with_published(members: Mapping[str, Any], published: Mapping[str, str]) -> dict[str, Any]:
    """``members`` of a function with what became of its layers in the place of placeholders."""
    layers: Sequence[str] = members.get("Layers") or ()
    if not any(layer in published for layer in layers):
        return dict(members)
    return {**members, "Layers": [published.get(layer, layer) for layer in layers]}


def _layer(logical_id: str, resource: Mapping[str, Any], resolver: Resolver, folder: Path) -> TemplateLayer:
    own = resource.get("Properties") or {}
    if not isinstance(own, dict):
        raise PropertyError("Properties", "must be a mapping")
    resolved = {name: resolver.resolve(value) for name, value in own.items()}
    properties = {name: value for name, value in resolved.items() if value is not NO_VALUE}
    placeholder = str(resolver.reference(logical_id))
    members: dict[str, Any] = {"LayerName": placeholder.split(":")[6]}
    members |= {name: properties[name] for name in _SAME_NAME if name in properties}
    if properties.get("LicenseInfo"):
        members["LicenseInfo"] = properties["LicenseInfo"]
    code = layer_content(properties, resource.get("Metadata"), folder)
    return TemplateLayer(logical_id=logical_id, placeholder=placeholder, members=members, code=code)
