"""Signature Version 4: what a request says of its signature.

Pure. Whether the signature is right is for ``signature_check`` to tell.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from rie_server.api.exchange import Request
from rie_server.api.signature_errors import IncompleteSignatureException

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SIGNATURE: Final = "X-Amz-Signature="
_PARTS: Final = ("Credential", "Signature", "SignedHeaders")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSignature:
    """
    Attributes:
        timestamp: ``20261125T120000Z``, as it was signed.
        expires_seconds: how long a presigned URL is good for; None of a signed request.
        query: the query that was signed: without the signature itself.
    """

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    token: str | None
    expires_seconds: int | None
    query: str


def given_signature(request: Request) -> GivenSignature | None:
    """The signature of a request, in its Authorization header or in its query; None where it has none.

    Raises:
        IncompleteSignatureException: a part of it is missing.
    """
    headers = request.headers
    authorization = headers.get("authorization")
    if authorization is not None:
        algorithm, _, rest = authorization.partition(" ")
        parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        timestamp, token, expires = headers.get("x-amz-date"), headers.get("x-amz-security-token"), None
        query = request.query
    elif _SIGNATURE in request.query:
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        algorithm = asked.get("X-Amz-Algorithm", "")
        parts = {part: asked[f"X-Amz-{part}"] for part in _PARTS if f"X-Amz-{part}" in asked}
        timestamp, token, expires = (
            asked.get("X-Amz-Date"),
            asked.get("X-Amz-Security-Token"),
            asked.get("X-Amz-Expires"),
        )
        # Of whole parameters: what ends like one is part of what was signed.
        query = "&".join(pair for pair in request.query.split("&") if not pair.startswith(_SIGNATURE))
    else:
        return None
    _check_parts(algorithm, parts, timestamp)
    key, date, region, service = parts["Credential"].rsplit("/", 4)[:4]
    return GivenSignature(
        access_key=key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(parts["SignedHeaders"].lower().split(";")),
        signature=parts["Signature"],
        timestamp=timestamp or "",
        token=token,
        expires_seconds=int(expires) if expires is not None and re.fullmatch(r"[0-9]{1,9}", expires) else None,
        query=query,
    )


def _check_parts(algorithm: str, parts: Mapping[str, str], timestamp: str | None) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignatureException(f"Unsupported AWS 'algorithm': '{algorithm}'.")
    missing = [f"Authorization header requires '{part}' parameter." for part in _PARTS if not parts.get(part)]
    if timestamp is None:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise IncompleteSignatureException(" ".join(missing))
    if parts["Credential"].count("/") < 4 or not parts["Credential"].endswith("/aws4_request"):
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{parts['Credential']}'"
        )
