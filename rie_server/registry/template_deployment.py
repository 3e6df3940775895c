"""What a server does with its template at the start: first the functions, then, once mappings are served, the mappings.

Does nothing without a template. Used by one thread.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock
from rie_server.registry.deployed_mappings import (
    Checked,
    DeployedMapping,
    MappingControl,
    WantedMapping,
    deploy_mappings,
    read_mappings,
)
from rie_server.registry.deployment import DeployedFunction, FunctionControl, deploy_template


class TemplateDeployment:
    """
    Args:
        checked: holds members of CreateEventSourceMapping to AWS's service model.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        registry: FunctionControl,
        mappings: MappingControl,
        supports: Callable[[FunctionVersion], str | None],
        checked: Checked,
        clock: Clock,
        region: str,
        account_id: str,
    ) -> None:
        self._path = path
        self._registry = registry
        self._mappings = mappings
        self._supports = supports
        self._checked = checked
        self._clock = clock
        self._region = region
        self._account_id = account_id
        self._wanted: Sequence[WantedMapping] = ()
        self._functions: Sequence[DeployedFunction] = ()
        self._deployed: Sequence[DeployedMapping] = ()

    def deploy_functions(self) -> None:
        """
        Raises:
            ConfigurationError: one line about what is wrong with the template. Nothing has been deployed then.
        """
        if self._path is None:
            return
        self._wanted = read_mappings(
            self._path,
            checked=self._checked,
            region=self._region,
            account_id=self._account_id,
            now=self._clock.now(),
        )
        self._functions = deploy_template(
            self._path,
            registry=self._registry,
            supports=self._supports,
            clock=self._clock,
            region=self._region,
            account_id=self._account_id,
        )

    def deploy_mappings(self) -> None:
        self._deployed = deploy_mappings(
            self._wanted,
            control=self._mappings,
            region=self._region,
            account_id=self._account_id,
            now=self._clock.now(),
        )

    def lines(self) -> Sequence[str]:
        """What became of each function and mapping, for a person."""
        return [*map(str, self._functions), *map(str, self._deployed)]

    def ready_function(self) -> str | None:
        """The name of one that can be invoked."""
        return next((one.name for one in self._functions if one.is_ready), None)
