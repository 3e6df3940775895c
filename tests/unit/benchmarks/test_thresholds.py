"""Charts and thresholds: what a reader sees of a run, and what a change may not fall behind."""

import xml.etree.ElementTree as ET

import pytest

from benchmarks.charts import bar_chart, charted
from benchmarks.figures import Check, ScenarioResult, Verdict, ratio_check
from benchmarks.scenarios import SCENARIOS
from benchmarks.thresholds import held_against, read_thresholds
from tests.unit.benchmarks.test_reporting import RUN, SERIES

CLAIM = "p50: server / emulator"
RESULT = ScenarioResult(
    name="warm_invoke",
    title="Warm",
    series=SERIES,
    checks=(ratio_check(SERIES, metric="p50", of="server", to="emulator", limit=0.4),),
)


@pytest.mark.parametrize(
    ("threshold", "verdict"),
    [
        ({"at_most": 0.5}, Verdict.PASS),
        ({"at_most": 0.49}, Verdict.FAIL),
        ({"at_least": 0.5}, Verdict.PASS),
        ({"at_least": 0.51}, Verdict.FAIL),
    ],
)
def test_a_ratio_is_held_against_the_threshold_and_not_against_the_promise(threshold, verdict):
    held = held_against(RESULT, {"warm_invoke": {CLAIM: threshold}})
    assert [check.verdict for check in held.checks] == [verdict]


def test_what_has_no_threshold_is_only_shown():
    assert [check.verdict for check in held_against(RESULT, {}).checks] == [Verdict.FIGURE]


def test_a_threshold_for_nothing_is_told():
    with pytest.raises(ValueError, match="warm_invoke makes no claim such as 'p90'"):
        held_against(RESULT, {"warm_invoke": {"p90": {"at_most": 1.0}}})


def test_a_scenario_that_broke_fails_whatever_its_thresholds():
    broken = Check(claim="it runs", unit="", spread=None, reason="no", broken=True)
    result = ScenarioResult(name="warm_invoke", title="Warm", checks=(broken,))
    held = held_against(result, {"warm_invoke": {CLAIM: {"at_most": 1.0}}})
    assert [check.verdict for check in held.checks] == [Verdict.FAIL]


def test_committed_thresholds_are_of_scenarios_that_exist():
    names = {one.NAME for one in SCENARIOS}
    for name, claims in read_thresholds().items():
        assert name in names
        assert all(set(threshold) in ({"at_most"}, {"at_least"}) for threshold in claims.values())


def test_a_chart_is_valid_svg_with_a_bar_for_each_contender():
    series = charted(RUN.results[0])
    chart = ET.fromstring(bar_chart("Warm <&>", series))
    bars = [one for one in chart.iter() if one.tag.endswith("rect")]
    widths = [float(one.attrib["width"]) for one in bars]
    assert len(bars) == 2
    assert widths[0] == pytest.approx(widths[1] / 2, rel=0.01)
    assert "0.50 ms" in [one.text for one in chart.iter() if one.tag.endswith("text")]


def test_a_scenario_that_was_not_measured_has_no_chart():
    assert charted(RUN.results[1]) == ()
