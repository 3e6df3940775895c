"""What was measured reaches the terminal, the record and the page unchanged."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as command
from benchmarks.figures import Check, ScenarioResult, Series, Spread, limit_check, ratio_check, skipped
from benchmarks.page import INTRODUCTION, PAGE, render_page
from benchmarks.processes import ContenderFailed
from benchmarks.record import Run, from_document, to_document
from benchmarks.rounds import QUICK, interleaved
from benchmarks.scenarios import SCENARIOS
from benchmarks.tables import check_row, markdown_table, number, scenario_text, text_table

SERIES = (
    Series(contender="server", metric="p50", unit="ms", values=(0.5, 0.6, 0.4)),
    Series(contender="emulator", metric="p50", unit="ms", values=(1.0, 1.2, 0.8)),
)
RUN = Run(
    date="2026-01-01",
    effort="quick",
    machine={"Processor": "one, 2 cores"},
    results=(
        ScenarioResult(
            name="warm_invoke",
            title="Warm",
            series=SERIES,
            checks=(
                ratio_check(SERIES, metric="p50", of="server", to="emulator", limit=1.0),
                limit_check("p50", SERIES[0]),
            ),
            notes=("A note.",),
        ),
        skipped("cold_start_docker", "Docker", "at most 1.3", "no Docker engine answers"),
    ),
)


def test_a_record_gives_back_what_was_written():
    assert from_document(json.loads(json.dumps(to_document(RUN)))) == RUN


def test_a_record_spells_out_verdicts_and_medians():
    document = to_document(RUN)
    assert document["results"][0]["checks"][0]["verdict"] == "PASS"
    assert document["results"][0]["series"][0]["spread"]["median"] == 0.5
    assert document["results"][1]["checks"][0]["verdict"] == "SKIP"


def test_the_page_shows_each_promise_once_and_every_figure():
    page = render_page(RUN)
    promised = "| Warm | p50: server / emulator | 0.50 | 0.50 to 0.50 | <= 1.00 | PASS |"
    assert page.count(promised) == 1
    assert "| Docker | at most 1.3 | no Docker engine answers |  |  | SKIP |" in page
    assert "| server | p50 | 0.50 ms | 0.40 to 0.60 |" in page
    assert "| Processor | one, 2 cores |" in page
    assert "A note." in page


def test_the_page_of_the_repository_was_generated_by_this_code():
    assert PAGE.read_text(encoding="utf-8").startswith(INTRODUCTION)


def test_the_page_says_by_how_much_a_promise_is_missed_and_why():
    missed = replace(
        RUN.results[0],
        checks=(ratio_check(SERIES, metric="p50", of="server", to="emulator", limit=0.4),),
        obstacle="Physics.",
    )
    page = render_page(replace(RUN, results=(missed,)))
    assert "- **Warm**, p50: server / emulator: 0.50 instead of 0.40, 25 % off. Physics." in page
    assert "What falls short" not in render_page(RUN)


def test_the_terminal_shows_a_scenario_with_its_reason():
    text = scenario_text(RUN.results[1])
    assert "no Docker engine answers" in text
    assert "SKIP" in text


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (100.0, "100"), (12.34, "12.3"), (1.234, "1.23"), (0.004, "0.00")]
)
def test_a_number_has_the_digits_that_mean_something(value, text):
    assert number(value) == text


def test_a_promise_says_its_direction():
    spread = Spread(median=0.7, low=0.6, high=0.8, rounds=3)
    row = check_row(Check(claim="c", unit="x", spread=spread, limit=0.6, at_least=True))
    assert row == ("c", "0.70", "0.60 to 0.80", ">= 0.60", "PASS")


def test_columns_are_as_wide_as_their_longest_cell():
    assert text_table(("a", "b"), [("long", "x")]) == "  a     b\n  long  x"


def test_a_bar_in_a_cell_does_not_end_it():
    assert markdown_table(("a",), [("x|y",)]).splitlines()[-1] == "| x/y |"


def test_contenders_take_turns():
    turns = []

    def measure(name):
        turns.append(name)
        return {("p50", "ms"): float(len(turns))}

    series = interleaved({"a": lambda: measure("a"), "b": lambda: measure("b")}, rounds=3)
    assert turns == ["a", "b"] * 3
    assert {one.contender: one.values for one in series} == {"a": (1.0, 3.0, 5.0), "b": (2.0, 4.0, 6.0)}


def test_every_scenario_can_be_chosen_by_a_name_of_its_own():
    names = [one.NAME for one in SCENARIOS]
    assert len(set(names)) == len(names)
    assert all(one.TITLE and one.CLAIM and callable(one.run) for one in SCENARIOS)


def test_a_scenario_that_breaks_is_a_failure_and_the_others_are_still_measured(capsys):
    def breaks(_effort):
        raise ContenderFailed("exit status 1 at start:\nTraceback\nTypeError: no")

    broken = SimpleNamespace(NAME="broken", TITLE="Broken", CLAIM="holds", run=breaks)
    fine = SimpleNamespace(NAME="warm_invoke", TITLE="Warm", CLAIM="", run=lambda _effort: RUN.results[0])
    run = command._run([broken, fine], "quick")
    assert [one.name for one in run.results] == ["broken", "warm_invoke"]
    told = capsys.readouterr()
    assert "ContenderFailed: TypeError: no  " in told.out
    assert "Traceback" not in told.out
    assert "Traceback" in told.err
    assert command._sum_up(run) == 1


def test_a_scenario_with_a_fault_of_its_own_is_a_failure_with_its_traceback(capsys):
    def breaks(_effort):
        raise KeyError("batch")

    broken = SimpleNamespace(NAME="broken", TITLE="Broken", CLAIM="holds", run=breaks)
    assert command._sum_up(command._run([broken], "quick")) == 1
    told = capsys.readouterr()
    assert "KeyError: 'batch'" in told.out
    assert "Traceback" in told.err


def test_a_run_that_keeps_its_promises_ends_well(capsys):
    assert command._sum_up(RUN) == 0
    assert "PASS" in capsys.readouterr().out


def test_a_quick_run_still_has_rounds_to_compare():
    assert QUICK.rounds >= 3
