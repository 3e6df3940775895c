"""What outlives the server and what does not: functions, code and accepted events stay; processes, ports, addresses and
temporary files go.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, descendants, wait_until
from tests.integration.invoke.deploying import create, error_of, invoke, marked_processes, python_zip, wait_updated

PID = "import os\ndef handler(event, context):\n    return os.getpid()\n"
SLOW = """
    import time
    def handler(event, context):
        open(event["begun"], "w").close()
        time.sleep(event["seconds"])
        return event["seconds"]
"""


def worker_of(server: RieServer) -> int:
    """The process that serves: the arbiter's only child that is no environment."""
    listing = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=True
    )
    (worker,) = map(int, listing.stdout.split())
    return worker


def crash(server: RieServer) -> None:
    """kill -9 to the arbiter and its worker at once: nobody is left who could clean up."""
    worker = worker_of(server)
    os.kill(server.process.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    server.process.wait()


def is_open(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def folders_of_environments(server: RieServer) -> list[Path]:
    """``tmp`` folders of environments, whichever server made them."""
    return list((server.data_dir / "environments").glob("*/*/tmp"))


def begin(client: Any, seconds: float, begun: Path) -> tuple[ThreadPoolExecutor, Any]:
    """A slow invocation on a thread of its own, once its handler runs."""
    pool = ThreadPoolExecutor(1)
    running = pool.submit(invoke, client, "slow", {"seconds": seconds, "begun": str(begun)})
    wait_until(begun.exists, what="the handler to begin")
    return pool, running


# --- functions and their code ---


def test_functions_and_their_code_survive_a_restart(rie: RieServer) -> None:
    client = rie.client()
    create(client, "stays", "def handler(event, context):\n    return 'first'\n", Timeout=7, Description="kept")
    client.update_function_code(
        FunctionName="stays", ZipFile=python_zip("def handler(event, context):\n    return 'second'\n")
    )
    wait_updated(client, "stays")
    create(client, "goes", PID)
    client.delete_function(FunctionName="goes")
    before = client.get_function_configuration(FunctionName="stays")
    rie.stop()
    rie.restart()
    client = rie.client()
    after = client.get_function_configuration(FunctionName="stays")
    assert {**before, "ResponseMetadata": None} == {**after, "ResponseMetadata": None}
    assert invoke(client, "stays").payload == "second"
    assert error_of(client.get_function, FunctionName="goes")[:2] == (404, "ResourceNotFoundException")


def test_a_second_server_on_the_same_data_folder_is_refused_with_one_line(rie: RieServer, tmp_path: Path) -> None:
    second = RieServer(tmp_path, data_dir=rie.data_dir)
    assert second.process.wait(10) == 1
    assert second.output == (
        f"rie: Another server runs with the data folder {rie.data_dir}; give this one its own (RIE_DATA_DIR).\n"
    )
    create(rie.client(), "stays", PID)
    assert isinstance(invoke(rie.client(), "stays").payload, int)


def test_functions_survive_kill_9_and_nothing_else_does(rie: RieServer) -> None:
    client = rie.client()
    create(client, "stays", PID)
    (first,) = {invoke(client, "stays").payload}
    old_folders = set(folders_of_environments(rie))
    assert first in marked_processes(rie.data_dir)
    assert old_folders
    crash(rie)
    wait_until(lambda: not marked_processes(rie.data_dir), seconds=3, what="the end of the orphans")
    wait_until(lambda: not is_open(rie.url), seconds=3, what="the kernel to close the port")
    rie.restart()
    assert not old_folders & set(folders_of_environments(rie))
    assert invoke(rie.client(), "stays").payload != first


def test_the_server_is_replaced_when_its_worker_alone_is_killed(rie: RieServer) -> None:
    client = rie.client(retries={"max_attempts": 5})
    create(client, "stays", PID)
    first = invoke(client, "stays").payload
    old_folders = set(folders_of_environments(rie))
    old = worker_of(rie)
    os.kill(old, signal.SIGKILL)
    assert invoke(client, "stays").payload != first
    assert worker_of(rie) != old
    assert first not in marked_processes(rie.data_dir)
    assert not old_folders & set(folders_of_environments(rie))


def test_a_worker_whose_arbiter_was_killed_ends_with_its_environments(rie: RieServer) -> None:
    client = rie.client()
    create(client, "stays", PID)
    invoke(client, "stays")
    family = descendants(rie.process.pid)
    assert len(family) >= 2
    rie.process.kill()
    rie.process.wait()
    wait_until(lambda: not marked_processes(rie.data_dir), seconds=10, what="the end of the environments")
    wait_until(lambda: not is_open(rie.url) and not is_open(rie.runtime_url), seconds=10, what="the end of the worker")
    wait_until(lambda: not folders_of_environments(rie), seconds=5, what="the removal of temporary files")
    rie.restart()
    assert invoke(rie.client(), "stays").payload not in family


# --- stopping ---


def test_sigterm_leaves_no_process_port_or_temporary_file(rie: RieServer) -> None:
    client = rie.client()
    source = """
        import os, subprocess
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        def handler(event, context):
            return os.environ["AWS_LAMBDA_RUNTIME_API"]
    """
    create(client, "stays", source)
    environment_url = f"http://{invoke(client, 'stays').payload}"
    assert is_open(environment_url)
    assert is_open(rie.runtime_url)
    assert len(marked_processes(rie.data_dir)) == 2
    rie.stop()
    assert not marked_processes(rie.data_dir)
    assert not any(map(is_open, (rie.url, rie.runtime_url, environment_url)))
    assert not folders_of_environments(rie)


def test_sigterm_lets_a_running_invocation_finish_and_takes_no_more(rie: RieServer, tmp_path: Path) -> None:
    client = rie.client()
    create(client, "slow", SLOW, Timeout=30)
    pool, running = begin(client, 2, tmp_path / "begun")
    with pool:
        rie.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_open(rie.url), seconds=1, what="the listener to close")
        assert not running.done()
        answer = running.result(timeout=10)
    assert (answer.error, answer.payload) == (None, 2)
    assert rie.process.wait(10) == 0


def test_sigterm_does_not_wait_longer_than_the_drain(start_rie: Callable[..., RieServer], tmp_path: Path) -> None:
    server = start_rie(drain_seconds=1)
    client = server.client()
    create(client, "slow", SLOW, Timeout=60)
    pool, running = begin(client, 60, tmp_path / "begun")
    with pool:
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert 0.9 < time.monotonic() - began < 5
        status, code, _ = error_of(running.result)
    assert (status, code) == (500, "ServiceException")
    assert not marked_processes(server.data_dir)


# --- reloading ---


@pytest.mark.timeout(60)
def test_no_request_fails_while_sighup_reloads(rie: RieServer) -> None:
    client = rie.client()
    create(client, "echo", "import time\ndef handler(event, context):\n    time.sleep(0.03)\n    return event\n")
    finished = threading.Event()

    def call_on(caller: int) -> int:
        count = 0
        while not finished.is_set():
            answer = invoke(client, "echo", [caller, count])
            assert (answer.error, answer.payload) == (None, [caller, count])
            count += 1
        return count

    with ThreadPoolExecutor(6) as pool:
        callers = [pool.submit(call_on, caller) for caller in range(6)]
        try:
            workers = {worker_of(rie)}
            for reload in (1, 2):
                time.sleep(0.5)
                rie.process.send_signal(signal.SIGHUP)
                wait_until(
                    lambda n=reload: rie.output.count("is ready") == 1 + n,
                    seconds=15,
                    what="the new worker to be ready",
                )
                wait_until(lambda: _alone(rie), seconds=15, what="the old worker to end")
                workers.add(worker_of(rie))
            time.sleep(0.5)
        finally:
            finished.set()
        counts = [caller.result(30) for caller in callers]
    assert len(workers) == 3
    assert min(counts) > 10


def _alone(server: RieServer) -> bool:
    try:
        worker_of(server)
    except ValueError:
        return False
    return True


# --- events ---


def test_an_event_accepted_with_202_survives_kill_9_and_is_run(rie: RieServer, tmp_path: Path) -> None:
    client = rie.client()
    source = """
        import time
        def handler(event, context):
            time.sleep(0.5)
            with open(event["path"], "a") as file:
                file.write(event["token"] + "\\n")
    """
    create(client, "notes", source, Timeout=10)
    path = tmp_path / "notes"
    tokens = {f"token-{number}" for number in range(30)}
    for token in tokens:
        payload = f'{{"path": "{path}", "token": "{token}"}}'
        reply = client.invoke(FunctionName="notes", InvocationType="Event", Payload=payload)
        assert reply["StatusCode"] == 202
    crash(rie)
    done_before = set(path.read_text().split()) if path.exists() else set()
    assert len(done_before) < len(tokens), "every event had run before the crash: the test shows nothing"
    rie.restart()

    def runs() -> list[str]:
        return path.read_text().split() if path.exists() else []

    wait_until(lambda: set(runs()) == tokens, seconds=20, what="every event to be run")
    # What had run, but was not known to have, is run once more: a repeat, never a loss.
    time.sleep(2.0)
    settled = runs()
    assert len(settled) <= len(tokens) + len(done_before)
    rie.stop()
    rie.restart()
    time.sleep(1.0)
    assert runs() == settled, "an event that had succeeded was run again after a clean restart"
