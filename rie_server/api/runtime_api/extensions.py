"""The Extensions API, 2020-01-01, as functions from Request to Reply or Deferred.

Never blocks. Thread-safe. It is served beside the Runtime API, on the same listeners.
"""

import json
from collections.abc import Callable
from uuid import uuid4

from rie_server.api.exchange import JSON, Connection, ConstantReply, Deferred, HotRoute, Reply, Request
from rie_server.api.refusals import refusal
from rie_server.api.runtime_api.identity import EnvironmentIdentities
from rie_server.errors import RuntimeApiError
from rie_server.invoke.extensions import Extensions

PREFIX = "/2020-01-01/extension/"
_JSON_CONTENT = ("Content-Type", JSON)
_ACCEPTED = ConstantReply(202, (_JSON_CONTENT,), b'{"status":"OK"}\n')
_IDENTIFIER = "lambda-extension-identifier"
_ERROR_TYPE = "lambda-extension-function-error-type"


class EventPoll:
    """A parked ``event/next``."""

    __slots__ = ("deferred",)

    def __init__(self, connection: Connection) -> None:
        self.deferred = Deferred(connection)

    def is_connected(self) -> bool:
        return self.deferred.is_connected()

    def deliver(self, event: bytes) -> None:
        headers = (_JSON_CONTENT, ("Lambda-Extension-Event-Identifier", str(uuid4())))
        self.deferred.complete(Reply(200, headers, event))


class ExtensionsApi:
    """
    Attributes:
        hot_routes: where its operations are mounted; an extension's ``event/next`` is on the road of every invocation.
    """

    def __init__(self, *, extensions: Extensions, identities: EnvironmentIdentities) -> None:
        self._extensions = extensions
        self._identities = identities
        self.hot_routes = (
            self._route("GET", "event/next", self._next),
            self._route("POST", "register", self._register),
            self._route("POST", "init/error", self._init_error),
            self._route("POST", "exit/error", self._exit_error),
        )

    def _route(self, method: str, path: str, operation: Callable[[str, Request], Reply | Deferred]) -> HotRoute:
        def answer(request: Request) -> Reply | Deferred:
            environment_id = self._identities.environment_of(request)
            if environment_id is None:
                return refusal("runtime", 403, "UnknownEnvironment", "No execution environment calls from this address")
            try:
                return operation(environment_id, request)
            except RuntimeApiError as error:
                return refusal("runtime", error.status, error.error_type, error.message)

        return HotRoute(listener="runtime", method=method, prefix=f"{PREFIX}{path}", suffix="", operation=answer)

    def _register(self, environment_id: str, request: Request) -> Reply:
        headers = request.headers
        name = headers.get("lambda-extension-name", "")
        identifier, function = self._extensions.register(environment_id, name, request.body)
        answer = {
            "functionName": function.arn.name,
            "functionVersion": function.version,
            "handler": function.handler or " ".join(function.image_config.command or ()),
        }
        features = headers.get("lambda-extension-accept-feature", "").split(",")
        if "accountId" in [feature.strip() for feature in features]:
            answer["accountId"] = function.arn.account
        body = json.dumps(answer, separators=(",", ":")).encode()
        return Reply(200, (_JSON_CONTENT, ("Lambda-Extension-Identifier", identifier)), body)

    def _next(self, environment_id: str, request: Request) -> Deferred:
        poll = EventPoll(request.connection)
        self._extensions.next(environment_id, request.headers.get(_IDENTIFIER), poll)
        return poll.deferred

    def _init_error(self, environment_id: str, request: Request) -> Reply:
        headers = request.headers
        self._extensions.init_error(environment_id, headers.get(_IDENTIFIER), headers.get(_ERROR_TYPE))
        return _ACCEPTED

    def _exit_error(self, environment_id: str, request: Request) -> Reply:
        headers = request.headers
        self._extensions.exit_error(environment_id, headers.get(_IDENTIFIER), headers.get(_ERROR_TYPE))
        return _ACCEPTED
