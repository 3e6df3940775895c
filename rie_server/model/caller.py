"""Who calls: the principal behind an access key. Pure data."""

from collections.abc import Iterable
from dataclasses import dataclass

# What the documentation of most local AWS servers tells people to configure.
DEFAULT_KEYS = (("test", "test", ""),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """
    Attributes:
        account: whose principal it is; of a service, the account in which it acts, which decides nothing.
        arn: as policies and ``requestContext.authorizer`` name it; of a service, its name.
        service: for example ``s3.amazonaws.com``, or None.
    """

    access_key: str
    account: str
    arn: str
    service: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """
    Attributes:
        token: the session token that must come with it, or None.
        expires_at: seconds since the epoch, of a session; None for a key that stays.
    """

    secret: str
    caller: Caller
    token: str | None = None
    expires_at: float | None = None


def access_keys(entries: Iterable[tuple[str, str, str]], account: str) -> dict[str, AccessKey]:
    """Keys by id.

    Args:
        entries: id, secret, and principal: an account, a service, or nothing; without any there is ``test``.
        account: of a key that names none.
    """
    found = {}
    for key, secret, principal in tuple(entries) or DEFAULT_KEYS:
        if principal and not principal.isdecimal():
            caller = Caller(access_key=key, account=account, arn=principal, service=principal)
        else:
            owner = principal or account
            caller = Caller(access_key=key, account=owner, arn=f"arn:aws:iam::{owner}:user/{key}")
        found[key] = AccessKey(secret=secret, caller=caller)
    return found
