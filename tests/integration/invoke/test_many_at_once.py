"""A thousand invocations from 64 clients at once, with crashes and timeouts among them: everybody gets the own answer,
and nothing is left but the warm pool.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import Answer, create, invoke, marked_processes
from tests.integration.invoke.test_life import environments, exit_payload, timeout_payload

INVOCATIONS = 1000
CLIENTS = 64
# How many of each per thousand; the rest sleeps for a moment and answers.
TROUBLES = {"exit": 20, "segfault": 10, "raise": 40, "memory": 6, "endless": 8, "asleep": 6}

MIXED = """
    import ctypes, os, time
    def handler(event, context):
        how, token = event["how"], event["token"]
        print(f"token {token} before", flush=True)
        time.sleep(event["seconds"])
        print(f"token {token} after", flush=True)
        if how == "exit":
            os._exit(event["status"])
        if how == "segfault":
            ctypes.string_at(0)
        if how == "raise":
            raise LookupError(token)
        hoard = []
        while how == "memory":
            hoard.append(b"x" * 10_000_000)
        return {"token": token, "request": context.aws_request_id, "pid": os.getpid()}
"""
STUCK = """
    import time
    def handler(event, context):
        print(f"token {event['token']} before", flush=True)
        while event["how"] == "endless":
            pass
        time.sleep(600)
"""


class Call:
    """One invocation: what is asked, and whether the answer is the right one."""

    def __init__(self, how: str, dice: random.Random) -> None:
        self.token = str(uuid4())
        self.how = how
        self.function = "stuck" if how in ("endless", "asleep") else "mixed"
        self.status = dice.randint(1, 255)
        self.seconds = dice.random() * 0.15
        self.wants_log = dice.random() < 0.2

    @property
    def event(self) -> dict[str, Any]:
        return {"how": self.how, "token": self.token, "status": self.status, "seconds": self.seconds}

    def check(self, answer: Answer) -> None:
        words = f"{self.how} {self.token}: {answer}"
        if self.how == "echo":
            assert answer.error is None, words
            assert answer.payload["token"] == self.token, words
            assert answer.payload["request"] == answer.request_id, words
        else:
            assert answer.error == "Unhandled", words
            assert self._is_own_error(answer), words
        if self.wants_log:
            self._check_log(answer)

    def _is_own_error(self, answer: Answer) -> bool:
        payload, request_id = answer.payload, answer.request_id
        if self.how == "raise":
            return (payload["errorType"], payload["errorMessage"]) == ("LookupError", self.token)
        if self.function == "stuck":
            return bool(payload == timeout_payload(request_id, 1))
        if self.how == "memory" and payload["errorType"] == "MemoryError":
            return bool(payload["requestId"] == request_id)  # where there are no control groups
        words = {
            "exit": f"exit status {self.status}",
            "segfault": "signal: segmentation fault",
            "memory": "signal: killed",
        }[self.how]
        return bool(payload == exit_payload(request_id, f"Runtime exited with error: {words}"))

    def _check_log(self, answer: Answer) -> None:
        lines = answer.log.splitlines()
        assert lines[0] == f"START RequestId: {answer.request_id} Version: $LATEST", answer
        assert lines[-1].startswith(f"REPORT RequestId: {answer.request_id}\t"), answer
        tokens = {line.split()[1] for line in lines if line.startswith("token ")}
        assert tokens == {self.token}, answer


def calls() -> Iterator[Call]:
    dice = random.Random(20260101)
    hows = [how for how, count in TROUBLES.items() for _ in range(count)]
    hows += ["echo"] * (INVOCATIONS - len(hows))
    dice.shuffle(hows)
    return (Call(how, dice) for how in hows)


@pytest.mark.timeout(150)
def test_every_caller_gets_the_own_answer_and_nothing_is_left_but_the_warm_pool(
    start_rie: Callable[..., RieServer],
) -> None:
    server = start_rie()
    client = server.client()
    create(client, "mixed", MIXED, Timeout=60, MemorySize=128)
    create(client, "stuck", STUCK, Timeout=1)
    starts = threading.Barrier(CLIENTS)
    waiting, lock = calls(), threading.Lock()

    def be_a_client(_: int) -> Counter[str]:
        answered: Counter[str] = Counter()
        starts.wait()
        while True:
            with lock:
                call = next(waiting, None)
            if call is None:
                return answered
            members = {"LogType": "Tail"} if call.wants_log else {}
            call.check(invoke(client, call.function, call.event, **members))
            answered[call.how] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        answered = sum(pool.map(be_a_client, range(CLIENTS)), Counter[str]())
    assert answered == {**TROUBLES, "echo": INVOCATIONS - sum(TROUBLES.values())}

    wait_until(lambda: not environments(server, "stuck"), seconds=10, what="the end of what was timed out")
    warm = environments(server, "mixed")
    assert 1 <= len(warm) <= CLIENTS
    assert all("awslambdaric" in command for command in warm.values()), warm
    wait_until(lambda: set(marked_processes(server.data_dir)) == set(warm), what="the end of everything else")
    answer = invoke(client, "mixed", {"how": "echo", "token": "one more", "seconds": 0, "status": 0})
    assert answer.payload["pid"] in warm
    server.stop()
    assert not marked_processes(server.data_dir)
