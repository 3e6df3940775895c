"""An update never reaches a stale environment: what is invoked after it is Successful runs the new code."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, invoke, marked_processes, python_zip, wait_updated

UPDATES = 100
CALLERS = 2


def source(generation: int) -> str:
    return f"import os\ndef handler(event, context):\n    return [{generation}, int(os.environ['GENERATION'])]\n"


class Generations:
    """The code and the configuration that were asked for, and those that were Successful, at any moment."""

    def __init__(self) -> None:
        self.asked = [0, 0]
        self.successful = [0, 0]


def update(client: Any, generations: Generations, number: int) -> None:
    """Even numbers bring new code, odd ones a new configuration."""
    which = number % 2
    generations.asked[which] = number
    if which == 0:
        client.update_function_code(FunctionName="moves", ZipFile=python_zip(source(number)))
    else:
        variables = {"Variables": {"GENERATION": str(number)}}
        client.update_function_configuration(FunctionName="moves", Environment=variables)
    wait_updated(client, "moves")
    generations.successful[which] = number


@pytest.mark.timeout(180)
def test_an_invocation_after_an_update_runs_what_was_deployed(shared: RieServer, client: Any) -> None:
    create(client, "moves", source(0), Environment={"Variables": {"GENERATION": "0"}}, Timeout=30)
    generations = Generations()
    finished = threading.Event()

    def call_on(_: int) -> int:
        count = 0
        while not finished.is_set():
            at_least = list(generations.successful)
            answer = invoke(client, "moves")
            at_most = list(generations.asked)
            assert answer.error is None, answer.payload
            for low, got, high in zip(at_least, answer.payload, at_most, strict=True):
                assert low <= got <= high, f"{answer.payload} is not between {at_least} and {at_most}"
            count += 1
        return count

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(call_on, caller) for caller in range(CALLERS)]
        try:
            for number in range(1, UPDATES + 1):
                update(client, generations, number)
                assert invoke(client, "moves").payload == generations.successful
                assert not any(caller.done() for caller in callers), "a caller has failed"
        finally:
            finished.set()
        counts = [caller.result(30) for caller in callers]
    assert sum(counts) >= UPDATES / 2
    wait_until(
        lambda: len(marked_processes(shared.data_dir)) <= CALLERS + 1, seconds=5, what="stale environments to end"
    )


def test_an_invocation_that_runs_during_an_update_finishes_on_the_old_code(client: Any, tmp_path: Any) -> None:
    old = """
        import pathlib, time
        def handler(event, context):
            pathlib.Path(event).touch()
            time.sleep(1)
            return "old"
    """
    create(client, "changes", old, Timeout=30)
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, client, "changes", str(begun))
        wait_until(begun.exists, what="the handler to begin")
        client.update_function_code(
            FunctionName="changes", ZipFile=python_zip("def handler(event, context):\n    return 'new'\n")
        )
        wait_updated(client, "changes")
        assert invoke(client, "changes").payload == "new"
        assert not running.done()
        assert running.result(10).payload == "old"


def test_a_function_that_is_deleted_and_created_again_starts_afresh(client: Any) -> None:
    for generation in range(5):
        create(client, "returns", f"def handler(event, context):\n    return {generation}\n")
        assert invoke(client, "returns").payload == generation
        client.delete_function(FunctionName="returns")
