"""Control over time, the view of events and the metrics, through a real server."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create

FAILS = """
    def handler(event, context):
        raise ValueError("no")
"""
ECHO = """
    def handler(event, context):
        return event
"""
SLEEPS = """
    import time

    def handler(event, context):
        before = context.get_remaining_time_in_millis()
        time.sleep(event["seconds"])
        return before
"""


class Server:
    """A server, and its own paths as a test uses them."""

    def __init__(self, rie: RieServer) -> None:
        self.rie = rie
        self.lambda_ = rie.client()

    def get(self, path: str, **query: Any) -> Any:
        with requests.get(f"{self.rie.url}{path}", params=query, timeout=30) as reply:
            assert reply.status_code == 200, reply.text
            return reply.json()

    def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        with requests.post(f"{self.rie.url}{path}", json=body, timeout=60) as reply:
            assert reply.status_code == status, reply.text
            return reply.json()

    def move(self, seconds: float) -> None:
        assert self.post("/_rie/clock", {"advance_seconds": seconds})["settled"] is True

    def send(self, name: str, payload: bytes = b"{}") -> str:
        answer = self.lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
        return answer["ResponseMetadata"]["RequestId"]

    def wait(self, request_id: str, timeout_seconds: float = 30) -> Any:
        return self.post(f"/_rie/events/{request_id}/wait", {"timeout_seconds": timeout_seconds})

    def event(self, request_id: str) -> Any:
        (event,) = self.get("/_rie/events", request_id=request_id)["events"]
        return event

    def metrics(self, function: str) -> dict[str, float]:
        """Samples of one function by name, without buckets; and those that have no function."""
        with requests.get(f"{self.rie.url}/metrics", timeout=30) as reply:
            assert reply.status_code == 200
            return {
                sample.name: sample.value
                for family in text_string_to_metric_families(reply.text)
                for sample in family.samples
                if sample.labels.get("function_name", function) == function and "le" not in sample.labels
            }


@pytest.fixture
def manual(start_rie: Callable[..., RieServer]) -> Server:
    return Server(start_rie(clock="manual"))


def test_time_stands_still_until_it_is_moved_and_then_every_retry_happens_in_its_turn(manual: Server) -> None:
    create(manual.lambda_, "fails", FAILS)
    before = manual.get("/_rie/clock")
    request_id = manual.send("fails")
    wait_until(lambda: manual.event(request_id)["state"] == "retrying")
    assert manual.get("/_rie/clock") == before
    manual.move(59)
    assert (manual.event(request_id)["state"], manual.event(request_id)["attempts"]) == ("retrying", 1)
    manual.move(1)
    assert (manual.event(request_id)["state"], manual.event(request_id)["attempts"]) == ("retrying", 2)
    manual.move(6 * 3600)
    event = manual.event(request_id)
    assert (event["state"], event["condition"], event["invoke_count"]) == ("dropped", "RetriesExhausted", 3)
    assert event["response"]["errorMessage"] == "no"
    assert manual.wait(request_id) == event


def test_one_move_plays_hours_of_many_events(manual: Server) -> None:
    create(manual.lambda_, "fails", FAILS)
    create(manual.lambda_, "echo", ECHO)
    sent = [manual.send(name) for name in ("fails", "echo") for _ in range(20)]
    manual.move(6 * 3600)
    ended = [manual.event(request_id) for request_id in sent]
    assert [event["state"] for event in ended] == ["dropped"] * 20 + ["delivered"] * 20
    assert [event["invoke_count"] for event in ended] == [3] * 20 + [1] * 20
    assert manual.get("/_rie/events", state="queued")["events"] == []
    assert len(manual.get("/_rie/events", state="dropped", limit=7)["events"]) == 7


def test_whoever_waits_gets_the_record_at_once_and_blocks_nobody(manual: Server) -> None:
    create(manual.lambda_, "echo", SLEEPS)
    request_id = manual.send("echo", b'{"seconds": 1}')
    with ThreadPoolExecutor(40, thread_name_prefix="waiting") as threads:
        waiting = [threads.submit(manual.wait, request_id) for _ in range(40)]
        assert manual.get("/_rie/health") == {"status": "ok"}
        assert manual.event(request_id)["state"] in ("queued", "in_flight")
        records = [one.result() for one in waiting]
    assert all(record == records[0] for record in records)
    assert (records[0]["state"], records[0]["condition"]) == ("delivered", "Success")


def test_whoever_waits_for_too_long_or_for_nothing_is_told_so(manual: Server) -> None:
    create(manual.lambda_, "fails", FAILS)
    request_id = manual.send("fails")
    began = time.monotonic()
    refused = manual.post(f"/_rie/events/{request_id}/wait", {"timeout_seconds": 0.2}, status=408)
    assert 0.2 <= time.monotonic() - began < 5
    assert refused["message"] == f"Event {request_id} has not ended within 0.2 s."
    manual.post("/_rie/events/nobody/wait", {}, status=404)
    manual.post("/_rie/events/nobody/wait", {"timeout": 1}, status=400)


def test_deadlines_of_functions_stay_real(manual: Server) -> None:
    create(manual.lambda_, "sleeps", SLEEPS, Timeout=2)
    manual.move(86_400)
    answers: list[Any] = []

    def invoke(seconds: float) -> None:
        answer = manual.lambda_.invoke(FunctionName="sleeps", Payload=json.dumps({"seconds": seconds}))
        answers.append((answer.get("FunctionError"), json.load(answer["Payload"])))

    invoke(0)
    error, remaining_ms = answers.pop()
    assert error is None
    assert 1000 < remaining_ms <= 2000, "the runtime compares its deadline with the clock of its own process"

    running = threading.Thread(target=invoke, args=(0.8,), name="running")
    running.start()
    wait_until(lambda: manual.metrics("sleeps")["ConcurrentExecutions"] == 1)
    manual.move(3600)
    running.join()
    assert answers.pop()[0] is None, "time that was moved ran into a function's deadline"

    began = time.monotonic()
    invoke(30)
    assert 2.0 <= time.monotonic() - began < 10
    assert answers.pop()[1]["errorType"] == "Sandbox.Timedout"


def test_keep_alive_goes_by_the_clock_that_is_moved(manual: Server) -> None:
    create(manual.lambda_, "sleeps", "import os\n\ndef handler(event, context):\n    return os.getpid()\n")

    def process() -> int:
        return json.load(manual.lambda_.invoke(FunctionName="sleeps")["Payload"])

    first = process()
    manual.move(599)
    assert process() == first
    manual.move(601)
    assert process() != first


def test_a_fast_clock_retries_sooner(start_rie: Callable[..., RieServer]) -> None:
    server = Server(start_rie(clock_speed=200))
    create(server.lambda_, "fails", FAILS)
    began = time.monotonic()
    record = server.wait(server.send("fails"))
    assert record["condition"] == "RetriesExhausted"
    assert 0.9 <= time.monotonic() - began < 15, "three minutes at 200 times the speed are 0.9 s"
    assert server.get("/_rie/clock")["speed"] == 200
    server.post("/_rie/clock", {"advance_seconds": 60}, status=409)


def test_the_systems_clock_cannot_be_moved(rie: RieServer) -> None:
    server = Server(rie)
    assert server.get("/_rie/clock")["mode"] == "system"
    refused = server.post("/_rie/clock", {"advance_seconds": 60}, status=409)
    assert "RIE_CLOCK=manual" in refused["message"]


def test_after_a_crash_time_goes_on_and_events_are_due_when_they_were(manual: Server) -> None:
    create(manual.lambda_, "fails", FAILS)
    manual.move(86_400)
    request_id = manual.send("fails")
    wait_until(lambda: manual.event(request_id)["state"] == "retrying")
    before, due_at = manual.get("/_rie/clock"), manual.event(request_id)["due_at"]
    manual.rie.kill()
    manual.rie.restart()
    assert manual.get("/_rie/clock") == before
    assert (manual.event(request_id)["state"], manual.event(request_id)["due_at"]) == ("retrying", due_at)
    manual.move(3600)
    assert manual.wait(request_id)["invoke_count"] == 3


def test_metrics_add_up(manual: Server) -> None:
    create(manual.lambda_, "fails", FAILS)
    create(manual.lambda_, "stopped", ECHO)
    manual.lambda_.invoke(FunctionName="fails")
    manual.send("fails")
    manual.move(6 * 3600)
    manual.lambda_.put_function_concurrency(FunctionName="stopped", ReservedConcurrentExecutions=0)
    for _ in range(2):
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            manual.lambda_.invoke(FunctionName="stopped")
    samples = manual.metrics("fails")
    assert samples["Invocations_total"] == samples["Errors_total"] == samples["Duration_count"] == 4
    assert 0 < samples["Duration_sum"] < 60_000
    assert (samples["AsyncEventsReceived_total"], samples["AsyncEventsDropped_total"]) == (1, 1)
    assert samples["AsyncEventAge_count"] == 3
    assert samples["AsyncEventAge_sum"] == pytest.approx(0 + 60_000 + 180_000, abs=100)
    assert (samples["ConcurrentExecutions"], samples["UnreservedConcurrentExecutions"]) == (0, 0)
    stopped = manual.metrics("stopped")
    assert (stopped["Throttles_total"], stopped["Invocations_total"]) == (2, 0)
