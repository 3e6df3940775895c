"""How slots are shared out between lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie_server.events.shares import Shares


def taking(shares: Shares, lanes: list[str]) -> dict[str, int]:
    """Lets every lane take what it is allotted."""
    allotted = shares.allot(lanes)
    for lane, slots in allotted.items():
        shares.take(lane, slots)
    return allotted


@pytest.mark.parametrize(("lanes", "each"), [(1, 60), (2, 40), (5, 20), (11, 10)])
def test_lanes_that_come_together_get_the_same_and_leave_as_much_free(lanes: int, each: int) -> None:
    shares = Shares(120)
    names = [str(number) for number in range(lanes)]

    assert taking(shares, names) == dict.fromkeys(names, each)
    assert taking(shares, names) == {}
    assert taking(shares, ["newcomer"])["newcomer"] == each // 2


def test_a_single_slot_can_be_used() -> None:
    shares = Shares(1)

    assert taking(shares, ["a", "b"]) in ({"a": 1}, {"b": 1})
    assert not shares.may_take("c")


def test_the_last_slot_goes_to_another_lane_each_time() -> None:
    shares = Shares(1)

    assert {next(iter(shares.allot(["a", "b", "c"]))) for _ in range(3)} == {"a", "b", "c"}


def test_a_slot_that_is_given_back_can_be_taken_again() -> None:
    shares = Shares(4)
    taking(shares, ["a"])
    assert not shares.may_take("a")

    shares.give_back("a")

    assert shares.may_take("a")
    assert shares.held == 1


def test_no_lanes_get_nothing() -> None:
    assert Shares(4).allot([]) == {}


@given(slots=st.integers(1, 200), rounds=st.lists(st.lists(st.sampled_from("abcdef"), unique=True), max_size=8))
def test_never_are_more_slots_taken_than_there_are(slots: int, rounds: list[list[str]]) -> None:
    shares = Shares(slots)
    for lanes in rounds:
        taking(shares, lanes)
        assert shares.held <= slots
        assert all(not shares.may_take(lane) for lane in lanes)
