"""How the Lambda API speaks: errors in AWS's shape, and whose region and account a request is about.

Thread-safe. Both functions are on the road of every invocation, so neither parses what it has parsed before.
"""

import json
import re
from functools import lru_cache
from urllib.parse import unquote

from rie_server.api.exchange import JSON, Reply, Request
from rie_server.config import Settings
from rie_server.errors import LambdaError

_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"(?:eusc-)?[a-z]{2}(?:-[a-z]+)+-\d")


def error_reply(error: LambdaError, request_id: str) -> Reply:
    """The reply AWS gives for ``error``."""
    body: dict[str, str] = {}
    if error.fault is not None:
        body["Type"] = error.fault
    body[error.message_key] = error.message
    body.update(error.members)
    headers = (
        ("Content-Type", JSON),
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", error.code),
        *error.headers.items(),
    )
    return Reply(error.status, headers, json_bytes(body))


def json_bytes(document: object) -> bytes:
    """Compact JSON as AWS writes it; lone surrogates, which JSON can carry and UTF-8 cannot, become question marks."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def request_scope(request: Request, settings: Settings) -> tuple[str, str]:
    """The region and the account that a request is about: the worlds that do not see one another.

    The region is that of the SigV4 credential scope, from the Authorization header or a presigned URL; an unsigned
    request, or one signed for no region in particular, is about the configured one. The account is that of the access
    key in ``RIE_ACCESS_KEYS``, of a key of twelve digits that very number, else the configured one. Signatures are not
    checked here: where they are, what they prove goes before what a request says.
    """
    if request.scope is not None:
        return request.scope
    authorization = request.headers.get("authorization")
    region, account = None, None
    if authorization is not None:
        start = authorization.find("Credential=")
        if start >= 0:
            end = authorization.find(",", start)
            credential = authorization[start + 11 : end if end >= 0 else None]
            region, account = _scope_of(credential, settings.access_keys)
    elif "X-Amz-Credential=" in request.query:
        credential = request.query.split("X-Amz-Credential=", 1)[1].split("&", 1)[0]
        region, account = _scope_of(unquote(credential), settings.access_keys)
    return region or settings.region, account or settings.account_id


def signed_scope(key: str, region: str, settings: Settings) -> tuple[str, str]:
    """The region and the account of a credential that is proven."""
    known_region, account = _world(key, region, settings.access_keys)
    return known_region or settings.region, account or settings.account_id


@lru_cache(maxsize=1024)
def _scope_of(credential: str, access_keys: tuple[tuple[str, str, str], ...]) -> tuple[str | None, str | None]:
    """Region and account of ``KEY/DATE/REGION/SERVICE/aws4_request``; a key may contain slashes."""
    parts = credential.strip().split("/")
    return (None, None) if len(parts) < 5 else _world("/".join(parts[:-4]), parts[-3], access_keys)


def _world(key: str, region: str, access_keys: tuple[tuple[str, str, str], ...]) -> tuple[str | None, str | None]:
    account = next((owner for known, _, owner in access_keys if known == key), key)
    return region if _REGION.fullmatch(region) else None, account if _ACCOUNT.fullmatch(account) else None
