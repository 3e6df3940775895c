"""The Lambda API as one function from request to reply.

Finds the operation in AWS's service model, reads and validates its input, calls the function that implements it, and
writes its output; whatever is raised on the way becomes AWS's error. Thread-safe. May block: only what ``mount_hot``
has brought in is safe to call where nothing may wait.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from rie_server.api.exchange import Deferred, HotOperation, HotRoute, Reply, Request
from rie_server.api.lambda_api import (
    account,
    aliases,
    capacity_providers,
    code_download,
    code_signing,
    concurrency,
    durable_callbacks,
    durable_executions,
    durable_running,
    event_invoke_config,
    event_source_mapping,
    function_urls,
    functions,
    layers,
    policy,
    provisioned_concurrency,
    recursion,
    runtime_management,
    tags,
    versions,
)
from rie_server.api.lambda_api.authorization import Authorization
from rie_server.api.lambda_api.reading import read_input, read_value
from rie_server.api.lambda_api.rendering import error_reply, request_scope
from rie_server.api.lambda_api.routes import Routes, sibling_service
from rie_server.api.lambda_api.scope import Operation, Scope
from rie_server.api.lambda_api.serialization import write_output
from rie_server.api.lambda_api.service_model import Operation as ModelOperation
from rie_server.api.lambda_api.service_model import load_service_model
from rie_server.api.lambda_api.validation import check_input
from rie_server.config import Settings
from rie_server.durable.executions import DurableExecutions
from rie_server.errors import (
    LambdaError,
    NotImplementedException,
    RequestEntityTooLargeException,
    ServiceException,
    UnknownOperationException,
)
from rie_server.limits import CREATE_REQUEST_BYTES
from rie_server.model.request_id import new_request_id
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.registry.functions import FunctionRegistry

_log = logging.getLogger(__name__)

# The server's own paths, elsewhere; None where it has nothing at a path.
OwnPaths = Callable[[Request], Reply | Deferred | None]

_OPERATIONS: Mapping[str, Operation] = {
    **functions.OPERATIONS,
    **versions.OPERATIONS,
    **layers.OPERATIONS,
    **code_signing.OPERATIONS,
    **capacity_providers.OPERATIONS,
    **runtime_management.OPERATIONS,
    **aliases.OPERATIONS,
    **policy.OPERATIONS,
    **function_urls.OPERATIONS,
    **concurrency.OPERATIONS,
    **provisioned_concurrency.OPERATIONS,
    **event_invoke_config.OPERATIONS,
    **event_source_mapping.OPERATIONS,
    **recursion.OPERATIONS,
    **tags.OPERATIONS,
    **account.OPERATIONS,
    **durable_executions.OPERATIONS,
    **durable_running.OPERATIONS,
    **durable_callbacks.OPERATIONS,
}
# The operations whose bodies carry code.
_WITH_CODE = frozenset({"CreateFunction", "UpdateFunctionCode"})

# What a durable function may do its checkpoint token says, which nobody else has; the credentials of its role are not
# known here unless an STS gave them.
_BY_TOKEN = frozenset({"CheckpointDurableExecution", "GetDurableExecutionState"})


class LambdaApi:
    """Every path of the Lambda API's listener.

    Args:
        own_paths: asked for what AWS's service model does not know.
        authorization: looks at every request for an operation of AWS's; None lets everybody in.
    """

    def __init__(
        self,
        *,
        registry: FunctionRegistry,
        mappings: EventSourceMappings,
        durable: DurableExecutions,
        settings: Settings,
        own_paths: OwnPaths = lambda _: None,
        authorization: Authorization | None = None,
    ) -> None:
        self._registry = registry
        self._mappings = mappings
        self._durable = durable
        self._own_paths = own_paths
        self._authorization = authorization
        self._settings = settings
        self._model = load_service_model()
        self._routes = Routes(self._model.operations.values())
        self._hot: dict[str, HotOperation] = {}

    def mount_hot(self, route: HotRoute) -> None:
        """Lets this door reach a hot operation too."""
        found = self._routes.find(route.method, f"{route.prefix}name{route.suffix}", "")
        if found is None:
            raise ValueError(f"no operation of the Lambda API is {route.method} {route.prefix}...{route.suffix}")
        self._hot[found[0].name] = route.operation

    def offered(self) -> Mapping[str, str | None]:
        """Every operation of AWS's service model, and the module that carries it out; None where it is not offered."""
        carried_out = {name: operation.__module__ for name, operation in _OPERATIONS.items()}
        hot = {name: type(operation).__module__ for name, operation in self._hot.items()}
        return {name: {**carried_out, **hot}.get(name) for name in self._model.operations}

    def guarded(self, route: HotRoute) -> HotRoute:
        """``route`` as it may be reached past this API: behind the authorization, if there is one."""
        if self._authorization is None:
            return route

        def operation(request: Request) -> Reply | Deferred:
            try:
                found = self._routes.find(request.method, request.path, request.query)
                if found is None:
                    raise _unknown(request)
                self._authorize(request, *found)
            except LambdaError as error:
                return error_reply(error, new_request_id())
            return route.operation(request)

        return replace(route, operation=operation)

    def validate_invoke(self, request: Request) -> None:
        """Checks the path, query and headers of an Invoke request.

        Raises:
            LambdaError: what AWS says about it.
        """
        found = self._routes.find(request.method, request.path, request.query)
        if found is None:
            raise _unknown(request)
        operation, parameters = found
        check_input(self._model, operation, read_input(self._model, operation, parameters, request))

    def checked_members(self, operation: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The members of an operation's input out of what JSON, or a template, has for them.

        Raises:
            LambdaError: what AWS says about it.
        """
        found = self._model.operations[operation]
        shape = self._model.shape(found.input_shape or "")
        members = dict(read_value(self._model, shape, document))
        # What a request carries in its path or its query.
        for member in shape.members.values():
            if member.location is not None and member.name in document:
                members[member.name] = read_value(self._model, self._model.shape(member.shape), document[member.name])
        check_input(self._model, found, members)
        return members

    def __call__(self, request: Request) -> Reply | Deferred:
        request_id = new_request_id()
        try:
            return self._answer(request, request_id)
        except LambdaError as error:
            return error_reply(error, request_id)
        except Exception:
            _log.exception("%s %s failed, request id %s", request.method, request.path, request_id)
            return error_reply(ServiceException("An internal error occurred."), request_id)

    def _answer(self, request: Request, request_id: str) -> Reply | Deferred:
        found = self._routes.find(request.method, request.path, request.query)
        if found is None:
            return self._answer_own_paths(request, request_id)
        operation, parameters = found
        self._authorize(request, operation, parameters)
        hot = self._hot.get(operation.name)
        if hot is not None:
            return hot(request)
        carry_out = _OPERATIONS.get(operation.name)
        if carry_out is None:
            raise NotImplementedException(f"{operation.name} is not implemented by this server.")
        if operation.name in _WITH_CODE and len(request.body) > CREATE_REQUEST_BYTES:
            raise RequestEntityTooLargeException(
                f"Request must be smaller than {CREATE_REQUEST_BYTES} bytes for the {operation.name} operation"
            )
        members = read_input(self._model, operation, parameters, request)
        check_input(self._model, operation, members)
        # Whose function is named elsewhere than in the path, the operation itself has to ask.
        is_authorized = self._authorization is not None and "FunctionName" in parameters
        scope = self._scope(request, operation.name, request_id, is_authorized=is_authorized)
        output = carry_out(scope, members)
        return write_output(self._model, operation, output, request_id)

    def _authorize(self, request: Request, operation: ModelOperation, parameters: Mapping[str, str]) -> None:
        if self._authorization is None or operation.name in _BY_TOKEN:
            return
        qualifier = parse_qs(request.query).get("Qualifier", [None])[0]
        self._authorization.check(request, operation.name, parameters.get("FunctionName"), qualifier)

    def _answer_own_paths(self, request: Request, request_id: str) -> Reply | Deferred:
        if request.method == "GET" and request.path.startswith(code_download.PREFIX):
            return code_download.download(self._registry, request.path, request_id)
        reply = self._own_paths(request)
        if reply is None:
            raise _unknown(request)
        return reply

    def _scope(self, request: Request, operation: str, request_id: str, *, is_authorized: bool) -> Scope:
        region, account_id = request_scope(request, self._settings)
        host = request.headers.get("host") or f"{self._settings.host}:{self._settings.port}"
        return Scope(
            registry=self._registry,
            mappings=self._mappings,
            durable=self._durable,
            region=region,
            account=account_id,
            operation=operation,
            is_authorized=is_authorized,
            request_id=request_id,
            base_url=f"http://{host}",
        )


def _unknown(request: Request) -> LambdaError:
    sibling = sibling_service(request.path)
    if sibling is not None:
        return NotImplementedException(
            f"{request.method} {request.path} belongs to {sibling}, which is not implemented by this server."
        )
    return UnknownOperationException(f"No operation of the Lambda API is {request.method} {request.path}.")
