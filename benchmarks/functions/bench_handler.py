"""The functions that every contender runs: each does as little as it can, so that what is measured is the road to it.

Runs under awslambdaric; standard library only.
"""

import time
from pathlib import Path
from typing import Any

HELD_SECONDS_AT_MOST = 50.0


def hello(_event: Any, _context: Any) -> Any:
    return {"message": "hello"}


def echo(event: Any, _context: Any) -> Any:
    return event


def hold(event: Any, context: Any) -> Any:
    """Occupies its environment until as many invocations as ``together`` are here, so that as many environments exist.

    ``event``: ``arrivals``, a folder in which each leaves a mark, and ``together``.
    """
    arrivals = Path(event["arrivals"])
    (arrivals / context.aws_request_id).touch()
    deadline = time.monotonic() + HELD_SECONDS_AT_MOST
    while (here := sum(1 for _ in arrivals.iterdir())) < event["together"]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{here} of {event['together']} came")
        time.sleep(0.2)
    return {"message": "hello"}


def gated(event: Any, context: Any) -> Any:
    """Holds its environment until a gate opens; an event that names none passes at once.

    ``event``: ``gate``, a folder in which each that waits leaves a mark, and in which ``open`` will be.
    """
    if "gate" in event:
        gate = Path(event["gate"])
        (gate / context.aws_request_id).touch()
        deadline = time.monotonic() + HELD_SECONDS_AT_MOST
        while not (gate / "open").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("the gate stayed shut")
            time.sleep(0.005)
    return {"message": "hello"}
