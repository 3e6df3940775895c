"""SIGKILL at any moment: what was acknowledged is there afterwards, and nothing is there by halves."""

import io
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

from rie_server.clock.system import SystemClock
from rie_server.events.attempts import Attempts
from rie_server.events.courier import Courier
from rie_server.events.worker import EventWorker
from rie_server.model.arn import FunctionArn
from rie_server.model.destination_record import deliveries
from rie_server.model.event_invoke import EventInvokeConfig
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.owner import current_owner, is_alive
from rie_server.ports import Invoker
from rie_server.stores.code import ZipCodeStore
from rie_server.stores.database import Database, sqlite_url
from rie_server.stores.events import DatabaseEventStore
from tests.fakes.destinations import MemoryDestinations
from tests.fakes.journal import RecordingJournal

ADDING = """
    import sys, threading, uuid
    from rie_server.model.arn import FunctionArn
    from rie_server.model.invocation import InvokeRequest
    from rie_server.model.async_event import QueuedEvent
    from rie_server.stores.database import Database
    from rie_server.stores.events import DatabaseEventStore
    from rie_server.owner import current_owner

    store = DatabaseEventStore(Database(sys.argv[1]))
    function = FunctionArn(region="us-east-1", account="000000000000", name="orders")

    def acknowledge(request_id, turn, error):
        assert error is None
        sys.stdout.write(request_id + chr(10))
        sys.stdout.flush()
        turn.release()

    def add():
        turn = threading.Semaphore(0)
        while True:
            request_id = str(uuid.uuid4())
            request = InvokeRequest(function=function, payload=b"{}", request_id=request_id)
            store.add(QueuedEvent(request=request, enqueued_at=1.0), lambda e: acknowledge(request_id, turn, e))
            turn.acquire()

    for _ in range(16):
        threading.Thread(target=add).start()
    while True:
        store.claim(current_owner(), {str(function): 3}, now=2.0, lease_seconds=60.0)
"""

UNPACKING = """
    import sys
    from pathlib import Path
    from rie_server.stores.code import ZipCodeStore

    store = ZipCodeStore(Path(sys.argv[1]))
    content = Path(sys.argv[2]).read_bytes()
    print("ready", flush=True)
    while True:
        sha256 = store.put(content).sha256
        store.delete_unreferenced([])
"""


def run_and_kill(script: str, *arguments: str, seconds: float) -> list[str]:
    """Runs ``script`` until it has been at work for ``seconds``, kills it, and returns the whole lines it printed."""
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), *arguments], stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first, "the child ended before it did anything"
        killer = threading.Timer(seconds, os.kill, args=(child.pid, signal.SIGKILL))
        killer.start()
        printed = first + child.stdout.read()
        killer.join()
    assert child.returncode == -signal.SIGKILL
    return [line.decode() for line in printed.split(b"\n")[:-1]]


def test_every_acknowledged_event_is_there_after_sigkill_and_is_run_by_the_next_server(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for seconds in (0.05, 0.15, 0.3):
        acknowledged.update(run_and_kill(ADDING, sqlite_url(tmp_path), seconds=seconds))
    assert len(acknowledged) > 50

    database = Database(sqlite_url(tmp_path))
    store = DatabaseEventStore(database)
    stored = {event.request.request_id for event in store}
    assert acknowledged <= stored
    claimed_by: list[str] = []
    store.release(lambda owner: claimed_by.append(owner) is not None)
    assert claimed_by, "the dead had claimed some"
    assert not any(is_alive(owner) for owner in claimed_by)

    run: list[str] = []
    clock = SystemClock()
    clock.start()
    worker = new_worker(store, Recorder(run), clock)
    began = time.monotonic()
    worker.start()
    while next(iter(store), None) is not None:
        assert time.monotonic() - began < 60
        time.sleep(0.01)
    seconds = time.monotonic() - began
    worker.close()
    clock.close()
    database.close()
    print(f"\n{len(run)} events drained at {len(run) / seconds:,.0f}/s")
    assert sorted(run) == sorted(stored)


def new_worker(store: DatabaseEventStore, invoker: Invoker, clock: SystemClock) -> EventWorker:
    journal, owner = RecordingJournal(), current_owner()
    courier = Courier(destinations=MemoryDestinations(), rule=deliveries, journal=journal, clock=clock)
    attempts = Attempts(
        store=store,
        invoker=invoker,
        configs=Defaults(),
        courier=courier,
        journal=journal,
        clock=clock,
        real=clock,
        owner=owner,
        retry_base_seconds=60.0,
    )
    return EventWorker(
        store=store,
        attempts=attempts,
        courier=courier,
        journal=journal,
        clock=clock,
        real=clock,
        owner=owner,
        is_gone=lambda other: not is_alive(other),
    )


class Defaults:
    def event_invoke_config(self, function: FunctionArn) -> EventInvokeConfig:
        return EventInvokeConfig()


class Recorder:
    def __init__(self, run: list[str]) -> None:
        self._run = run

    def invoke(self, request: InvokeRequest, on_result: object) -> None:
        self._run.append(request.request_id)
        assert callable(on_result)
        on_result(InvokeResult(payload=b"null", function_error=None, executed_version="$LATEST"))


def test_code_is_there_whole_or_not_at_all_after_sigkill(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for number in range(200):
            archive.writestr(f"module{number}.py", "x = 1\n" * 500)
    (tmp_path / "zip").write_bytes(zipped.getvalue())
    chance = random.Random(2)  # the same moments on every run, as far as a machine allows

    for _ in range(8):
        run_and_kill(UNPACKING, str(tmp_path / "code"), str(tmp_path / "zip"), seconds=chance.uniform(0.0, 0.2))
        for tree in (path for path in (tmp_path / "code").iterdir() if len(path.name) == 64):
            assert sum(path.stat().st_size for path in tree.iterdir()) == 200 * 3000
        for stored in (tmp_path / "code").glob("*.zip"):
            assert stored.read_bytes() == zipped.getvalue()

    store = ZipCodeStore(tmp_path / "code")
    assert list((tmp_path / "code").glob(".draft-*")) == []
    sha256 = store.put(zipped.getvalue()).sha256
    assert len(list(store.directory(sha256).iterdir())) == 200


FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    from rie_server.errors import ServiceException
    from rie_server.stores.code import ZipCodeStore

    store = ZipCodeStore(Path(sys.argv[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        store.put(Path(sys.argv[2]).read_bytes())
    except ServiceException as failure:
        print(failure.message)
"""


def test_code_that_finds_no_room_leaves_nothing_behind_and_says_so(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("small.py", "x = 1")
        archive.writestr("large.bin", bytes(1_000_000))
    (tmp_path / "zip").write_bytes(zipped.getvalue())
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY

    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path / "code"), str(tmp_path / "zip")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == "The function's code cannot be stored: File too large."
    assert [path.name for path in (tmp_path / "code").iterdir()] == [".boot"]


def test_processes_that_meet_in_a_new_folder_agree_on_its_id(tmp_path: Path) -> None:
    script = (
        "import sys, threading; from pathlib import Path; from rie_server.stores.server_id import server_id\n"
        "found = set(); meet = lambda: found.add(server_id(Path(sys.argv[1])))\n"
        "threads = [threading.Thread(target=meet) for _ in range(40)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]; print(*found)"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = {child.communicate()[0].strip() for child in children}

    assert len(found) == 1
    assert len(found.pop()) == 16
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["server-id"]
