"""What invocations run now, by the ARN they name.

``find`` is on the road of every invocation: one lookup, no lock, any thread. Changes come from the registry's writer
thread, which also tells the listeners.
"""

import logging
from collections.abc import Callable

from rie_server.model.arn import LATEST, FunctionArn
from rie_server.model.function import FunctionVersion

_log = logging.getLogger(__name__)

# Told which function changed, and the deployment that serves it from now on, or None.
Listener = Callable[[FunctionArn, str | None], None]


class ServingVersions:
    """The runnable version of each function that has one."""

    def __init__(self) -> None:
        self._versions: dict[FunctionArn, FunctionVersion] = {}
        self._listeners: list[Listener] = []
        self.find = self._versions.get

    def on_change(self, callback: Listener) -> None:
        self._listeners.append(callback)

    def publish(self, arn: FunctionArn, version: FunctionVersion) -> None:
        self._versions[arn] = version
        self._versions[arn.qualified(LATEST)] = version
        self._tell(arn, version.deployment_id)

    def withdraw(self, arn: FunctionArn) -> None:
        self._versions.pop(arn, None)
        self._versions.pop(arn.qualified(LATEST), None)
        self._tell(arn, None)

    def _tell(self, arn: FunctionArn, deployment_id: str | None) -> None:
        for listener in self._listeners:
            try:
                listener(arn, deployment_id)
            except Exception:
                _log.exception("a listener failed on a change of %s", arn)
