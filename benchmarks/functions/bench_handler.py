"""The functions that every contender runs: each does as little as it can, so that what is measured is the road to it.

Runs under awslambdaric; standard library only.
"""

import time
from pathlib import Path
from typing import Any

HELD_SECONDS_AT_MOST = 120.0


def hello(_event: Any, _context: Any) -> Any:
    return {"message": "hello"}


def echo(event: Any, _context: Any) -> Any:
    return event


def hold(event: Any, context: Any) -> Any:
    """Occupies an environment until a file appears, so that a known number of them exist at the same time.

    ``event``: ``arrivals``, a folder in which to leave a mark, and ``release``, the file to wait for.
    """
    Path(event["arrivals"], context.aws_request_id).touch()
    deadline = time.monotonic() + HELD_SECONDS_AT_MOST
    while not Path(event["release"]).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return {"message": "hello"}
