"""The anchor of cold starts: how long a runtime takes from its start to its first ``next``, with no server around it.

A socket stands in for the Runtime API: all it does is note when the request arrives.
"""

import socket
import time
from collections.abc import Callable

from benchmarks.processes import LOOPBACK, ContenderFailed

FIRST_NEXT_SECONDS_AT_MOST = 30.0


def milliseconds_to_first_next(start: Callable[[str, int], None], *, host: str = LOOPBACK) -> float:
    """Calls ``start`` with the host and port of a waiting socket and measures until a ``next`` has arrived there.

    ``start`` must not wait for the runtime. The caller ends what it started.

    Raises:
        ContenderFailed: nothing, or something else, was asked for.
    """
    with socket.create_server((host, 0)) as listener:
        listener.settimeout(FIRST_NEXT_SECONDS_AT_MOST)
        begun = time.perf_counter()
        start(host, listener.getsockname()[1])
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            raise ContenderFailed("the runtime never called next") from None
        with connection:
            connection.settimeout(FIRST_NEXT_SECONDS_AT_MOST)
            request = connection.recv(65_536)
            elapsed = time.perf_counter() - begun
        if b"/runtime/invocation/next" not in request:
            raise ContenderFailed(f"the runtime asked for something else: {request[:300]!r}")
    return elapsed * 1000
