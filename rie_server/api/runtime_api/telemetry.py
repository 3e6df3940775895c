"""``PUT /2022-07-01/telemetry`` and ``PUT /2020-08-15/logs``: an extension subscribes to what happens around it.

Never blocks. Thread-safe.
"""

import json

from rie_server.api.exchange import JSON, Reply, Request
from rie_server.api.runtime_api.identity import EnvironmentIdentities
from rie_server.errors import RuntimeApiError
from rie_server.model.telemetry_subscription import Subscribable, read_subscription, subscription_closed
from rie_server.observing import ExtensionDirectory, TelemetrySubscriptions

PATHS = {"/2022-07-01/telemetry": Subscribable.TELEMETRY, "/2020-08-15/logs": Subscribable.LOGS}

_METHODS = ("PUT", "POST")
_JSON_CONTENT = ("Content-Type", JSON)
_SUBSCRIBED = Reply(200, (_JSON_CONTENT,), b'"OK"')
_ALREADY_SUBSCRIBED = Reply(200, (_JSON_CONTENT,), b'"AlreadySubscribed"')


class TelemetryApi:
    """
    Args:
        extensions: tells who calls.
    """

    def __init__(
        self,
        *,
        identities: EnvironmentIdentities,
        extensions: ExtensionDirectory,
        subscriptions: TelemetrySubscriptions,
    ) -> None:
        self._identities = identities
        self._extensions = extensions
        self._subscriptions = subscriptions

    @staticmethod
    def answers(method: str, path: str) -> bool:
        """Whether a request is for one of the two paths."""
        return method in _METHODS and path.removesuffix("/") in PATHS

    def __call__(self, request: Request) -> Reply:
        api = PATHS[request.path.removesuffix("/")]
        try:
            return self._subscribe(api, request)
        except RuntimeApiError as error:
            body = {"errorMessage": error.message, "errorType": error.error_type}
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
            return Reply(error.status, (_JSON_CONTENT,), text)

    def _subscribe(self, api: Subscribable, request: Request) -> Reply:
        environment_id = self._identities.environment_of(request)
        if environment_id is None:
            raise RuntimeApiError(403, "UnknownEnvironment", "No execution environment calls from this address")
        identifier = request.headers.get("lambda-extension-identifier")
        name = self._extensions.subscriber(environment_id, identifier)
        if name is None:
            raise subscription_closed(api)
        subscription = read_subscription(api, request.body)
        is_new = self._subscriptions.subscribe(environment_id, name, subscription)
        return _SUBSCRIBED if is_new else _ALREADY_SUBSCRIBED
