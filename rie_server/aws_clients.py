"""Clients of AWS's services, made by botocore from its own settings: profiles, credentials, ``AWS_ENDPOINT_URL_SQS``.

Thread-safe: clients are kept, one for each service and region, until ``close``. A call ends within the timeouts below,
and nothing is repeated here: who delivers or polls repeats, with a backoff of its own. botocore costs a tenth of a
second to import and is loaded with the first client.

Where an endpoint is set that is not AWS's own, an emulator is taken to be behind it: then credentials are optional, the
credentials of a cloud instance are never asked for (a second of waiting on any other machine), and buckets are named in
the path. AWS itself is only ever spoken to with credentials that the user has configured.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from rie_server.aws_json import JsonCalls

# A name such as localhost may have two addresses, and each gets its time: 2 calls of (2 * 2 + 10) s fit into 30 s.
CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 10
CONNECTIONS = 32

EMULATOR_KEYS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
_AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "api.amazonwebservices.com.cn")
_INSTANCE_PROVIDER = "iam-role"


class ServiceClients:
    def __init__(
        self, *, long_poll_seconds: float = 0.0, connections: int = CONNECTIONS, plain_timestamps: bool = False
    ) -> None:
        """
        Args:
            long_poll_seconds: for how long a call may leave a healthy answer out, because it waits for records.
            connections: of a client, that are kept for its next calls.
            plain_timestamps: timestamps that come as numbers stay numbers, seconds since the epoch: to make a date
                with a time zone of each costs more than the rest of a stream's record.
        """
        self._plain_timestamps = plain_timestamps
        self._long_poll_seconds = long_poll_seconds
        self._connections = connections
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, ...], Any] = {}

    def client(self, service: str, region: str) -> Any:
        return self._kept((service, region), lambda: self._make(service, region)[0])

    def json_calls(self, service: str, region: str) -> "JsonCalls":
        """For the few calls that carry every message; of services that speak AWS's JSON protocol."""
        calls: JsonCalls = self._kept((service, region, "json"), lambda: self._make_json_calls(service, region))
        return calls

    def _kept(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        with self._lock:
            kept = self._clients.get(key)
        if kept is not None:
            return kept
        # Made outside the lock because it reads files; of two that were made at the same time one is thrown away.
        made = make()
        with self._lock:
            kept = self._clients.setdefault(key, made)
        if kept is not made:
            made.close()
        return kept

    def close(self) -> None:
        """Closes every connection. Idempotent; a client that is asked for later is made anew."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _make_json_calls(self, service: str, region: str) -> "JsonCalls":
        from rie_server.aws_json import JsonCalls  # noqa: PLC0415 - see above

        client, session, credentials = self._make(service, region)
        verify = session.get_config_variable("ca_bundle") or True
        try:
            return JsonCalls(client, credentials, verify=verify, connections=self._connections)
        finally:
            client.close()

    def _make(self, service: str, region: str) -> tuple[Any, Any, Any]:
        """A client with the session that it was made from and its credentials."""
        from botocore.config import Config  # noqa: PLC0415 - see above
        from botocore.session import get_session  # noqa: PLC0415

        settings = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS + self._long_poll_seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=self._connections,
            # Emulators of an older date do not know the newer checksums.
            request_checksum_calculation="when_required",
        )
        session = get_session()
        if self._plain_timestamps:
            parsers = session.get_component("response_parser_factory")
            parsers.set_parser_defaults(timestamp_parser=_plain_timestamp)
        client, credentials = _client(session, service, region, settings)
        return client, session, credentials


def _plain_timestamp(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    from botocore.utils import parse_timestamp  # noqa: PLC0415

    return parse_timestamp(value)


def _client(session: Any, service: str, region: str, settings: Any) -> tuple[Any, Any]:
    from botocore.config import Config  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    by_path = settings.merge(Config(s3={"addressing_style": "path"}))
    # With keys of its own, a client tells its endpoint without a search for credentials.
    local = session.create_client(service, region_name=region, config=by_path, **EMULATOR_KEYS)
    if is_aws(local.meta.endpoint_url):
        local.close()
        return session.create_client(service, region_name=region, config=settings), session.get_credentials()
    session.get_component("credential_provider").remove(_INSTANCE_PROVIDER)
    if (credentials := session.get_credentials()) is None:
        return local, Credentials(*EMULATOR_KEYS.values())
    local.close()
    return session.create_client(service, region_name=region, config=by_path), credentials


def is_aws(endpoint_url: str) -> bool:
    """Whether AWS answers there, directly or through a VPC endpoint."""
    host = urlsplit(endpoint_url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in _AWS_DOMAINS)
