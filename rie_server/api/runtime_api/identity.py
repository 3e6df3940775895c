"""Which environment is calling? The single place that knows.

Runtime API paths do not say it, so the address does: a process has a loopback address of its own, with a listening
socket that lives as long as the environment; a container calls by an unguessable host name of its own, from the one
source address that was registered for it. Thread-safe; lookups take no lock.
"""

import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rie_server.api.exchange import Request

# Starts to serve the Runtime API on a listening socket; returns what closes it.
Listen = Callable[[socket.socket], Callable[[], None]]

LOOPBACK = "127.0.0.1"
_BACKLOG = 16
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Host:
    """A container's name and, once it is known, the only address that may use it."""

    environment_id: str
    source_address: str | None


class EnvironmentIdentities:
    """Fills the port ``RuntimeEndpoints``.

    Args:
        listen: serves the Runtime API on a socket.
        runtime_port: port of the listener that containers reach.
    """

    def __init__(self, *, listen: Listen, runtime_port: int) -> None:
        self._listen = listen
        self._runtime_port = runtime_port
        self._lock = threading.Lock()
        self._by_address: dict[tuple[str, int], str] = {}
        self._by_host: dict[str, Host] = {}
        self._closers: dict[str, Callable[[], None]] = {}
        self._ip_addresses: dict[str, tuple[str, ...]] = {}

    def open_address(self, environment_id: str) -> str:
        listener = _loopback_listener()
        address: tuple[str, int] = listener.getsockname()
        self._by_address[address] = environment_id
        closer = self._listen(listener)

        def close() -> None:
            self._by_address.pop(address, None)
            closer()

        with self._lock:
            self._closers[environment_id] = close
            self._ip_addresses[environment_id] = (address[0], LOOPBACK)
        return f"{address[0]}:{address[1]}"

    def register_host(self, environment_id: str, host_name: str, source_address: str | None) -> str:
        self._by_host[host_name] = Host(environment_id, source_address)

        def close() -> None:
            self._by_host.pop(host_name, None)

        with self._lock:
            self._closers[environment_id] = close
            if source_address is not None:
                self._ip_addresses[environment_id] = (source_address,)
        return f"{host_name}:{self._runtime_port}"

    def close(self, environment_id: str) -> None:
        with self._lock:
            closer = self._closers.pop(environment_id, None)
            self._ip_addresses.pop(environment_id, None)
        if closer is not None:
            closer()

    def addresses_of(self, environment_id: str) -> Sequence[str]:
        """Where what listens inside an environment can be reached, in the order in which to try: a container's IP
        address; a process's own loopback address and 127.0.0.1. Empty when the environment has ended.
        """
        return self._ip_addresses.get(environment_id, ())

    def environment_of(self, request: Request) -> str | None:
        """The caller's environment id; None for a stranger."""
        connection = request.connection
        environment_id = self._by_address.get(connection.local_address)
        if environment_id is not None:
            return environment_id
        host = self._by_host.get(request.headers.get("host", "").rpartition(":")[0])
        if host is None or host.source_address not in (None, connection.peer_address):
            return None
        return host.environment_id


def _loopback_listener() -> socket.socket:
    """A listening socket on a random loopback address; on 127.0.0.1 where the system has no other."""
    for attempt in range(_ATTEMPTS):
        address = str(ipaddress.IPv4Address(0x7F000000 | int.from_bytes(os.urandom(3)) or 1))
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind((LOOPBACK if attempt == _ATTEMPTS - 1 else address, 0))
            listener.listen(_BACKLOG)
        except OSError as trouble:
            listener.close()
            if trouble.errno not in (errno.EADDRNOTAVAIL, errno.EADDRINUSE):
                raise
        else:
            listener.setblocking(False)
            return listener
    raise OSError(errno.EADDRNOTAVAIL, "no loopback address is free")
