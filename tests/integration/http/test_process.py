"""``serve`` as a process: arbiter and worker, signals, and what happens when one of them is killed."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import descendants, free_port, wait_until
from tests.integration.http.conftest import RawClient
from tests.written import lines_in

SCRIPT = """
import sys
from pathlib import Path
from rie_server.config import Settings
from rie_server.errors import RieError
from rie_server.http.serve import serve

host, port, runtime_host, runtime_port, folder, drain = sys.argv[1:]
settings = Settings(host=host, port=int(port), runtime_host=runtime_host, runtime_port=int(runtime_port),
                    data_dir=Path(folder), drain_seconds=float(drain))
try:
    serve(settings, build_path="tests.integration.http.fake_server:build")
except RieError as error:
    sys.exit(f"rie: {error}")
"""
PROJECT = Path(__file__).parents[3]


class Served:
    def __init__(self, folder: Path, *, host: str = "127.0.0.1", runtime_host: str = "", drain: float = 5) -> None:
        self.folder = folder
        self.port, self.runtime_port = free_port(), free_port()
        self.host, self.runtime_host, self.drain = host, runtime_host, drain
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "Served":
        arguments = (self.host, self.port, self.runtime_host, self.runtime_port, self.folder, self.drain)
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                text=True,
                cwd=PROJECT,
                start_new_session=True,
            )
        return self

    def ready(self) -> "Served":
        wait_until(lambda: "ready" in self.out, what="the ready line")
        return self

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    @property
    def events(self) -> list[tuple[str, int]]:
        lines = lines_in(self.folder / "events")
        return [(name, int(pid)) for name, pid in (line.split() for line in lines)]

    @property
    def worker_pid(self) -> int:
        return int(self.out.rsplit("pid=", 1)[1])

    def client(self) -> RawClient:
        return RawClient(("127.0.0.1", self.port))

    def runtime_client(self) -> RawClient:
        return RawClient(("127.0.0.1", self.runtime_port))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    everything: list[Served] = []

    def make(**options: Any) -> Served:
        folder = tmp_path / str(len(everything))
        folder.mkdir()
        one = Served(folder, **options)
        everything.append(one)
        return one

    yield make
    for one in everything:
        process = one.process
        if process is not None and process.poll() is None:
            for pid in (*descendants(process.pid), process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()


def slow_call(client: RawClient, seconds: str, into: list[Any]) -> threading.Thread:
    client.request("POST", "/2015-03-31/functions/slow/invocations", seconds.encode())
    thread = threading.Thread(target=lambda: into.append(client.reply()))
    thread.start()
    time.sleep(0.2)
    return thread


def test_it_is_ready_within_a_second_and_says_so_once(served: Callable[..., Served]) -> None:
    started = time.monotonic()
    server = served().start().ready()
    client = server.client()
    client.request("POST", "/2015-03-31/functions/f/invocations", b"x")
    assert client.reply()[2] == b"x"
    assert time.monotonic() - started < 2.0, "a busy machine gets twice the time"
    client.close()
    assert server.out.count("\n") == 1
    assert server.err == ""


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells the limits of another process")
def test_a_low_soft_limit_of_file_descriptors_is_raised_to_the_hard_one(served: Callable[..., Served]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = served().start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    server.ready()
    expected = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    assert resource.prlimit(server.worker_pid, resource.RLIMIT_NOFILE) == (expected, hard)


def test_sigterm_lets_what_is_in_flight_end_and_keeps_the_runtime_api_open(served: Callable[..., Served]) -> None:
    server = served().start().ready()
    caller, idle, runtime = server.client(), server.client(), server.runtime_client()
    replies: list[Any] = []
    thread = slow_call(caller, "1.0", replies)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: ("drain", server.worker_pid) in server.events, what="the drain")
    assert idle.is_closed_by_server()
    with pytest.raises(ConnectionRefusedError):
        server.client()
    runtime.request("POST", "/2018-06-01/runtime/invocation/1/response", b"{}")
    assert runtime.reply()[0] == 202
    later_runtime = server.runtime_client()
    later_runtime.request("GET", "/2018-06-01/ping")
    assert later_runtime.reply()[2] == b"pong"
    thread.join()
    assert replies[0][2] == b"slow"
    assert replies[0][1]["connection"] == "close"
    assert server.process.wait(5) == 0
    assert [name for name, _ in server.events] == ["start", "drain", "stop"]
    assert server.err == ""
    for client in (caller, idle, runtime, later_runtime):
        client.close()


def test_a_drain_ends_when_its_time_is_up(served: Callable[..., Served]) -> None:
    server = served(drain=0.5).start().ready()
    caller, replies = server.client(), []
    caller.request("POST", "/2015-03-31/functions/slow/invocations", b"3")
    time.sleep(0.2)
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: ("stop", server.worker_pid) in server.events, what="the stop")
    assert time.monotonic() - started < 2.0
    assert server.process.wait(10) == 0
    assert [name for name, _ in server.events] == ["start", "drain", "stop"]
    assert not replies
    caller.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_sigint_stops_at_once_but_stops_the_environments(served: Callable[..., Served], number: int) -> None:
    server = served(drain=30).start().ready()
    started = time.monotonic()
    os.killpg(server.process.pid, number)  # as a terminal does: to all of the group
    assert server.process.wait(5) == 0
    assert time.monotonic() - started < 3
    assert [name for name, _ in server.events] == ["start", "stop"]


def test_sigint_cuts_a_drain_short(served: Callable[..., Served]) -> None:
    server = served(drain=30).start().ready()
    caller = server.client()
    caller.request("POST", "/2015-03-31/functions/slow/invocations", b"2")
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: ("drain", server.worker_pid) in server.events, what="the drain")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(8) == 0
    assert ("stop", server.worker_pid) in server.events
    caller.close()


def test_sighup_brings_a_new_worker_and_lets_the_old_one_finish(served: Callable[..., Served]) -> None:
    server = served().start().ready()
    old_pid = server.worker_pid
    caller = server.client()
    replies: list[Any] = []
    thread = slow_call(caller, "1.0", replies)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.out.count("ready") == 2, what="the second ready line")
    new_pid = server.worker_pid
    assert new_pid != old_pid
    for _ in range(5):
        client = server.client()
        client.request("POST", "/2015-03-31/functions/f/invocations", b"new")
        assert client.reply()[2] == b"new"
        client.close()
    thread.join()
    assert replies[0][2] == b"slow"
    caller.close()
    wait_until(lambda: ("stop", old_pid) in server.events, what="the old worker's end")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(8) == 0
    assert ("stop", new_pid) in server.events
    assert server.err == ""


def test_a_worker_whose_arbiter_is_killed_stops_its_environments_and_ends(served: Callable[..., Served]) -> None:
    server = served(drain=30).start().ready()
    worker_pid = server.worker_pid
    server.process.kill()
    server.process.wait()
    wait_until(lambda: ("stop", worker_pid) in server.events, seconds=5, what="the worker's stop")
    wait_until(lambda: not Path(f"/proc/{worker_pid}").exists() or _is_zombie(worker_pid), what="the worker's end")
    assert "arbiter is gone" in server.err


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_a_worker_that_is_killed_is_replaced(served: Callable[..., Served]) -> None:
    server = served().start().ready()
    os.kill(server.worker_pid, signal.SIGKILL)
    wait_until(lambda: server.out.count("ready") == 2, what="the second ready line")
    client = server.client()
    client.request("POST", "/2015-03-31/functions/f/invocations", b"x")
    assert client.reply()[2] == b"x"
    client.close()
    assert "SIGKILL" in server.err


def test_a_port_in_use_is_one_line_and_status_1(served: Callable[..., Served]) -> None:
    first = served().start().ready()
    second = served()
    second.port = first.port
    assert second.start().process.wait(5) == 1
    assert (
        second.err == f"rie: Cannot listen on 127.0.0.1:{first.port}: Address already in use (RIE_HOST and RIE_PORT).\n"
    )


@pytest.mark.parametrize("options", [{"host": "no-such-host.invalid"}, {"runtime_host": "192.0.2.1"}])
def test_an_address_that_is_not_ours_is_one_line_and_status_1(
    served: Callable[..., Served], options: dict[str, str]
) -> None:
    server = served(**options).start()
    assert server.process.wait(10) == 1
    assert server.err.startswith("rie: Cannot listen on ")
    assert server.err.count("\n") == 1


def test_a_server_that_cannot_start_says_why_in_one_line_and_gives_up(served: Callable[..., Served]) -> None:
    server = served()
    (server.folder / "refuse-start").touch()
    assert server.start().process.wait(10) == 1
    assert server.err == "rie: The fake does not start today.\n"
    assert [name for name, _ in server.events] == ["start", "stop"]


def test_the_arbiter_does_not_import_the_application() -> None:
    code = "import sys, rie_server.http.serve, rie_server.http.worker; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"flask", "werkzeug", "boto3", "botocore", "sqlalchemy", "uvloop", "httptools", "asyncio"} & set(loaded)
