"""Functions that write down what event source mappings hand them, and mappings as their user sees them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import wait_until
from tests.integration.invoke.deploying import create
from tests.written import JsonLines

RECORDER = """
    import json
    import os
    import time

    FOLDER = os.environ["FOLDER"]

    def write(name, value):
        # In one piece, so that lines of several environments do not mix.
        file = os.open(os.path.join(FOLDER, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, json.dumps(value).encode() + b"\\n")
        os.close(file)

    def handler(event, context):
        if os.path.exists(os.path.join(FOLDER, "fail")):
            write("failures", event)
            raise RuntimeError("as it was asked to")
        write("events", event)
        time.sleep(float(os.environ.get("SECONDS", "0")))
"""


class Recorder:
    """A function that keeps its events in a folder, or fails for as long as it is told to."""

    def __init__(self, client: Any, name: str, folder: Path, *, seconds: float = 0.0) -> None:
        self.name = name
        self._folder = folder
        self._events, self._failures = JsonLines(folder / "events"), JsonLines(folder / "failures")
        folder.mkdir()
        variables = {"FOLDER": str(folder), "SECONDS": str(seconds)}
        # A batch that a busy machine holds up for three seconds would fail, and others would come before it.
        create(client, name, RECORDER, Environment={"Variables": variables}, Timeout=60)

    def fail(self) -> None:
        (self._folder / "fail").touch()

    def succeed(self) -> None:
        (self._folder / "fail").unlink()

    @property
    def events(self) -> list[dict[str, Any]]:
        """In the order in which they began."""
        return self._events.documents()

    @property
    def failures(self) -> list[dict[str, Any]]:
        return self._failures.documents()


def settled(client: Any, uuid: str) -> dict[str, Any]:
    """The mapping once it is Enabled or Disabled."""
    found: dict[str, Any] = wait_until(
        lambda: (one := client.get_event_source_mapping(UUID=uuid))["State"] in ("Enabled", "Disabled") and one,
        what="the mapping to settle",
    )
    return found


def create_mapping(client: Any, recorder: Recorder, **members: Any) -> str:
    """An enabled mapping's UUID."""
    made = client.create_event_source_mapping(FunctionName=recorder.name, **members)
    assert made["State"] == "Creating"
    assert settled(client, made["UUID"])["State"] == "Enabled"
    return str(made["UUID"])


def delete_mapping(client: Any, uuid: str) -> None:
    client.delete_event_source_mapping(UUID=uuid)
    wait_until(lambda: not is_there(client, uuid), what="the mapping to go")


def is_there(client: Any, uuid: str) -> bool:
    try:
        client.get_event_source_mapping(UUID=uuid)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def wait_for_result(client: Any, uuid: str, says: Callable[[str], bool], *, seconds: float = 20.0) -> str:
    """The LastProcessingResult that ``says`` was waiting for."""
    said: list[str] = [""]

    def look() -> bool:
        said.append(client.get_event_source_mapping(UUID=uuid).get("LastProcessingResult", ""))
        return says(said[-1])

    wait_until(look, seconds=seconds, what="LastProcessingResult")
    return said[-1]


def first_deliveries(numbers: list[int]) -> list[int]:
    """Without what came again."""
    return list(dict.fromkeys(numbers))
