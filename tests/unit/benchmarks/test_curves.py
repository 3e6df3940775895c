"""How a figure grows: as a picture, as a sentence, and in the record."""

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks.curves import PLOT_HEIGHT, Axis, curve_chart
from benchmarks.figures import Curve, Line, Point, ScenarioResult, Series, measured_line
from benchmarks.page import charts_of, render_page
from benchmarks.record import Run, from_document, to_document
from benchmarks.scenarios import growth, idle_mappings, many_functions
from benchmarks.tables import curve_sentence, scenario_text

SVG = "{http://www.w3.org/2000/svg}"


def rate(contender, *values):
    return Series(contender=contender, metric="rate", unit="/s", values=values)


def line(name, *places):
    return Line(name=name, points=tuple(Point(at=at, contender=f"{name}, {at}", metric="rate") for at in places))


CURVE = Curve(dimension="environments", figure="invocations", lines=(line("server", 1, 4, 8), line("floor", 1, 4, 8)))
RESULT = ScenarioResult(
    name="environments",
    title="Grows",
    series=(
        rate("server, 1", 100.0, 110.0, 90.0),
        rate("server, 4", 300.0),
        rate("server, 8", 400.0),
        rate("floor, 1", 200.0),
        rate("floor, 8", 500.0),
    ),
    curves=(CURVE,),
)
RUN = Run(date="2026-01-01", effort="quick", machine={}, results=(RESULT,))


def test_a_curve_says_in_a_sentence_how_far_each_line_goes():
    assert curve_sentence(RESULT, CURVE) == (
        "invocations from 1 to 8 environments: server 100/s to 400/s (4.00 times); floor 200/s to 500/s (2.50 times)."
    )
    assert curve_sentence(RESULT, CURVE) in scenario_text(RESULT)


def test_a_line_that_goes_another_way_says_which():
    short = Curve(dimension="at once", figure="rate", lines=(line("server", 1, 8), line("floor", 1, 4)))
    result = ScenarioResult(name="n", title="t", series=(*RESULT.series, rate("floor, 4", 100.0)))
    assert curve_sentence(result, short).endswith("; floor 200/s to 100/s (0.50 times) from 1 to 4 at once.")


def test_a_curve_of_which_nothing_was_measured_says_and_draws_nothing():
    empty = ScenarioResult(name="e", title="t", curves=(CURVE,))
    assert curve_sentence(empty, CURVE) == ""
    assert charts_of(empty) == {}


def test_a_chart_has_a_point_for_each_series_and_only_those():
    chart = ET.fromstring(curve_chart(RESULT, CURVE))
    assert len(chart.findall(f"{SVG}circle")) == 5
    texts = [one.text for one in chart.findall(f"{SVG}text")]
    assert {"server", "floor", "1", "4", "8", "environments"} <= set(texts)


def test_more_is_drawn_higher_and_further_right():
    circles = ET.fromstring(curve_chart(RESULT, CURVE)).findall(f"{SVG}circle")
    first, second, third = circles[:3]
    assert float(first.get("cx")) < float(second.get("cx")) < float(third.get("cx"))
    assert float(first.get("cy")) > float(second.get("cy")) > float(third.get("cy"))


@pytest.mark.parametrize(
    ("values", "places"),
    [([0.0, 50.0, 100.0], [0.0, 0.5, 1.0]), ([1.0, 10.0, 100.0], [0.0, 0.5, 1.0]), ([5.0, 10.0], [0.5, 1.0])],
    ids=["linear", "logarithmic", "from zero"],
)
def test_an_axis_is_logarithmic_where_values_grow_much(values, places):
    axis = Axis.over(values, length=1.0, from_zero=True)
    assert [axis.place(value) for value in values] == pytest.approx(places)


def test_values_that_do_not_grow_have_a_chart_all_the_same():
    still = ScenarioResult(name="s", title="t", series=(rate("server, 1", 0.0), rate("server, 4", 0.0)))
    circles = ET.fromstring(curve_chart(still, CURVE)).findall(f"{SVG}circle")
    assert len(circles) == 2
    assert all(0 <= float(one.get("cy")) <= 2 * PLOT_HEIGHT for one in circles)


def test_a_record_keeps_curves_and_one_without_them_is_read():
    document = json.loads(json.dumps(to_document(RUN)))
    assert from_document(document) == RUN
    del document["results"][0]["curves"]
    assert from_document(document).results[0].curves == ()


def test_the_page_shows_each_curve_with_its_sentence():
    page = render_page(RUN)
    assert "![Grows](benchmarks/environments.svg)" in page
    assert curve_sentence(RESULT, CURVE) in page


def grown(scenario, sizes, metrics):
    """A scenario's result where each size has a figure of each metric."""
    series = [
        Series(contender=scenario.named(size), metric=metric, unit="", values=(float(size),))
        for metric in metrics
        for size in sizes
    ]
    return scenario._result(tuple(series))


def test_growth_of_functions_and_of_mappings_is_drawn_from_first_to_last():
    more = many_functions.MEMORY_OF_EACH
    functions = grown(
        many_functions,
        many_functions.FUNCTIONS,
        (many_functions.P50, many_functions.START, many_functions.MEMORY, more),
    )
    mappings = grown(idle_mappings, idle_mappings.MAPPINGS, (idle_mappings.CPU, idle_mappings.MEMORY))
    assert len(charts_of(functions)) == 3
    assert len(charts_of(mappings)) == 2
    for result in (functions, mappings):
        for curve in result.curves:
            assert len(measured_line(result, curve.lines[0])) == 4


def test_what_is_promised_of_fifty_mappings_is_held_against_fifty():
    promised, *_ = grown(idle_mappings, idle_mappings.MAPPINGS, (idle_mappings.CPU, idle_mappings.MEMORY)).checks
    assert (promised.spread.median, promised.limit) == (50.0, 5.0)


def test_throughput_grows_with_as_many_clients_as_environments():
    names = [f"{clients}, {environments}" for clients, environments in growth.POINTS]
    assert growth._as_many_of_both(names) == {1.0: "1, 1", 4.0: "4, 4", 16.0: "16, 16", 64.0: "64, 64"}
