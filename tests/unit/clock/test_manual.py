"""The clock that is moved by hand, over a real clock and over one that the test moves."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.clock.manual import ManualClock
from rie_server.clock.system import SystemClock
from tests.fakes.clock import FakeClock

START = 1_767_225_600.0


class Worker:
    """Fills ``observing.Settling``: works on for a while on a thread of its own after it was woken."""

    def __init__(self) -> None:
        self.busy = 0
        self.threads: list[threading.Thread] = []

    def is_settled(self) -> bool:
        return self.busy == 0

    def work(self, task: Callable[[], None], *, seconds: float = 0.02) -> None:
        self.busy += 1

        def run() -> None:
            time.sleep(seconds)
            task()
            self.busy -= 1

        thread = threading.Thread(target=run, name="worker")
        self.threads.append(thread)
        thread.start()


@pytest.fixture
def real() -> Iterator[SystemClock]:
    clock = SystemClock()
    clock.start()
    yield clock
    clock.close()


@pytest.fixture
def clock(real: SystemClock) -> Iterator[ManualClock]:
    clock = ManualClock(real, start_at=START)
    yield clock
    clock.close()


@given(
    start_at=st.floats(1_767_225_600.0, 4_000_000_000.0),
    moves=st.lists(st.floats(0.0, 100_000.0), max_size=5),
    delay=st.floats(0.001, 21_600.0),
)
def test_what_is_due_so_many_seconds_from_now_is_due_when_the_clock_has_moved_by_them(
    start_at: float, moves: list[float], delay: float
) -> None:
    clock = ManualClock(FakeClock(), start_at=start_at)
    for seconds in moves:
        clock.advance(seconds, settle_seconds=0)
    due_at = clock.now() + delay
    fired_at: list[float] = []
    clock.call_later(due_at - clock.now(), lambda: fired_at.append(clock.now()))
    clock.advance(delay, settle_seconds=0)
    assert len(fired_at) == 1
    assert fired_at[0] >= due_at


def test_time_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    fired: list[str] = []
    clock.call_later(0.001, lambda: fired.append("timer"))
    time.sleep(0.03)
    assert (clock.now(), clock.monotonic(), fired) == (START, 0.0, [])

    assert clock.advance(60, settle_seconds=1) is True
    assert (clock.now(), clock.monotonic(), fired) == (START + 60, 60.0, ["timer"])


def test_timers_fire_in_order_each_at_its_own_time_before_the_move_returns(clock: ManualClock) -> None:
    fired: list[tuple[str, float]] = []
    for name, due in (("late", 50.0), ("early", 10.0), ("also early", 10.0), ("never", 60.5)):
        clock.call_later(due, lambda name=name: fired.append((name, clock.monotonic())))
    clock.advance(60, settle_seconds=1)
    assert fired == [("early", 10.0), ("also early", 10.0), ("late", 50.0)]


def test_a_timer_set_by_a_timer_fires_in_the_same_move_when_it_is_due(clock: ManualClock) -> None:
    fired: list[float] = []

    def again() -> None:
        fired.append(clock.monotonic())
        clock.call_later(20, again)

    clock.call_later(20, again)
    clock.advance(70, settle_seconds=1)
    assert fired == [20.0, 40.0, 60.0]
    assert clock.monotonic() == 70.0


def test_a_cancelled_timer_does_not_fire_even_when_one_of_the_same_moment_cancels_it(clock: ManualClock) -> None:
    fired: list[str] = []
    clock.call_later(5, lambda: fired.append("cancelled before")).cancel()
    timers = []
    clock.call_later(10, lambda: [timer.cancel() for timer in timers] and None)
    timers.append(clock.call_later(10, lambda: fired.append("cancelled in time")))
    clock.advance(20, settle_seconds=1)
    assert fired == []


def test_a_failing_timer_harms_no_other(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    fired: list[str] = []
    clock.call_later(1, lambda: fired.remove("what is not there"))
    clock.call_later(2, lambda: fired.append("next"))
    clock.advance(3, settle_seconds=1)
    assert fired == ["next"]
    assert "A timer failed" in caplog.text


def test_what_is_due_at_once_needs_no_move(clock: ManualClock) -> None:
    fired = threading.Event()
    clock.call_later(0, fired.set)
    assert fired.wait(5)


def test_the_clock_lets_work_finish_before_it_moves_on_so_that_its_next_timer_is_in_time(clock: ManualClock) -> None:
    worker = Worker()
    clock.wait_for(worker)
    tried_at: list[float] = []

    def retry() -> None:
        worker.work(lambda: (tried_at.append(clock.monotonic()), clock.call_later(120, second)))

    def second() -> None:
        worker.work(lambda: tried_at.append(clock.monotonic()))

    clock.call_later(60, retry)
    assert clock.advance(3600, settle_seconds=5) is True
    assert tried_at == [60.0, 180.0]
    for thread in worker.threads:
        thread.join()


def test_a_move_begins_with_what_was_going_on_before_it(clock: ManualClock) -> None:
    worker = Worker()
    clock.wait_for(worker)
    fired: list[float] = []
    worker.work(lambda: clock.call_later(60, lambda: fired.append(clock.monotonic())) and None)
    clock.advance(60, settle_seconds=5)
    assert fired == [60.0]
    worker.threads[0].join()


def test_work_that_does_not_end_is_not_waited_for_longer_than_allowed(clock: ManualClock) -> None:
    worker = Worker()
    worker.busy = 1
    clock.wait_for(worker)
    fired: list[float] = []
    for due in range(1, 101):
        clock.call_later(due, lambda: fired.append(clock.monotonic()))
    began = time.monotonic()
    assert clock.advance(200, settle_seconds=0.05) is False
    assert time.monotonic() - began < 1.0
    assert (len(fired), clock.monotonic()) == (100, 200.0)


def test_a_clock_that_is_closed_while_it_moves_lets_go_and_stops_where_it_is(clock: ManualClock) -> None:
    worker = Worker()
    clock.wait_for(worker)
    clock.call_later(10, lambda: worker.work(lambda: None, seconds=1))
    closing = threading.Timer(0.05, clock.close)
    closing.start()
    begun = time.monotonic()
    settled = clock.advance(60, settle_seconds=30)

    assert settled is False
    assert time.monotonic() - begun < 0.8
    assert clock.monotonic() == 10
    for thread in (closing, *worker.threads):
        thread.join()


def test_only_one_moves_the_clock_at_a_time(clock: ManualClock) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait(5)

    clock.call_later(1, hold)
    mover = threading.Thread(target=clock.advance, args=(10,), kwargs={"settle_seconds": 1}, name="mover")
    mover.start()
    assert entered.wait(5)
    assert clock.advance(5, settle_seconds=1) is None
    leave.set()
    mover.join()
    assert clock.monotonic() == 10.0


def test_sleepers_wake_when_the_clock_has_come_so_far_or_closes(clock: ManualClock) -> None:
    woken: list[str] = []
    sleepers = [
        threading.Thread(target=lambda: (clock.sleep(30), woken.append("moved")), name="short"),
        threading.Thread(target=lambda: (clock.sleep(3600), woken.append("closed")), name="long"),
    ]
    for sleeper in sleepers:
        sleeper.start()
    while len(clock._sleepers) < 2 or len(clock._timers) < 2:
        time.sleep(0.001)
    clock.advance(30, settle_seconds=1)
    sleepers[0].join(5)
    assert woken == ["moved"]
    clock.close()
    sleepers[1].join(5)
    assert woken == ["moved", "closed"]
    clock.sleep(10)  # a closed clock holds nobody
