"""Puts together the doors of the Lambda API's listener; a page of the composition root.

Three stand side by side: AWS's operations, function URLs, and the server's own paths; and in front of them, where the
server goes by IAM, who may come in.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rie_server.api.authentication import Authentication
from rie_server.api.exchange import HotRoute
from rie_server.api.function_url.front import FunctionUrlFront
from rie_server.api.function_url.permission import Permission
from rie_server.api.lambda_api.authorization import Authorization
from rie_server.api.lambda_api.invoke import InvokeOperation
from rie_server.api.lambda_api.invoke_async import InvokeAsyncOperation
from rie_server.api.lambda_api.invoke_stream import InvokeStreamOperation
from rie_server.api.lambda_api.router import LambdaApi
from rie_server.api.rie_api.clock import ClockOperations
from rie_server.api.rie_api.events import EventOperations
from rie_server.api.rie_api.mappings import MappingOperations
from rie_server.api.rie_api.paths import Exposition, RieApi
from rie_server.clock.server_time import ServerTime
from rie_server.config import Settings
from rie_server.durable_wiring import DurableParts
from rie_server.pollers.mappings import EventSourceMappings
from rie_server.ports import Clock
from rie_server.registry.functions import FunctionRegistry
from rie_server.streaming import StreamingInvoker
from rie_server.telemetry.event_log import EventLog
from rie_server.telemetry.poll_metrics import PollMetrics


class Doors(NamedTuple):
    """``hot_routes`` are those of the Lambda API."""

    lambda_api: LambdaApi
    hot_routes: Sequence[HotRoute]


def make_doors(
    settings: Settings,
    *,
    registry: FunctionRegistry,
    mappings: EventSourceMappings,
    invoker: StreamingInvoker,
    durable: DurableParts,
    own_paths: RieApi,
    authentication: Authentication,
    clock: Clock,
) -> Doors:
    lambda_api = LambdaApi(
        registry=registry,
        mappings=mappings,
        durable=durable.executions,
        settings=settings,
        own_paths=own_paths,
        authorization=_authorization(settings, registry, authentication),
    )
    invoke = InvokeOperation(
        invoker=invoker,
        catalog=registry,
        events=durable.events,
        settings=settings,
        clock=clock,
        validate=lambda_api.validate_invoke,
        starts=durable.starts,
    )
    invoke_stream = InvokeStreamOperation(
        invoker=invoker,
        catalog=registry,
        settings=settings,
        clock=clock,
        validate=lambda_api.validate_invoke,
    )
    invoke_async = InvokeAsyncOperation(
        catalog=registry,
        events=durable.events,
        settings=settings,
        clock=clock,
        validate=lambda_api.validate_invoke,
    )
    lambda_api.mount_hot(invoke.route)
    lambda_api.mount_hot(invoke_stream.route)
    lambda_api.mount_hot(invoke_async.route)
    return Doors(lambda_api, [lambda_api.guarded(invoke.route), lambda_api.guarded(invoke_stream.route)])


def make_own_paths(
    *,
    time: ServerTime,
    event_log: EventLog,
    mappings: EventSourceMappings,
    polls: PollMetrics,
    function_urls: FunctionUrlFront,
    metrics: Exposition,
    clock: Clock,
) -> RieApi:
    return RieApi(
        clock=ClockOperations(time),
        events=EventOperations(events=event_log, real=clock),
        mappings=MappingOperations(mappings=mappings, describe=mappings.manager.describe, counts=polls.numbers),
        function_urls=function_urls,
        metrics=metrics,
    )


def make_function_urls(
    settings: Settings,
    *,
    registry: FunctionRegistry,
    authentication: Authentication,
    invoker: StreamingInvoker,
    clock: Clock,
) -> FunctionUrlFront:
    permission = Permission(
        authentication=authentication,
        policy=registry.policies.find,
        enforced=settings.auth == "iam",
    )
    return FunctionUrlFront(find=registry.urls.find, permission=permission, invoker=invoker, clock=clock)


def _authorization(
    settings: Settings, registry: FunctionRegistry, authentication: Authentication
) -> Authorization | None:
    if settings.auth != "iam":
        return None
    return Authorization(authentication=authentication, policy=registry.policies.find, settings=settings)
