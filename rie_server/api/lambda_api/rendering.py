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
    """The region and the account that a request is about.

    The region is that of the SigV4 credential scope, from the Authorization header or a presigned URL; an unsigned
    request, or one signed for no region in particular, is about the configured one. Signatures are not checked.
    """
    authorization = request.headers.get("authorization")
    region = None
    if authorization is not None:
        start = authorization.find("Credential=")
        if start >= 0:
            end = authorization.find(",", start)
            region = _region_of(authorization[start + 11 : end if end >= 0 else None])
    elif "X-Amz-Credential=" in request.query:
        credential = request.query.split("X-Amz-Credential=", 1)[1].split("&", 1)[0]
        region = _region_of(unquote(credential))
    return region or settings.region, settings.account_id


@lru_cache(maxsize=1024)
def _region_of(credential: str) -> str | None:
    """The third part from the right of ``KEY/DATE/REGION/SERVICE/aws4_request``; a key may contain slashes."""
    parts = credential.strip().split("/")
    region = parts[-3] if len(parts) >= 5 else None
    return region if region is not None and _REGION.fullmatch(region) else None
