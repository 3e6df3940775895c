"""How fast a streamed response may be: AWS lets its first 6 MB through at once, and 2 MB a second after that.

Pure.
"""

from typing import Final

from rie_server.limits import STREAM_BURST_BYTES

# Shorter waits are not worth a timer.
SHORTEST_WAIT_SECONDS: Final = 0.005


def wait_seconds(sent_bytes: int, *, elapsed_seconds: float, bytes_per_second: int) -> float:
    """How long to wait before more is sent; 0 for not at all.

    Args:
        elapsed_seconds: since the response began.
        bytes_per_second: 0 for no limit.
    """
    if bytes_per_second == 0 or sent_bytes <= STREAM_BURST_BYTES:
        return 0.0
    wait = (sent_bytes - STREAM_BURST_BYTES) / bytes_per_second - elapsed_seconds
    return wait if wait >= SHORTEST_WAIT_SECONDS else 0.0
