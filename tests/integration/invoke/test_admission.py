"""Who may run, through a real server: reserved concurrency, loops that functions build themselves, and the old way to
queue an event.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, error_of, invoke

# Says that it has begun, and ends when it may.
WAITS = """
    import os, time
    def handler(event, context):
        open(event["begun"], "w").close()
        while not os.path.exists(event["end"]):
            time.sleep(0.005)
        return "ended"
"""
# Calls itself through its SDK, as a mistake would.
CALLS_ITSELF = """
    import json, os, boto3
    from botocore.config import Config
    client = boto3.client("lambda", endpoint_url=os.environ["ENDPOINT"], region_name="us-east-1",
                          aws_access_key_id="x", aws_secret_access_key="x",
                          config=Config(retries={"max_attempts": 0}))
    def handler(event, context):
        if event["depth"] == event["most"]:
            return {"depth": event["depth"], "trace": os.environ["_X_AMZN_TRACE_ID"]}
        event["depth"] += 1
        try:
            reply = client.invoke(FunctionName=context.function_name, Payload=json.dumps(event))
        except client.exceptions.RecursiveInvocationException as refused:
            return {"depth": event["depth"], "refused": refused.response["Message"], "type": refused.response["Type"],
                    "status": refused.response["ResponseMetadata"]["HTTPStatusCode"]}
        return json.loads(reply["Payload"].read())
"""
# Calls the other of two functions, with the header that botocore would write.
CALLS_THE_OTHER = """
    import json, os, urllib.error, urllib.parse, urllib.request
    def handler(event, context):
        trace = urllib.parse.quote(os.environ["_X_AMZN_TRACE_ID"], safe="-=;:+&[]{}\\"',")
        other = {"ping": "pong", "pong": "ping"}[context.function_name]
        url = f"{os.environ['ENDPOINT']}/2015-03-31/functions/{other}/invocations"
        request = urllib.request.Request(url, json.dumps(event + 1).encode(), {"X-Amzn-Trace-Id": trace})
        try:
            with urllib.request.urlopen(request) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as refused:
            with refused:
                return {"depth": event, "trace": trace, "error": refused.headers["x-amzn-ErrorType"]}
"""
WRITES = """
    def handler(event, context):
        with open(event["path"], "w") as file:
            file.write(context.aws_request_id)
"""


class Held:
    """An invocation that runs until ``end``."""

    def __init__(self, pool: ThreadPoolExecutor, client: Any, name: str, folder: Path) -> None:
        self._end = folder / "end"
        begun = folder / "begun"
        folder.mkdir()
        event = {"begun": str(begun), "end": str(self._end)}
        self._answer = pool.submit(invoke, client, name, event)
        wait_until(lambda: begun.exists() or self._answer.done(), what="the invocation to begin")
        assert begun.exists(), self._answer.result()

    def end(self) -> Any:
        self._end.touch()
        return self._answer.result(20).payload


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8, thread_name_prefix="callers") as pool:
        yield pool


def throttled(client: Any, name: str) -> str:
    """The reason for which an invocation of ``name`` is refused."""
    with pytest.raises(ClientError) as caught:
        invoke(client, name, {})
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("TooManyRequestsException", "Rate Exceeded.")
    return str(answer["Reason"])


def test_a_reservation_holds_at_once_and_what_runs_goes_on(
    start_rie: Callable[..., RieServer], pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    rie = start_rie()
    client = rie.client()
    create(client, "waits", WAITS, Timeout=60)
    reserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
    first, second = (Held(pool, client, "waits", tmp_path / name) for name in ("first", "second"))
    client.put_function_concurrency(FunctionName="waits", ReservedConcurrentExecutions=1)
    assert throttled(client, "waits") == reserved
    assert first.end() == "ended"
    assert throttled(client, "waits") == reserved
    dry = client.invoke(FunctionName="waits", InvocationType="DryRun")
    assert (dry["StatusCode"], dry["Payload"].read()) == (204, b"")
    assert second.end() == "ended"
    third = Held(pool, client, "waits", tmp_path / "third")
    assert throttled(client, "waits:$LATEST") == reserved
    client.delete_function_concurrency(FunctionName="waits")
    fourth = Held(pool, client, "waits", tmp_path / "fourth")
    assert (third.end(), fourth.end()) == ("ended", "ended")


def test_a_stopped_function_stays_stopped_after_a_restart_and_others_run(start_rie: Callable[..., RieServer]) -> None:
    rie = start_rie()
    client = rie.client()
    for name in ("stopped", "runs"):
        create(client, name, "def handler(event, context): return event")
    client.put_function_concurrency(FunctionName="stopped", ReservedConcurrentExecutions=0)
    rie.stop()
    rie.restart()
    client = rie.client()
    assert throttled(client, "stopped") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert client.get_function_concurrency(FunctionName="stopped")["ReservedConcurrentExecutions"] == 0
    assert invoke(client, "runs", 1).payload == 1
    client.put_function_concurrency(FunctionName="stopped", ReservedConcurrentExecutions=1)
    assert invoke(client, "stopped", 2).payload == 2


def test_a_loop_that_a_function_builds_with_its_sdk_is_stopped_unless_it_is_allowed(shared: RieServer) -> None:
    client = shared.client()
    create(client, "itself", CALLS_ITSELF, Timeout=60, Environment={"Variables": {"ENDPOINT": shared.url}})
    event = {"depth": 1, "most": 18}
    assert invoke(client, "itself", event).payload == {
        "depth": 17,
        "refused": "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services "
        "resources and stopped your function's invocation.",
        "type": "User",
        "status": 400,
    }
    client.put_function_recursion_config(FunctionName="itself", RecursiveLoop="Allow")
    answer = invoke(client, "itself", event).payload
    assert answer["depth"] == 18
    assert answer["trace"].endswith(":17")
    assert "Lineage=1:" in answer["trace"]


def test_a_loop_of_two_functions_is_stopped_when_one_has_run_sixteen_times(shared: RieServer) -> None:
    client = shared.client()
    for name in ("ping", "pong"):
        create(client, name, CALLS_THE_OTHER, Timeout=60, Environment={"Variables": {"ENDPOINT": shared.url}})
    answer = invoke(client, "ping", 1).payload
    assert (answer["depth"], answer["error"]) == (32, "RecursiveInvocationException")
    assert answer["trace"].count(":15") == 2
    assert "%7C" in answer["trace"]


def test_chains_that_have_nothing_to_do_with_each_other_are_no_loop(shared: RieServer) -> None:
    client = shared.client()
    create(client, "again", "def handler(event, context): return event")
    assert [invoke(client, "again", number).payload for number in range(20)] == list(range(20))


@pytest.mark.parametrize("slash", ["", "/"])
def test_invoke_async_queues_an_event(shared: RieServer, tmp_path: Path, slash: str) -> None:
    client = shared.client()
    name = f"writes{len(slash)}"
    create(client, name, WRITES)
    path = tmp_path / "written"
    url = f"{shared.url}/2014-11-13/functions/{name}/invoke-async{slash}"
    with requests.post(url, data=json.dumps({"path": str(path)}), timeout=10) as reply:
        assert (reply.status_code, reply.json()) == (202, {"Status": 202})
        request_id = reply.headers["x-amzn-RequestId"]
    wait_until(lambda: path.exists() and path.stat().st_size, what="the event to run")
    assert path.read_text() == request_id
    assert client.invoke_async(FunctionName=name, InvokeArgs=json.dumps({"path": str(path)}))["Status"] == 202


def test_invoke_async_refuses_what_it_cannot_queue(shared: RieServer) -> None:
    client = shared.client()
    create(client, "writes-nothing", "def handler(event, context): pass")
    call = client.invoke_async
    largest = b'"' + b"x" * (256 * 1024 - 2) + b'"'
    assert call(FunctionName="writes-nothing", InvokeArgs=largest)["Status"] == 202
    assert error_of(call, FunctionName="writes-nothing", InvokeArgs=largest + b" ") == (
        413,
        "RequestTooLargeException",
        "262145 byte payload is too large for the Event invocation type (limit 262144 bytes)",
    )
    assert error_of(call, FunctionName="writes-nothing", InvokeArgs=b"{")[1] == "InvalidRequestContentException"
    assert error_of(call, FunctionName="nowhere", InvokeArgs=b"{}") == (
        404,
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere:$LATEST",
    )
