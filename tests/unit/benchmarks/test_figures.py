"""Medians, ratios, spreads and verdicts."""

import pytest

from benchmarks.figures import Check, ScenarioResult, Series, Spread, Verdict, limit_check, percentile, ratio_check


def series(contender, *values, metric="p50", unit="ms"):
    return Series(contender=contender, metric=metric, unit=unit, values=values)


def test_a_percentile_lies_between_its_neighbours():
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([1.0, 2.0, 3.0], 100) == 3.0
    assert percentile([1.0, 2.0, 3.0], 0) == 1.0
    assert percentile([7.0], 99) == 7.0


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_ratio_is_taken_within_each_round_and_not_between_medians():
    # The machine slowed down fivefold in the second round: the ratio does not notice.
    check = ratio_check(
        [series("server", 1.0, 5.0, 1.2), series("emulator", 2.0, 10.0, 2.4)],
        metric="p50",
        of="server",
        to="emulator",
        limit=1.0,
    )
    assert check.spread == Spread(median=0.5, low=0.5, high=0.5, rounds=3)
    assert check.verdict is Verdict.PASS


def test_a_ratio_shows_how_far_its_rounds_lie_apart():
    check = ratio_check([series("a", 1.0, 2.0, 3.0), series("b", 1.0, 1.0, 1.0)], metric="p50", of="a", to="b")
    assert check.spread is not None
    assert (check.spread.low, check.spread.median, check.spread.high) == (1.0, 2.0, 3.0)


def test_a_contender_that_did_not_take_part_is_skipped_with_the_reason():
    check = ratio_check([series("server", 1.0)], metric="p50", of="server", to="emulator", limit=1.0, reason="offline")
    assert (check.verdict, check.reason) == (Verdict.SKIP, "offline")


def test_there_is_no_ratio_to_what_took_nothing_that_can_be_seen():
    check = ratio_check([series("a", 1.0, 2.0), series("b", 1.0, 0.0)], metric="p50", of="a", to="b")
    assert (check.verdict, check.reason) == (Verdict.SKIP, "b: nothing to see")


def test_rounds_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="zip"):
        ratio_check([series("a", 1.0, 2.0), series("b", 1.0)], metric="p50", of="a", to="b")


@pytest.mark.parametrize(
    ("figure", "limit", "at_least", "verdict"),
    [
        (1.0, 1.0, False, Verdict.PASS),
        (1.01, 1.0, False, Verdict.FAIL),
        (0.6, 0.6, True, Verdict.PASS),
        (0.59, 0.6, True, Verdict.FAIL),
        (9.0, None, False, Verdict.FIGURE),
    ],
)
def test_a_promise_is_held_at_its_limit_and_broken_beyond(figure, limit, at_least, verdict):
    check = limit_check("c", series("server", figure), limit=limit, at_least=at_least)
    assert check.verdict is verdict


def test_the_median_decides_and_not_the_worst_round():
    assert limit_check("c", series("server", 0.5, 0.6, 9.0), limit=1.0).verdict is Verdict.PASS


def test_what_broke_is_a_failure_and_no_skip():
    check = Check(claim="c", unit="", spread=None, reason="ContenderFailed: no", broken=True)
    assert check.verdict is Verdict.FAIL


def test_a_series_is_found_by_contender_and_metric():
    wanted = series("server", 1.0, metric="p99")
    result = ScenarioResult(name="n", title="t", series=(series("server", 2.0), wanted))
    assert result.find("server", "p99") is wanted
    assert result.find("floor", "p99") is None
