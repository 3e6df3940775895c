"""This server as a contender: ``rie serve`` with functions as processes, driven through its own Lambda API.

Nothing is imported from it: what is measured is what a user starts.
"""

import base64
import io
import json
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders.contender import HANDLERS, RUNTIME, Contender, ended_at_last, private_folder
from benchmarks.load import Load, Target, run_load
from benchmarks.processes import LOOPBACK, ChildProcess, ContenderFailed, clean_environment, free_port

NAME = "server"
FUNCTIONS_PATH = "/2015-03-31/functions"
ROLE = "arn:aws:iam::000000000000:role/bench"
REQUEST_SECONDS_AT_MOST = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running ``rie serve``."""

    process: ChildProcess
    port: int

    def is_ready(self) -> bool:
        """Whether the Lambda API answers."""
        try:
            return self.call("GET", FUNCTIONS_PATH) is not None
        except (OSError, urllib.error.URLError):
            return False

    def call(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """One request of the Lambda API on a connection of its own; the answer's JSON."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS_AT_MOST) as reply:
            return json.loads(reply.read() or b"null")

    def create_function(self, name: str, handler: str = "hello", *, code: Mapping[str, str] | None = None) -> None:
        """Creates a function with the benchmarks' handlers and waits until it is Active.

        Args:
            handler: of ``bench_handler``, or with the name of another module.
        """
        handler = handler if "." in handler else f"bench_handler.{handler}"
        package = {"PackageType": "Image"} if code else {"Runtime": RUNTIME, "Handler": handler}
        description: dict[str, Any] = {"FunctionName": name, "Role": ROLE, "Timeout": 60, "MemorySize": 256, **package}
        self.call("POST", FUNCTIONS_PATH, description | {"Code": code or {"ZipFile": zipped_handlers()}})
        configuration = f"{FUNCTIONS_PATH}/{name}/configuration"
        self.process.wait_until(lambda: self.call("GET", configuration)["State"] == "Active")

    def submit_event(self, name: str) -> str:
        """Invokes a function asynchronously, without a payload to speak of; the event's id."""
        headers = {"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event"}
        address = f"http://{LOOPBACK}:{self.port}{self.target(name).path}"
        request = urllib.request.Request(address, method="POST", data=b"{}", headers=headers)
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS_AT_MOST) as reply:
            return str(reply.headers["x-amzn-RequestId"])

    def wait_for_event(self, request_id: str, *, seconds: float) -> None:
        """Returns once the event has ended.

        Raises:
            ContenderFailed: it has not, in time.
        """
        try:
            self.call("POST", f"/_rie/events/{request_id}/wait", {"timeout_seconds": seconds})
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise ContenderFailed(f"event {request_id}: {refusal}") from None

    def events(self, state: str) -> list[Any]:
        """Some of the events that are in ``state``, if any are."""
        found: list[Any] = self.call("GET", f"/_rie/events?state={state}&limit=1")["events"]
        return found

    def target(self, name: str) -> Target:
        return Target(host=LOOPBACK, port=self.port, path=f"{FUNCTIONS_PATH}/{name}/invocations")

    def as_contender(self, name: str) -> Contender:
        return Contender(name=NAME, target=self.target(name), processes=(self.process,))


def zipped_handlers() -> str:
    """The benchmarks' handlers as CreateFunction's ZipFile."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for module in sorted(HANDLERS.glob("*.py")):
            archive.write(module, module.name)
    return base64.b64encode(packed.getvalue()).decode()


def start(
    folder: Path,
    *,
    executor: str,
    max_environments: int,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Starts ``rie serve`` on free ports with its data in ``folder``; does not wait for it."""
    port = free_port()
    settings = {
        "RIE_PORT": str(port),
        "RIE_RUNTIME_PORT": str(free_port()),
        "RIE_DATA_DIR": str(folder / "data"),
        "RIE_EXECUTOR": executor,
        "RIE_MAX_ENVIRONMENTS": str(max_environments),
        **(environment or {}),
    }
    command = [sys.executable, "-m", "rie_server", "serve", *flags]
    return Server(
        process=ChildProcess(command, environment=clean_environment(**settings), folder=folder),
        port=port,
    )


@contextmanager
def running_server(
    *,
    executor: str = "process",
    max_environments: int = 8,
    flags: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server that answers.

    Args:
        environment: further variables of its process.

    Raises:
        LeftBehind: at the end, when it has left processes of its own.
    """
    with private_folder() as folder, ended_at_last() as processes:
        running = start(
            folder, executor=executor, max_environments=max_environments, flags=flags, environment=environment
        )
        processes.append(running.process)
        running.process.wait_until(running.is_ready)
        yield running


@contextmanager
def server(*, environments: int = 1, handler: str = "hello", warm: Load | None = None) -> Iterator[Contender]:
    """A server with one function on ``environments`` environments, all of them warm."""
    with running_server(max_environments=environments) as running:
        running.create_function("bench", handler)
        contender = running.as_contender("bench")
        run_load(contender.target, warm or Load(clients=2 * environments, requests=20 * environments))
        yield contender
