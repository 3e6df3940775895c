"""A function that writes down what it gets, one line of JSON for each invocation, and what tests read of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.invoke.deploying import create
from tests.written import lines_in

SOURCE = """
    import json, os, random

    def handler(event, context):
        fails = random.random() < float(os.environ.get("FAILS", "0"))
        told = {"event": event, "failed": fails, "request_id": context.aws_request_id}
        line = (json.dumps(told) + "\\n").encode()
        with open(os.environ["TOLD"], "ab", buffering=0) as told:
            told.write(line)
        if fails or os.environ.get("ALWAYS_FAILS"):
            raise ValueError("no")
"""


def create_teller(client: Any, name: str, path: Path, **variables: str) -> None:
    create(client, name, SOURCE, Environment={"Variables": {"TOLD": str(path), **variables}})


def told(path: Path) -> Sequence[Mapping[str, Any]]:
    """Every invocation so far: ``event``, ``failed``, ``request_id``; a line that a crash cut off is left out."""
    return [json.loads(line) for line in lines_in(path) if line.startswith("{") and line.endswith("}")]
