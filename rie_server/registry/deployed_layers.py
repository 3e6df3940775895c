"""Publishes the layers of a template when the server starts, before its functions.

Idempotent: a layer whose newest version has this content and these properties is left alone. A mistake in the template
stops the start; content that cannot be had (from S3) does not, and functions with that layer tell of it. Used by one
thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rie_server.errors import ConfigurationError, LambdaError
from rie_server.model.layer import Layer, LayerArn, LayerVersion
from rie_server.model.template_code import RemoteCode
from rie_server.model.template_layers import TemplateLayer, template_layers
from rie_server.registry.packaging import package

# From the members of a request as JSON has them to those that AWS's service model allows.
Checked = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class LayerControl(Protocol):
    """The part of ``registry.layers.Layers`` that a deployment needs."""

    def list(self, *, region: str, account: str) -> Sequence[Layer]: ...
    def publish(
        self, arn: LayerArn, members: Mapping[str, Any], *, account: str, only_changed: bool = False
    ) -> LayerVersion: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLayer:
    """A layer of the template, checked and with its content in hand."""

    template: TemplateLayer
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedLayer:
    """What became of one layer of the template.

    Attributes:
        action: ``published``, ``unchanged`` or ``failed``.
        arn: of its version; None where it failed.
    """

    name: str
    placeholder: str
    action: str
    arn: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        line = f"layer {self.name}: {self.action}"
        return line if self.reason is None else f"{line}: {self.reason}"


def read_layers(path: Path, *, checked: Checked, region: str, account_id: str) -> Sequence[WantedLayer]:
    """The layers of the template at ``path``.

    Raises:
        ConfigurationError: one line about what is wrong with the template.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError(f"{path} cannot be read: {unreadable}.") from None
    found = template_layers(text, path=path, region=region, account_id=account_id)
    return [_checked(layer, path, checked) for layer in found]


def publish_layers(
    wanted: Sequence[WantedLayer], *, control: LayerControl, region: str, account_id: str
) -> Sequence[DeployedLayer]:
    """Makes the newest version of each layer what ``wanted`` says; one result each."""
    return [_publish(one, control, region, account_id) for one in wanted]


def _checked(layer: TemplateLayer, path: Path, checked: Checked) -> WantedLayer:
    try:
        members = checked({**layer.members, "Content": {}})
        if isinstance(layer.code, RemoteCode):
            content: Mapping[str, Any] = layer.code.members
        else:
            content = {"ZipFile": package(layer.code)}
    except (ConfigurationError, LambdaError) as wrong:
        raise ConfigurationError(f"{path}: {layer.logical_id}: {str(wrong).rstrip('.')}.") from None
    return WantedLayer(template=layer, members={**members, "Content": content})


def _publish(wanted: WantedLayer, control: LayerControl, region: str, account: str) -> DeployedLayer:
    name, placeholder = wanted.members["LayerName"], wanted.template.placeholder
    arn = LayerArn(region=region, account=account, name=name)
    before = next((one.last_version for one in control.list(region=region, account=account) if one.arn == arn), 0)
    try:
        version = control.publish(arn, wanted.members, account=account, only_changed=True)
    except LambdaError as refused:
        return DeployedLayer(name=name, placeholder=placeholder, action="failed", reason=refused.message)
    action = "published" if version.version > before else "unchanged"
    return DeployedLayer(name=name, placeholder=placeholder, action=action, arn=version.arn)
