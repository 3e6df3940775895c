"""The connection to a Docker engine: found lazily, kept, and asked once for what does not change.

Thread-safe. The SDK is an optional extra and slow to import, so nothing here imports it before an engine is needed. An
engine that does not answer is asked again after a few seconds: it may be started while the server runs.
"""

import logging
import os
import platform
import threading
from dataclasses import dataclass, replace
from typing import Any

from rie_server.errors import RieError
from rie_server.executors.docker_network import EngineNetwork, bridge_address, own_network
from rie_server.ports import Clock

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_CONNECT_SECONDS = 10
# Pulls and the event stream set their own; no other call of a healthy engine takes longer.
_CALL_SECONDS = 60
_CONNECTIONS = 64


class EngineUnavailableError(RieError):
    """No Docker engine; the text says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine says about itself.

    Attributes:
        source_addresses_real: calls from containers arrive with the container's own address. Not so where the engine
            runs in a virtual machine or a user's network namespace.
    """

    processors: int
    architecture: str
    source_addresses_real: bool
    network: EngineNetwork


class DockerEngine:
    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._client: Any = None
        self._facts: EngineFacts | None = None
        self._refused: EngineUnavailableError | None = None
        self._refused_at = float("-inf")

    def api(self) -> Any:
        """The SDK's low-level client.

        Raises:
            EngineUnavailableError: no SDK, no engine or no permission.
        """
        with self._lock:
            if self._client is not None:
                return self._client.api
            if self._refused is not None and self._clock.monotonic() - self._refused_at < _RETRY_SECONDS:
                raise self._refused
        # Outside the lock: connecting is I/O. Should two threads connect at once, one connection is closed again.
        try:
            client = _connect()
        except EngineUnavailableError as refused:
            with self._lock:
                self._refused, self._refused_at = refused, self._clock.monotonic()
            raise
        with self._lock:
            if self._client is None:
                self._client, client = client, None
            kept = self._client
        if client is not None:
            client.close()
        return kept.api

    def check(self, failure: Exception) -> None:
        """Forgets the connection if ``failure`` says that the engine is gone, so that the next call asks anew."""
        from requests.exceptions import ConnectionError as Lost  # noqa: PLC0415 -- comes with the SDK

        if isinstance(failure, Lost):
            self.close()

    def unavailable(self) -> str | None:
        """None when the engine answers, otherwise the reason."""
        try:
            self.api()
        except EngineUnavailableError as refused:
            return str(refused)
        return None

    def facts(self) -> EngineFacts:
        """Raises: EngineUnavailableError."""
        if self._facts is None:
            api = self.api()
            try:
                self._facts = _facts(api)
            except Exception as refused:
                raise EngineUnavailableError(f"the Docker engine does not answer: {refused}") from refused
        return self._facts

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _connect() -> Any:
    try:
        import docker  # noqa: PLC0415 -- optional, and slow to import
    except ImportError:
        raise EngineUnavailableError("the Docker SDK is not installed (pip install 'rie-server[docker]')") from None
    try:
        client: Any = docker.DockerClient.from_env(version="auto", timeout=_CONNECT_SECONDS, max_pool_size=_CONNECTIONS)
    except Exception as refused:
        raise EngineUnavailableError(f"no Docker engine answers: {_innermost(refused)}") from refused
    if str(client.api.base_url).startswith("https:"):
        client.close()
        raise EngineUnavailableError("a Docker engine behind TLS is not supported: give a unix or tcp address")
    client.api.timeout = _CALL_SECONDS
    return client


def _innermost(error: BaseException) -> str:
    """The system's own words, out of the layers that HTTP libraries wrap around them."""
    while error.__context__ is not None:
        error = error.__context__
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error)


def _facts(api: Any) -> EngineFacts:
    info = api.info()
    options = " ".join(info.get("SecurityOptions") or ())
    elsewhere = "Docker Desktop" in str(info.get("OperatingSystem")) or "rootless" in options
    remote = not str(api.base_url).startswith("http+docker://")
    here = not elsewhere and not remote and platform.system() == "Linux"
    network = own_network(api)
    if network is None:
        network = EngineNetwork(name=None, address=None, container_id=None, mounts=())
    if network.name is None and here:
        network = replace(network, address=bridge_address(api))
    return EngineFacts(
        processors=int(info.get("NCPU") or os.cpu_count() or 1),
        architecture=str(info.get("Architecture")),
        source_addresses_real=here or network.name is not None,
        network=network,
    )
