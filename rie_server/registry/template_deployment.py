"""What a server does with its template at the start: first layers, functions and their URLs, then, once
mappings are served, those.

Does nothing without a template. Used by one thread.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock
from rie_server.registry.deployed_function import DeployedFunction
from rie_server.registry.deployed_layers import DeployedLayer, LayerControl, WantedLayer, publish_layers, read_layers
from rie_server.registry.deployed_mappings import (
    DeployedMapping,
    MappingControl,
    WantedMapping,
    deploy_mappings,
    read_mappings,
)
from rie_server.registry.deployed_urls import (
    DeployedUrl,
    PolicyControl,
    UrlControl,
    WantedUrl,
    deploy_urls,
    read_urls,
)
from rie_server.registry.deployment import FunctionControl, deploy_template


class TemplateDeployment:
    """
    Args:
        base_url: how clients of this machine reach the server.
        checked: holds members of an operation's input, which it is told by name, to AWS's service model.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        registry: FunctionControl,
        layers: LayerControl,
        mappings: MappingControl,
        urls: UrlControl,
        policies: PolicyControl,
        base_url: str,
        supports: Callable[[FunctionVersion], str | None],
        checked: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
        clock: Clock,
        region: str,
        account_id: str,
    ) -> None:
        self._path = path
        self._registry = registry
        self._layers = layers
        self._mappings = mappings
        self._deploy_urls = partial(deploy_urls, urls=urls, policies=policies, base_url=base_url)
        self._supports = supports
        self._checked = checked
        self._clock = clock
        self._region = region
        self._account_id = account_id
        self._wanted: Sequence[WantedMapping] = ()
        self._functions: Sequence[DeployedFunction] = ()
        self._deployed_layers: Sequence[DeployedLayer] = ()
        self._deployed: Sequence[DeployedMapping] = ()
        self._deployed_urls: Sequence[DeployedUrl] = ()

    def deploy_functions(self) -> None:
        """
        Raises:
            ConfigurationError: one line about what is wrong with the template. Nothing has been deployed then.
        """
        if self._path is None:
            return
        self._wanted = read_mappings(
            self._path,
            checked=partial(self._checked, "CreateEventSourceMapping"),
            region=self._region,
            account_id=self._account_id,
            now=self._clock.now(),
        )
        layers = read_layers(
            self._path,
            checked=partial(self._checked, "PublishLayerVersion"),
            region=self._region,
            account_id=self._account_id,
        )
        urls: Sequence[WantedUrl] = read_urls(
            self._path,
            checked=partial(self._checked, "CreateFunctionUrlConfig"),
            region=self._region,
            account_id=self._account_id,
        )
        self._functions = deploy_template(
            self._path,
            registry=self._registry,
            supports=self._supports,
            clock=self._clock,
            region=self._region,
            account_id=self._account_id,
            publish_layers=partial(self._publish, layers),
        )
        self._deployed_urls = self._deploy_urls(urls)

    def deploy_mappings(self) -> None:
        self._deployed = deploy_mappings(
            self._wanted,
            control=self._mappings,
            region=self._region,
            account_id=self._account_id,
            now=self._clock.now(),
        )

    def lines(self) -> Sequence[str]:
        """What became of each layer, function, URL and mapping, for a person."""
        deployed = (*self._deployed_layers, *self._functions, *self._deployed_urls, *self._deployed)
        return [str(one) for one in deployed]

    def ready_function(self) -> str | None:
        """The name of one that can be invoked."""
        return next((one.name for one in self._functions if one.is_ready), None)

    def _publish(self, wanted: Sequence[WantedLayer]) -> Mapping[str, str]:
        """The ARNs of the template's layers, by their placeholders."""
        self._deployed_layers = publish_layers(
            wanted, control=self._layers, region=self._region, account_id=self._account_id
        )
        return {layer.placeholder: layer.arn for layer in self._deployed_layers if layer.arn is not None}
