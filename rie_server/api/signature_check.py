"""Signature Version 4: what a signature should be.

Pure. The calculation is botocore's own, so that what its clients sign is what is compared. Imported when the first
signature is checked: botocore takes longer to load than this server to start.
"""

import hashlib
import hmac
import re
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from rie_server.api.exchange import Request
from rie_server.api.signature import GivenSignature

_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
# urlsplit drops some of these, and everything after a #: what would be executed and not be signed.
_ALTERS_URLS: Final = re.compile(r"[\x00-\x20#\x7f]")


def is_right(request: Request, given: GivenSignature, secret: str) -> bool:
    """Whether the owner of ``secret`` has signed this very request, body included."""
    hashed = request.headers.get("x-amz-content-sha256")
    if hashed not in (None, _UNSIGNED) and hashed != hashlib.sha256(request.body).hexdigest():
        return False
    if "host" not in given.signed_headers:
        return False
    headers = HTTPHeaders()
    for name in given.signed_headers:
        headers[name] = request.headers.get(name, "")
    query = f"?{given.query}" if given.query else ""
    signed = AWSRequest(
        method=request.method,
        # The host that was signed is among the headers.
        url=_ALTERS_URLS.sub(lambda found: f"%{ord(found[0]):02X}", f"http://localhost/{request.raw_path[1:]}{query}"),
        headers=headers,
        data=request.body,
    )
    signed.context["timestamp"] = given.timestamp
    signer = _Signer(Credentials(given.access_key, secret), given.service, given.region)
    text = signer.string_to_sign(signed, signer.canonical_request(signed))
    return hmac.compare_digest(signer.signature(text, signed).encode(), given.signature.encode("utf-8", "replace"))


class _Signer(SigV4Auth):  # type: ignore[misc]  # botocore carries no types
    """Signs the headers that were signed: botocore's own choice leaves some out."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        return request.headers
