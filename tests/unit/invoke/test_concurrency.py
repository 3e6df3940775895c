"""Reserved concurrency: who is admitted, who is throttled with which reason, and what a change does to what runs."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rie_server.errors import LambdaError, TooManyRequestsException, ZeroReservedConcurrencyException
from rie_server.invoke.concurrency import Concurrency, RunningFunction
from rie_server.model.arn import FunctionArn
from rie_server.model.concurrency_rules import minimum_unreserved, unreserved
from tests.unit.invoke.conftest import ARN, Stage, function_version

RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
ACCOUNT = "ConcurrentInvocationLimitExceeded"


def function(name: str) -> FunctionArn:
    return FunctionArn(region="us-east-1", account="000000000000", name=name)


A, B, C = function("a"), function("b"), function("c")


def fill(concurrency: Concurrency, arn: FunctionArn) -> list[RunningFunction]:
    """Enters until it is refused."""
    admitted = []
    for _ in range(10_000):
        try:
            admitted.append(concurrency.enter(arn))
        except TooManyRequestsException:
            return admitted
    raise AssertionError("nothing was ever refused")


def reason_of(concurrency: Concurrency, arn: FunctionArn) -> str:
    with pytest.raises(TooManyRequestsException) as refused:
        concurrency.enter(arn)
    assert (refused.value.status, refused.value.message) == (429, "Rate Exceeded.")
    assert refused.value.headers == {"Retry-After": "1"}
    return refused.value.members["Reason"]


def test_without_reservations_all_functions_share_the_accounts_limit() -> None:
    concurrency = Concurrency(10)
    assert len(fill(concurrency, A)) == 10
    assert reason_of(concurrency, B) == ACCOUNT


def test_a_reservation_is_the_functions_own_share_and_its_most() -> None:
    concurrency = Concurrency(10)
    concurrency.reserve(A, 4)
    assert len(fill(concurrency, B)) == 6
    assert len(fill(concurrency, A)) == 4
    assert (reason_of(concurrency, A), reason_of(concurrency, C)) == (RESERVED, ACCOUNT)
    assert (concurrency.running, concurrency.unreserved_running, concurrency.running_of(A)) == (10, 6, 4)
    assert concurrency.running_by_function() == {A: 4, B: 6, C: 0}


def test_nothing_reserved_stops_the_function_with_a_refusal_of_its_own() -> None:
    concurrency = Concurrency(10)
    concurrency.reserve(A, 0)
    with pytest.raises(ZeroReservedConcurrencyException):
        concurrency.enter(A)
    assert reason_of(concurrency, A) == RESERVED
    concurrency.reserve(A, 1)
    concurrency.enter(A)
    assert reason_of(concurrency, A) == RESERVED
    with pytest.raises(TooManyRequestsException) as refused:
        concurrency.enter(A)
    assert not isinstance(refused.value, ZeroReservedConcurrencyException)


def test_what_runs_goes_on_when_a_reservation_comes_and_counts_towards_it() -> None:
    concurrency = Concurrency(10)
    running = [concurrency.enter(A) for _ in range(5)]
    concurrency.reserve(A, 3)
    assert (concurrency.running_of(A), concurrency.unreserved_running) == (5, 0)
    assert len(fill(concurrency, B)) == 7
    assert reason_of(concurrency, A) == RESERVED
    for one in running[:3]:
        concurrency.leave(one)
    concurrency.enter(A)
    assert reason_of(concurrency, A) == RESERVED


def test_what_runs_goes_on_when_a_reservation_goes_and_counts_among_the_others() -> None:
    concurrency = Concurrency(10)
    concurrency.reserve(A, 4)
    running = fill(concurrency, A)
    others = fill(concurrency, B)
    concurrency.reserve(A, None)
    assert concurrency.unreserved_running == 10
    assert reason_of(concurrency, A) == ACCOUNT
    for one in running + others:
        concurrency.leave(one)
    assert (concurrency.running, concurrency.unreserved_running) == (0, 0)
    assert len(fill(concurrency, A)) == 10


def test_a_function_that_is_gone_gives_its_share_back_and_its_name_to_a_new_one() -> None:
    concurrency = Concurrency(10)
    concurrency.reserve(A, 4)
    old = fill(concurrency, A)
    concurrency.forget(A)
    assert (concurrency.running, concurrency.unreserved_running) == (4, 4)
    assert len(fill(concurrency, A)) == 6
    for one in old:
        concurrency.leave(one)
    assert (concurrency.running_of(A), concurrency.running) == (6, 6)
    concurrency.forget(A)
    concurrency.forget(C)
    assert concurrency.running_by_function() == {}


def test_counts_come_out_even_whatever_threads_and_changes_do() -> None:
    concurrency = Concurrency(20)
    seen: list[int] = []
    stop = threading.Event()

    def invoke(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(1500):
            try:
                running = concurrency.enter(dice.choice((A, B, C)))
            except LambdaError:
                continue
            seen.append(concurrency.running)
            concurrency.leave(running)

    def change() -> None:
        dice = random.Random(99)
        while not stop.is_set():
            concurrency.reserve(dice.choice((A, B)), dice.choice((None, 0, 1, 3)))
            if dice.random() < 0.1:
                concurrency.forget(A)

    changer = threading.Thread(target=change, name="changer")
    changer.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(invoke, range(8)))
    stop.set()
    changer.join()
    assert seen
    assert max(seen) <= 20
    assert (concurrency.running, concurrency.unreserved_running) == (0, 0)
    assert set(concurrency.running_by_function().values()) <= {0}


def test_an_account_keeps_a_hundred_for_all_or_half_of_what_a_small_host_has() -> None:
    assert [minimum_unreserved(limit) for limit in (1000, 200, 150, 10, 1)] == [100, 100, 75, 5, 1]


def test_reservations_from_a_larger_host_leave_the_others_their_minimum() -> None:
    assert unreserved(1000, [400, 0, 100]) == 500
    assert unreserved(20, [400]) == 10


def test_invocations_are_held_to_the_reservation_until_they_have_their_result(stage: Stage) -> None:
    stage.front_controller.concurrency.reserve(ARN, 1)
    stage.invoke("a")
    with pytest.raises(TooManyRequestsException) as refused:
        stage.invoke("b")
    assert refused.value.members == {"Reason": RESERVED}
    stage.catalog.functions["other"] = function_version("d2", name="other")
    stage.invoke("c", name="other")
    stage.runtime(0).next().respond()
    stage.invoke("d")
    assert set(stage.results) == {"a"}
    assert stage.front_controller.concurrency.running_of(ARN) == 1
