"""What the tests of crashes share: functions that leave their mark, and a server that is killed again and again."""

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import create_engine, func, select

from rie_server.stores.schema import events
from tests.conftest import RieServer, process_table, wait_until

# One line per run: appended in one write, so that lines of concurrent environments do not mix.
WRITE = """
    import os
    def note(path, text):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, (text + "\\n").encode())
        os.close(file)
"""
WORK = (
    WRITE
    + """
    def handler(event, context):
        note(event["runs"], f'{event["token"]} {context.aws_request_id}')
        if context.function_name.startswith("fails"):
            raise ValueError(event["token"])
        return event["token"]
"""
)
RECORD = (
    WRITE
    + """
    import json
    def handler(record, context):
        about, event = record["requestContext"], record["requestPayload"]
        about = [about["condition"], about["approximateInvokeCount"], about["requestId"]]
        note(event["records"], json.dumps([event["token"], *about]))
"""
)


def crash(server: RieServer) -> None:
    """kill -9 to the arbiter and everything that serves, at once: nobody is left who could clean up. Returns when they
    are gone, which a disk that is slow may put off: until then they hold the ports and the data folder.
    """
    own = server.process.pid
    family = {pid: started for pid, (parent, started) in process_table().items() if own in (pid, parent)}
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()

    def is_over() -> bool:
        return family.items().isdisjoint((pid, started) for pid, (_, started) in process_table().items())

    wait_until(is_over, what="the end of the server's processes")


def lasting_port() -> int:
    """A free port that no client is given while the server is away: one that connects to a port of the range for
    clients may meet itself there, and then holds it.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Killer:
    """Kills the server at random moments and starts it again, ``times`` times; leaving waits for the last start."""

    def __init__(self, server: RieServer, *, times: int, seed: int) -> None:
        self._server = server
        self._times = times
        self._chance = random.Random(seed)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="killer")
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        self._running = self._pool.submit(self._run)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()
        assert self._running is not None
        self._running.result()

    @property
    def is_done(self) -> bool:
        assert self._running is not None
        if self._running.done():
            self._running.result()  # what has gone wrong, goes wrong here
        return self._running.done()

    def _run(self) -> None:
        for _ in range(self._times):
            time.sleep(self._chance.uniform(0.1, 1.2))
            crash(self._server)
            self._server.restart()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An event that got its 202."""

    function: str
    token: str
    request_id: str


class Senders:
    """Clients that send events, each with a token of its own, until enough were accepted and ``until`` is true.

    An event whose connection broke counts for nothing: it may or may not have been accepted, and nothing was promised.
    """

    def __init__(self, client: Any, event: Mapping[str, str], *, pause_seconds: float) -> None:
        self._client = client
        self._event = event
        self._pause_seconds = pause_seconds
        self._lock = threading.Lock()
        self._tokens = itertools.count()
        self.accepted: list[Accepted] = []

    def run(self, functions: Sequence[str], *, clients: int, enough: int, until: Callable[[], bool]) -> None:
        """``functions`` are sent to in turn."""

        def send() -> None:
            while not until() or len(self.accepted) < enough:
                with self._lock:
                    number = next(self._tokens)
                self._send(functions[number % len(functions)], f"token-{number}")
                time.sleep(self._pause_seconds)

        with ThreadPoolExecutor(clients, thread_name_prefix="sender") as pool:
            for running in [pool.submit(send) for _ in range(clients)]:
                running.result()

    def _send(self, function: str, token: str) -> None:
        payload = json.dumps({**self._event, "token": token})
        try:
            reply = self._client.invoke(FunctionName=function, InvocationType="Event", Payload=payload)
        except (BotoCoreError, ClientError):
            return  # the server is down, and back in a moment
        assert reply["StatusCode"] == 202
        request_id = reply["ResponseMetadata"]["RequestId"]
        with self._lock:
            self.accepted.append(Accepted(function=function, token=token, request_id=request_id))


def queue_length(database_url: str) -> int:
    """How many events a server's database holds."""
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(events)).scalar_one())
    finally:
        engine.dispose()
