"""What invocations run now, by the ARN they name.

``find`` is on the road of every invocation: one lookup, no lock, any thread. An alias that means one version is found
there, too; only where two versions share an alias is there a second lookup, and a draw. Changes come from the
registry's writer thread, which also tells the listeners.
"""

import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rie_server.model.alias import Alias
from rie_server.model.alias_routing import WeightedRoute, routed
from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function import FunctionVersion

_log = logging.getLogger(__name__)

# Told which function changed (qualified: one of its versions), and the deployment that serves it from now on, or None.
Listener = Callable[[FunctionArn, str | None], None]


@dataclass(slots=True)
class _Function:
    """What is known of one function: its runnable versions, and the aliases that have been made to lead there."""

    versions: dict[str, FunctionVersion] = field(default_factory=dict)
    aliases: tuple[Alias, ...] = ()
    linked: set[str] = field(default_factory=set)


class ServingVersions:
    """The runnable versions of each function.

    Args:
        draw: a number from 0.0 to 1.0 (exclusive) for each invocation of an alias with weights.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._versions: dict[FunctionArn, FunctionVersion] = {}
        self._routes: dict[FunctionArn, WeightedRoute[FunctionArn]] = {}
        self._functions: dict[FunctionArn, _Function] = {}
        self._listeners: list[Listener] = []
        self.find = self._versions.get

    def choose(self, function: FunctionArn) -> tuple[FunctionArn, FunctionVersion | None]:
        """For what ``find`` does not find: which version an alias with weights means now, and what runs for it."""
        route = self._routes.get(function)
        if route is None:
            return function, self._versions.get(function)  # the alias may just have lost its weights
        chosen = routed(route, self._draw())
        return chosen, self._versions.get(chosen)

    def on_change(self, callback: Listener) -> None:
        self._listeners.append(callback)

    def publish(self, arn: FunctionArn, version: FunctionVersion) -> None:
        """``version`` of the function ``arn`` runs from now on."""
        function = self._functions.setdefault(arn, _Function())
        function.versions[version.version] = version
        self._versions[arn.qualified(version.version)] = version
        if version.version == LATEST:
            self._versions[arn] = version
            self._tell(arn, version.deployment_id)
        self._link(arn, function)

    def withdraw(self, arn: FunctionArn, version: str = LATEST) -> None:
        """A version of the function ``arn`` does not run any more."""
        function = self._functions.setdefault(arn, _Function())
        function.versions.pop(version, None)
        self._link(arn, function)
        self._drop(arn, version)

    def forget(self, arn: FunctionArn) -> None:
        """The function is gone, with every version and alias."""
        self.route(arn, ())
        for version in {LATEST, *self._functions.pop(arn).versions}:
            self._drop(arn, version)

    def route(self, arn: FunctionArn, aliases: Iterable[Alias]) -> None:
        """These are the function's aliases from now on."""
        function = self._functions.setdefault(arn, _Function())
        function.aliases = tuple(aliases)
        self._link(arn, function)

    def _link(self, arn: FunctionArn, function: _Function) -> None:
        """Makes aliases lead to versions. An alias that changes its kind is there in the new one before it goes in the
        old one, so that an invocation meanwhile finds it.
        """
        for alias in function.aliases:
            key = arn.qualified(alias.name)
            serving = function.versions.get(alias.version)
            if alias.additional_weights:
                ((additional, weight),) = alias.additional_weights.items()
                self._routes[key] = WeightedRoute(
                    primary=arn.qualified(alias.version), additional=arn.qualified(additional), weight=weight
                )
                self._versions.pop(key, None)
            elif serving is None:
                self._versions.pop(key, None)
                self._routes.pop(key, None)
            else:
                self._versions[key] = serving
                self._routes.pop(key, None)
        names = {alias.name for alias in function.aliases}
        for gone in function.linked - names:
            self._versions.pop(arn.qualified(gone), None)
            self._routes.pop(arn.qualified(gone), None)
        function.linked = names

    def _drop(self, arn: FunctionArn, version: str) -> None:
        self._versions.pop(arn.qualified(version), None)
        if version == LATEST:
            self._versions.pop(arn, None)
        self._tell(arn if version == LATEST else arn.qualified(version), None)

    def _tell(self, arn: FunctionArn, deployment_id: str | None) -> None:
        for listener in self._listeners:
            try:
                listener(arn, deployment_id)
            except Exception:
                _log.exception("a listener failed on a change of %s", arn)
