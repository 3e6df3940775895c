"""The credentials of execution roles, by STS AssumeRole, where an STS endpoint is configured.

Thread-safe. Blocks for as long as STS takes; called where environments are started. Where STS cannot be reached or
refuses, the environment gets the placeholders and the server's log says why: a function that calls no AWS service
needs none.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rie_server.aws_clients import ServiceClients
from rie_server.model.caller import AccessKey, Caller
from rie_server.model.environment_variables import PLACEHOLDER_CREDENTIALS
from rie_server.model.function import FunctionVersion
from rie_server.ports import Clock

# AWS's longest session first; a role that allows no more than an hour gets an hour.
_SESSION_SECONDS = (43200, 3600)
# What is left of a session that a new environment is still given.
_LEAST_LEFT_SECONDS = 900

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    variables: Mapping[str, str]
    expires_at: float


class RoleCredentials:
    """
    Args:
        clients: None where no STS is configured: everybody gets the placeholders.
        account_id: whose the placeholders are; a function of another account gets that account's number for its key,
            so that what it calls here is its own world.
        on_session: told the id and the key of every session, so that its signature is known.
    """

    def __init__(
        self,
        *,
        clients: ServiceClients | None,
        clock: Clock,
        on_session: Callable[[str, AccessKey], None],
        account_id: str,
    ) -> None:
        self._account_id = account_id
        self._clients = clients
        self._clock = clock
        self._on_session = on_session
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], _Session] = {}

    def __call__(self, function: FunctionVersion) -> Mapping[str, str]:
        """``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN`` of the function's role."""
        if self._clients is None:
            return self._placeholders(function)
        key = function.role, function.arn.name
        with self._lock:
            session = self._sessions.get(key)
        if session is not None and session.expires_at - self._clock.now() > _LEAST_LEFT_SECONDS:
            return session.variables
        try:
            session = self._assume(self._clients.client("sts", function.arn.region), function)
        except Exception as failure:
            log.warning(
                "STS gives no credentials for %s, %s has placeholders: %s", function.role, function.arn, failure
            )
            return self._placeholders(function)
        with self._lock:
            now = self._clock.now()
            self._sessions = {known: one for known, one in self._sessions.items() if one.expires_at > now}
            self._sessions[key] = session
        return session.variables

    def close(self) -> None:
        if self._clients is not None:
            self._clients.close()

    def _placeholders(self, function: FunctionVersion) -> Mapping[str, str]:
        if function.arn.account == self._account_id:
            return PLACEHOLDER_CREDENTIALS
        return {**PLACEHOLDER_CREDENTIALS, "AWS_ACCESS_KEY_ID": function.arn.account}

    def _assume(self, sts: Any, function: FunctionVersion) -> _Session:
        answer = _ask(sts, function)
        given = answer["Credentials"]
        arn = answer["AssumedRoleUser"]["Arn"]
        caller = Caller(access_key=given["AccessKeyId"], account=arn.split(":")[4], arn=arn)
        expires_at = given["Expiration"].timestamp()
        key = AccessKey(
            secret=given["SecretAccessKey"], caller=caller, token=given["SessionToken"], expires_at=expires_at
        )
        self._on_session(given["AccessKeyId"], key)
        return _Session(
            variables={
                "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
                "AWS_SESSION_TOKEN": given["SessionToken"],
            },
            expires_at=expires_at,
        )


def _ask(sts: Any, function: FunctionVersion) -> Mapping[str, Any]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - botocore is loaded with the first client

    longest, shorter = _SESSION_SECONDS
    wanted = {"RoleArn": function.role, "RoleSessionName": _session_name(function.arn.name)}
    try:
        return dict(sts.assume_role(DurationSeconds=longest, **wanted))
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "ValidationError":
            raise
        return dict(sts.assume_role(DurationSeconds=shorter, **wanted))


def _session_name(function_name: str) -> str:
    """STS wants two letters at least; a function's name may be one."""
    return function_name.ljust(2, "-")
