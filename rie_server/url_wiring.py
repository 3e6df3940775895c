"""Puts together who may call what, and the front of function URLs; a page of the composition root."""

from typing import NamedTuple

from rie_server.api.authentication import Authentication
from rie_server.api.function_url.front import FunctionUrlFront
from rie_server.api.function_url.permission import Permission
from rie_server.api.lambda_api.authorization import Authorization
from rie_server.config import Settings
from rie_server.model.caller import access_keys
from rie_server.ports import Clock, Invoker
from rie_server.registry.functions import FunctionRegistry


class UrlDoors(NamedTuple):
    """``authorization`` is None where everybody may call the Lambda API."""

    function_urls: FunctionUrlFront
    authorization: Authorization | None


def make_url_doors(settings: Settings, *, registry: FunctionRegistry, invoker: Invoker, clock: Clock) -> UrlDoors:
    keys = access_keys(settings.access_keys, settings.account_id)
    authentication = Authentication(access_keys=keys, clock=clock)
    enforced = settings.auth == "iam"
    policy = registry.policies.find
    return UrlDoors(
        function_urls=FunctionUrlFront(
            find=registry.urls.find,
            permission=Permission(authentication=authentication, policy=policy, enforced=enforced),
            invoker=invoker,
            clock=clock,
        ),
        authorization=(
            Authorization(authentication=authentication, policy=policy, account_id=settings.account_id)
            if enforced
            else None
        ),
    )
