"""One request to a running server, with nothing but the standard library, so that ``rie invoke`` starts at once.

Proxies of the machine are not asked: the server is next door.
"""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit

from rie_server.config import Settings
from rie_server.errors import RieError
from rie_server.limits import TIMEOUT_SECONDS_MAXIMUM
from rie_server.model.caller import access_keys

ANSWER_SECONDS = TIMEOUT_SECONDS_MAXIMUM + 60
"""A function may take its whole timeout, after a cold start."""


class RequestFailedError(RieError):
    """The server refused the request, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    headers: Message
    body: bytes


def server_url(settings: Settings) -> str:
    """Where the server of these settings is reached from this machine."""
    host = "127.0.0.1" if settings.host in ("", "0.0.0.0") else settings.host  # noqa: S104 - compares, binds nothing
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def signed_headers(
    settings: Settings, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str]
) -> dict[str, str]:
    """``headers`` as a server of these settings wants them: signed with the first key of its own account where it goes
    by IAM, as they are elsewhere.

    Raises:
        RequestFailedError: there is no such key.
    """
    if settings.auth != "iam":
        return dict(headers)
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - botocore takes longer to load than the rest of the command
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    keys = access_keys(settings.access_keys, settings.account_id)
    own = (
        (name, key.secret)
        for name, key in keys.items()
        if key.caller.service is None and key.caller.account == settings.account_id
    )
    name, secret = next(own, (None, None))
    if name is None:
        raise RequestFailedError(f"RIE_ACCESS_KEYS has no key of account {settings.account_id} to sign with.")
    request = AWSRequest(method=method, url=url, data=body, headers={**headers, "Host": urlsplit(url).netloc})
    SigV4Auth(Credentials(name, secret), "lambda", settings.region).add_auth(request)
    return dict(request.headers.items())


def send(method: str, url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """The answer of a successful request.

    Raises:
        RequestFailedError: one line: AWS's code and message, or how to start a server.
    """
    with _opened(method, url, body, headers) as response:
        return Answer(headers=response.headers, body=response.read())


def receive(method: str, url: str, *, body: bytes, headers: dict[str, str]) -> Iterator[bytes]:
    """The body of a successful request's answer, in the pieces in which it comes.

    Raises:
        RequestFailedError: as ``send``.
    """
    with _opened(method, url, body, headers) as response:
        while data := response.read1():
            yield data


@contextmanager
def _opened(
    method: str, url: str, body: bytes | None, headers: dict[str, str] | None
) -> Iterator[http.client.HTTPResponse]:
    if not url.startswith(("http://", "https://")):
        raise RequestFailedError(f"{url} is no http:// or https:// address.")
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as response:
            yield response
    except urllib.error.HTTPError as refused:
        with refused:
            raise RequestFailedError(_refusal(refused.code, refused.headers, refused.read())) from None
    except OSError as unreachable:
        reason = getattr(unreachable, "reason", unreachable)
        raise RequestFailedError(f"No server answers at {request.host} ({reason}); start one: rie serve") from None


def _refusal(status: int, headers: Message, body: bytes) -> str:
    code = headers.get("x-amzn-ErrorType", f"HTTP {status}")
    try:
        document = json.loads(body)
        message = document.get("Message") or document.get("message") or ""
    except (ValueError, AttributeError):
        message = body.decode(errors="replace").strip()
    return f"{code}: {message}" if message else code
