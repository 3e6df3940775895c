"""What is done to environments, callers and the server from outside, at the worst moment."""

import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, error_of, invoke, marked_processes, zip_of
from tests.integration.invoke.test_life import environments, timeout_payload

PID = "import os\ndef handler(event, context):\n    return [event, os.getpid()]\n"


def state_of(pid: int) -> str:
    """The kernel's letter for the process: ``Z`` when it has ended and its parent has not noticed, ``X`` after that."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_an_idle_environment_that_is_killed_swallows_no_invocation(client: Any) -> None:
    create(client, "killed", PID, Timeout=20)
    _, pid = invoke(client, "killed", 0).payload
    for number in range(1, 16):
        os.kill(pid, signal.SIGKILL)
        # Until its sockets are closed nobody can know that it will not run the event.
        wait_until(lambda pid=pid: state_of(pid) in "ZX", what="the end of the process")
        answer = invoke(client, "killed", number)
        assert answer.error is None, answer
        assert answer.payload[0] == number
        assert answer.payload[1] != pid
        pid = answer.payload[1]


def test_an_environment_that_falls_silent_is_found_by_its_deadline(shared: RieServer, client: Any) -> None:
    create(client, "silent", PID, Timeout=1)
    _, pid = invoke(client, "silent", 0).payload
    time.sleep(0.2)  # it waits in next by now
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T", what="the process to stand still")
    answer = invoke(client, "silent", 1)
    assert (answer.error, answer.payload) == ("Unhandled", timeout_payload(answer.request_id, 1))
    wait_until(lambda: pid not in marked_processes(shared.data_dir), what="the end of the silent environment")
    assert invoke(client, "silent", 2).payload[0] == 2


def test_an_environment_that_answers_and_never_asks_for_more_ends_with_its_timeout(
    shared: RieServer, client: Any
) -> None:
    bootstrap = f"""#!{sys.executable}
import http.client, os, time
runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
runtime.request("GET", "/2018-06-01/runtime/invocation/next")
reply = runtime.getresponse()
event, request_id = reply.read(), reply.headers["Lambda-Runtime-Aws-Request-Id"]
runtime.request("POST", f"/2018-06-01/runtime/invocation/{{request_id}}/response", event)
runtime.getresponse().read()
time.sleep(600)
"""
    create(client, "lingers", zip_of({"bootstrap": bootstrap}), Runtime="provided.al2023", Handler="any", Timeout=2)
    for number in range(3):
        answer = invoke(client, "lingers", number)
        assert (answer.error, answer.payload) == (None, number)
    wait_until(lambda: not environments(shared, "lingers"), seconds=6, what="the end of those who ask for nothing")


def test_an_environment_that_is_killed_while_it_runs_answers_its_own_caller_alone(client: Any, tmp_path: Path) -> None:
    source = """
        import os, pathlib, time
        def handler(event, context):
            pathlib.Path(event["path"]).write_text(str(os.getpid()))
            time.sleep(event["seconds"])
            return event["seconds"]
    """
    create(client, "shot", source, Timeout=20)
    victim, bystander = tmp_path / "victim", tmp_path / "bystander"
    with ThreadPoolExecutor(2) as pool:
        dying = pool.submit(invoke, client, "shot", {"path": str(victim), "seconds": 15})
        living = pool.submit(invoke, client, "shot", {"path": str(bystander), "seconds": 1})
        wait_until(lambda: victim.exists() and bystander.exists() and victim.read_text(), what="both to run")
        os.kill(int(victim.read_text()), signal.SIGKILL)
        answer = dying.result(5)
        assert answer.payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
        assert living.result(10).payload == 1


def test_a_caller_that_hangs_up_costs_nothing_but_its_own_invocation(
    shared: RieServer, client: Any, tmp_path: Path
) -> None:
    source = """
        import os, pathlib, time
        def handler(event, context):
            if event:
                pathlib.Path(event).touch()
                time.sleep(0.5)
                pathlib.Path(event + "-done").touch()
            return os.getpid()
    """
    create(client, "unheard", source, Timeout=20)
    pid = invoke(client, "unheard").payload
    host, _, port = shared.url.removeprefix("http://").partition(":")
    begun = tmp_path / "begun"
    body = f'"{begun}"'
    line = "POST /2015-03-31/functions/unheard/invocations HTTP/1.1"
    head = f"{line}\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall((head + body).encode())
        wait_until(begun.exists, what="the handler to begin")
    wait_until(Path(f"{begun}-done").exists, what="the handler to finish although nobody listens")
    assert invoke(client, "unheard").payload == pid, "the environment is warm as ever"


def test_ctrl_c_ends_everything_at_once(start_rie: Callable[..., RieServer], tmp_path: Path) -> None:
    server = start_rie(drain_seconds=60)
    client = server.client()
    source = "import pathlib, time\ndef handler(event, context):\n    pathlib.Path(event).touch()\n    time.sleep(60)\n"
    create(client, "slow", source, Timeout=90)
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(error_of, client.invoke, FunctionName="slow", Payload=f'"{begun}"'.encode())
        wait_until(begun.exists, what="the handler to begin")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(8) == 0
        # Refused, or cut off: either way the caller is not left waiting.
        wait_until(running.done, seconds=2, what="the caller to be told")
        running.exception()
    assert not marked_processes(server.data_dir)


@pytest.mark.timeout(60)
def test_a_reload_lets_a_long_invocation_finish_and_runs_each_event_once(rie: RieServer, tmp_path: Path) -> None:
    client = rie.client()
    source = """
        import pathlib, time
        def handler(event, context):
            pathlib.Path(event["begun"]).touch()
            time.sleep(event["seconds"])
            with open(event["notes"], "a") as file:
                file.write(event["token"] + "\\n")
            return event["token"]
    """
    create(client, "notes", source, Timeout=30)
    begun, notes = tmp_path / "begun", tmp_path / "notes"

    def event(token: str, seconds: float) -> dict[str, Any]:
        return {"token": token, "seconds": seconds, "begun": str(begun), "notes": str(notes)}

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, client, "notes", event("long", 3))
        wait_until(begun.exists, what="the handler to begin")
        tokens = {f"token-{number}" for number in range(20)}
        for token in tokens:
            payload = str(event(token, 0.2)).replace("'", '"')
            assert client.invoke(FunctionName="notes", InvocationType="Event", Payload=payload)["StatusCode"] == 202
        rie.process.send_signal(signal.SIGHUP)
        wait_until(lambda: rie.output.count("is ready") == 2, seconds=20, what="the new worker")
        assert invoke(client, "notes", event("after", 0)).payload == "after"
        answer = running.result(20)
    assert (answer.error, answer.payload) == (None, "long")
    wait_until(lambda: tokens <= set(notes.read_text().split()), seconds=20, what="every event to be run")
    time.sleep(1)
    assert Counter(notes.read_text().split()) == Counter([*tokens, "long", "after"])


def test_what_a_function_leaves_running_in_the_background_ends_with_its_environment(
    start_rie: Callable[..., RieServer],
) -> None:
    server = start_rie(keepalive_seconds=1)
    client = server.client()
    source = """
        import subprocess
        def handler(event, context):
            daemon = "setsid sleep 600 & setsid sh -c 'trap : TERM HUP; sleep 600' &"
            subprocess.run(["sh", "-c", daemon], check=True)
    """
    create(client, "daemons", source, Timeout=20)
    assert invoke(client, "daemons").error is None
    assert len(environments(server, "daemons")) >= 3
    wait_until(lambda: not marked_processes(server.data_dir), seconds=5, what="the end of the daemons")
