"""Listening sockets, or one line that says why not. Imported by the arbiter: the standard library only."""

import os
import socket

from rie_server.errors import RieError

_BACKLOG = 2048


class ListenError(RieError):
    """The server cannot listen where it was told to."""


def bind(host: str, port: int, settings_names: str, *, shared: bool = False) -> socket.socket:
    """A listening, non-blocking socket.

    Args:
        settings_names: what a person would change, for the error.
        shared: a worker that takes over may listen on the same address while this one ends.

    Raises:
        ListenError: the name does not resolve, the port is taken, or the address is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as trouble:
        reason = getattr(trouble, "strerror", None) or str(trouble)
        raise ListenError(f"Cannot listen on {host}:{port}: {reason} ({settings_names}).") from None
    # Where a name has both kinds of address, clients that are told 127.0.0.1 must find us.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as trouble:
        listener.close()
        reason = os.strerror(trouble.errno) if trouble.errno else str(trouble)
        raise ListenError(f"Cannot listen on {host}:{port}: {reason} ({settings_names}).") from None
    listener.setblocking(False)
    return listener
