"""What becomes of an execution environment: how it is born, fails, runs out of time, idles and ends; and what its
caller is told.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import ECHO, create, invoke, marked_processes

TIMED_OUT = "Sandbox.Timedout"


def timeout_payload(request_id: str, seconds: int) -> dict[str, str]:
    message = f"RequestId: {request_id} Error: Task timed out after {seconds}.00 seconds"
    return {"errorType": TIMED_OUT, "errorMessage": message}


def exit_payload(request_id: str, words: str) -> dict[str, str]:
    return {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {words}"}


def environments(server: RieServer, function: str) -> dict[int, str]:
    """The runtime processes of ``function``."""
    found = marked_processes(server.data_dir)
    return {pid: command for pid, command in found.items() if _function_of(pid) == function}


def _function_of(pid: int) -> str | None:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    names = [value.partition(b"=")[2].decode() for value in variables if value.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")]
    return names[0] if names else None


# --- timeouts and exits ---


def test_a_timeout_is_told_in_awss_words_and_takes_the_environment_and_its_children_along(
    shared: RieServer, client: Any
) -> None:
    source = """
        import os, subprocess, time
        def handler(event, context):
            if event == "hang":
                subprocess.Popen(["sleep", "600"], start_new_session=True)
                time.sleep(600)
            return os.getpid()
    """
    create(client, "hangs", source, Timeout=1)
    first = invoke(client, "hangs").payload
    began = time.monotonic()
    answer = invoke(client, "hangs", "hang", LogType="Tail")
    assert 0.9 < time.monotonic() - began < 2.5
    assert (answer.error, answer.payload) == ("Unhandled", timeout_payload(answer.request_id, 1))
    assert f"{answer.request_id} Task timed out after 1.00 seconds\n" in answer.log
    assert "\tStatus: timeout" in answer.log.splitlines()[-1]
    wait_until(lambda: not environments(shared, "hangs"), seconds=3, what="the end of the timed-out environment")
    assert invoke(client, "hangs").payload != first


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit(7)", "Runtime exited with error: exit status 7"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("ctypes.string_at(0)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_runtime_that_dies_in_the_handler_answers_at_once(client: Any, how: str, words: str) -> None:
    name = f"dies-{abs(hash(how))}"
    create(client, name, f"import ctypes, os, sys\ndef handler(event, context):\n    {how}\n", Timeout=60)
    began = time.monotonic()
    answer = invoke(client, name)
    assert time.monotonic() - began < 10
    assert (answer.error, answer.payload) == ("Unhandled", exit_payload(answer.request_id, words))


def test_a_runtime_that_dies_after_its_answer_spoils_nothing(client: Any) -> None:
    source = """
        import os, threading
        def handler(event, context):
            threading.Timer(0.05, os._exit, [1]).start()
            return event
    """
    create(client, "dies-later", source)
    for number in range(5):
        answer = invoke(client, "dies-later", number)
        assert (answer.error, answer.payload) == (None, number)
        time.sleep(0.15)


def test_more_memory_than_the_function_has_ends_the_invocation_not_the_server(client: Any) -> None:
    source = """
        def handler(event, context):
            hoard = []
            while True:
                hoard.append(b"x" * 10_000_000)
    """
    create(client, "hoards", source, Timeout=30, MemorySize=128)
    answer = invoke(client, "hoards")
    assert answer.error == "Unhandled"
    killed = exit_payload(answer.request_id, "Runtime exited with error: signal: killed")
    # Without control groups the limit is the process's own, and Python notices it first.
    assert answer.payload == killed or answer.payload["errorType"] == "MemoryError"


# --- initialization ---


def test_an_exception_in_init_is_the_answer(client: Any) -> None:
    create(client, "no-init", "raise ValueError('no configuration')\n")
    answer = invoke(client, "no-init", LogType="Tail")
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "ValueError"
    assert answer.payload["errorMessage"] == "no configuration"
    assert answer.payload["requestId"] == ""
    assert answer.payload["stackTrace"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(3, "Runtime exited with error: exit status 3"), (0, "Runtime exited without providing a reason")],
)
def test_a_runtime_that_exits_in_init_is_told_as_an_exit(client: Any, status: int, words: str) -> None:
    create(client, f"exits-in-init-{status}", f"import os\nos._exit({status})\n")
    answer = invoke(client, f"exits-in-init-{status}")
    assert (answer.error, answer.payload) == ("Unhandled", exit_payload(answer.request_id, words))


def test_an_init_that_fails_once_is_repeated_inside_the_invocation(client: Any, tmp_path: Path) -> None:
    source = """
        import os, pathlib
        marker = pathlib.Path(os.environ["MARKER"])
        if not marker.exists():
            marker.touch()
            os._exit(1)
        def handler(event, context):
            return "second attempt"
    """
    create(client, "init-once", source, Environment={"Variables": {"MARKER": str(tmp_path / "tried")}})
    answer = invoke(client, "init-once")
    assert (answer.error, answer.payload) == (None, "second attempt")


@pytest.mark.timeout(60)
def test_an_init_beyond_ten_seconds_is_repeated_under_the_functions_timeout(
    shared: RieServer, client: Any, tmp_path: Path
) -> None:
    once = """
        import os, pathlib, time
        marker = pathlib.Path(os.environ["MARKER"])
        if not marker.exists():
            marker.touch()
            time.sleep(600)
        def handler(event, context):
            return "second attempt"
    """
    create(client, "slow-once", once, Environment={"Variables": {"MARKER": str(tmp_path / "tried")}})
    create(client, "slow-always", "import time\ntime.sleep(600)\n", Timeout=1)
    began = time.monotonic()

    def timed(name: str) -> tuple[Any, float]:
        answer = invoke(client, name)
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(2) as pool:
        (recovered, recovered_after), (hopeless, hopeless_after) = pool.map(timed, ("slow-once", "slow-always"))
    assert (recovered.error, recovered.payload) == (None, "second attempt")
    assert 10 <= recovered_after < 13
    assert (hopeless.error, hopeless.payload) == ("Unhandled", timeout_payload(hopeless.request_id, 1))
    assert 11 <= hopeless_after < 14

    def reports(name: str) -> list[str]:
        lines = [line for line in shared.output.splitlines() if line.startswith(f"[{name}] INIT_REPORT")]
        return [line.partition("\t")[2] for line in lines]

    wait_until(lambda: len(reports("slow-always")) == 2, what="the second INIT_REPORT")
    assert reports("slow-always") == ["Phase: init\tStatus: timeout", "Phase: invoke\tStatus: timeout"]
    assert reports("slow-once") == ["Phase: init\tStatus: timeout"]


# --- the pool ---


def test_a_warm_environment_is_used_again(client: Any) -> None:
    create(client, "warm", "import os\ndef handler(event, context):\n    return os.getpid()\n")
    assert len({invoke(client, "warm").payload for _ in range(10)}) == 1


def test_idle_environments_end_after_the_keepalive(start_rie: Callable[..., RieServer]) -> None:
    server = start_rie(keepalive_seconds=1)
    client = server.client()
    create(client, "idles", "import os\ndef handler(event, context):\n    return os.getpid()\n")
    first = invoke(client, "idles").payload
    time.sleep(0.6)
    assert invoke(client, "idles").payload == first, "the keep-alive begins anew with every invocation"
    time.sleep(0.6)
    assert environments(server, "idles"), "it ended before its keep-alive was over"
    wait_until(lambda: not environments(server, "idles"), seconds=4, what="the end of the idle environment")
    assert invoke(client, "idles").payload != first


def test_callers_share_the_environments_that_the_host_allows(
    start_rie: Callable[..., RieServer], tmp_path: Path
) -> None:
    server = start_rie(max_environments=2)
    client = server.client()
    source = """
        import os, time
        def handler(event, context):
            began = time.monotonic()
            time.sleep(0.3)
            return [event, os.getpid(), began, time.monotonic()]
    """
    for name in ("one", "two"):
        create(client, name, source, Timeout=30)
    most = 0
    done = threading.Event()

    def count() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, len(environments(server, "one")) + len(environments(server, "two")))
            time.sleep(0.02)

    counter = threading.Thread(target=count, name="count-environments")
    counter.start()
    try:
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda n: invoke(client, ("one", "two")[n % 2], n), range(18)))
    finally:
        done.set()
        counter.join()
    assert [answer.payload[0] for answer in answers] == list(range(18))
    runs = [answer.payload[2:] for answer in answers]
    assert max(sum(a <= moment < b for a, b in runs) for moment, _ in runs) == 2
    # One that was just replaced may still be on its way out.
    assert most <= 3


# --- what a function sees ---


def test_a_function_sees_the_neighbours_endpoints_and_nothing_of_the_servers_own(
    start_rie: Callable[..., RieServer],
) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "servers-own", "AWS_PROFILE": "private", "DATABASE_PASSWORD": "servers-own"}
    neighbours = {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9324", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
    client = start_rie(environ={**secrets, **neighbours}).client()
    create(client, "sees", "import os\ndef handler(event, context):\n    return dict(os.environ)\n")
    seen = invoke(client, "sees").payload
    assert {name: seen.get(name) for name in neighbours} == neighbours
    assert "servers-own" not in seen.values()
    assert not {"AWS_PROFILE", "DATABASE_PASSWORD"} & seen.keys()
    assert not [name for name in seen if name.startswith("RIE_")]
    own_home = os.environ.get("HOME")
    assert own_home is None or seen.get("HOME") != own_home


def test_the_echo_of_six_megabytes_passes_and_more_is_a_function_error(client: Any) -> None:
    create(client, "echoes", ECHO, MemorySize=512, Timeout=30)
    largest = "x" * (6 * 1024 * 1024 - 2)
    assert invoke(client, "echoes", largest).payload == largest
    create(client, "grows", "def handler(event, context):\n    return 'x' * event\n", MemorySize=512, Timeout=30)
    answer = invoke(client, "grows", 6 * 1024 * 1024 + 99)
    assert (answer.error, answer.payload) == (
        "Unhandled",
        {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        },
    )
    assert len(invoke(client, "grows", 6 * 1024 * 1024 + 98).payload) == 6 * 1024 * 1024 + 98


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has batch scheduling")
def test_a_runtime_does_not_interrupt_the_server_when_it_wakes_up(client: Any) -> None:
    create(client, "batch", "import os\ndef handler(event, context):\n    return os.sched_getscheduler(0)\n")
    assert invoke(client, "batch").payload & ~os.SCHED_RESET_ON_FORK == os.SCHED_BATCH
