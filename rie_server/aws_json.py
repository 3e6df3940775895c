"""Calls of AWS's JSON protocol for what every message goes through: with botocore's endpoint, credentials, signature
and HTTP session, without its checks of parameters and its walk through the shapes of answers, which take twice the
time of the call itself.

AWS: Smithy, "AWS JSON 1.0 protocol" and "AWS JSON 1.1 protocol". Loaded with the first client: imports botocore.
"""

import json
import socket
from collections.abc import Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

_ERROR_STATUS = 300
# Set by services that once spoke the query protocol: the code that their users know, and whose fault it was.
_QUERY_ERROR = "x-amzn-query-error"


class JsonCalls:
    """Calls one service's operations. Thread-safe: connections are shared."""

    def __init__(self, client: Any, credentials: Credentials | None, *, verify: bool | str, connections: int) -> None:
        """
        Args:
            client: botocore's, of a service that speaks JSON; it tells endpoint, region and timeouts.
            credentials: may be such that renew themselves; None where there are none, which each call then says.
            verify: a path of CA certificates, or True for those of the system.
            connections: that are kept for the next calls.
        """
        model, config = client.meta.service_model, client.meta.config
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        self._signing = model.signing_name, client.meta.region_name
        self._credentials = credentials
        self._prefix = f"{model.metadata['targetPrefix']}."
        self._headers = {
            "Content-Type": f"application/x-amz-json-{model.metadata['jsonVersion']}",
            "User-Agent": "rie-server",
        }
        self._session = URLLib3Session(
            verify=verify,
            proxies=get_environ_proxies(self._url),
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=connections,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def call(self, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        """The members of the answer as they came: blobs are base64 text, timestamps numbers.

        Raises:
            ClientError: the service refused.
            BotoCoreError: it could not be reached.
            ValueError: the answer is no JSON.
        """
        if self._credentials is None:
            raise NoCredentialsError
        body = json.dumps(members, separators=(",", ":")).encode()
        headers = {**self._headers, "X-Amz-Target": self._prefix + operation}
        request = AWSRequest("POST", self._url, headers, body)
        SigV4Auth(self._credentials.get_frozen_credentials(), *self._signing).add_auth(request)
        response: AWSResponse = self._session.send(request.prepare())
        if response.status_code >= _ERROR_STATUS:
            raise _refusal(operation, response)
        answer: dict[str, Any] = json.loads(response.content or b"{}")
        return answer

    def close(self) -> None:
        self._session.close()


def _refusal(operation: str, response: AWSResponse) -> ClientError:
    try:
        said = json.loads(response.content)
    except ValueError:
        said = None
    error = said if isinstance(said, dict) else {}
    code, _, _ = response.headers.get(_QUERY_ERROR, "").partition(";")
    code = code or str(error.get("__type", response.status_code)).rpartition("#")[2]
    message = error.get("message") or error.get("Message") or ""
    parsed = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": response.status_code}}
    return ClientError(parsed, operation)
