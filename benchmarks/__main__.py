"""``python -m benchmarks``: measures, prints tables, writes JSON.

Exit status 1 when a promise was not kept or a scenario could not be carried out; what cannot be measured on this
machine is said and does not count.
"""

import argparse
import datetime as dt
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from types import ModuleType

from benchmarks.contenders.contender import LeftBehind
from benchmarks.figures import Check, ScenarioResult, Verdict
from benchmarks.machine import describe_machine, is_busy
from benchmarks.page import write_page
from benchmarks.processes import ContenderFailed
from benchmarks.record import OUTPUT_FOLDER, Run, read_run, write_run
from benchmarks.rounds import FULL, QUICK, Effort
from benchmarks.scenarios import SCENARIOS
from benchmarks.tables import CHECK_HEADINGS, check_row, scenario_text, text_table
from benchmarks.thresholds import held_against, read_thresholds

REASON_CHARACTERS = 160  # a cell of a table; the whole goes to standard error


def main() -> int:
    # Who is asked to end ends all contenders first, and removes what they have left in Docker.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = _options()
    if options.page:
        print(write_page(read_run(OUTPUT_FOLDER / "latest.json")))
        return 0
    if options.profile:
        from benchmarks.profile import profile_server  # noqa: PLC0415 - optional tool behind it

        return profile_server()
    thresholds = read_thresholds() if options.check else {}
    wanted = options.scenario or list(thresholds)
    chosen = [one for one in SCENARIOS if not wanted or one.NAME in wanted]
    run = _run(chosen, "quick" if options.quick or options.check else "full")
    if options.check:
        return _sum_up(replace(run, results=tuple(held_against(one, thresholds) for one in run.results)))
    names = [one.NAME for one in chosen] if options.scenario else ["latest"]
    write_run(run, ["-".join(names)])
    return _sum_up(run)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the server against its peers.")
    names = [one.NAME for one in SCENARIOS]
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--check", action="store_true", help="a quick run, held against benchmarks/thresholds.json")
    parser.add_argument("--scenario", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md from the last whole run")
    parser.add_argument("--profile", action="store_true", help="show where the server spends its time (needs py-spy)")
    return parser.parse_args()


def _run(scenarios: list[ModuleType], effort: str) -> Run:
    machine = describe_machine()
    print("\n".join(f"{name}: {value}" for name, value in machine.items()), end="\n\n")
    if is_busy():
        print("Others use this machine: expect wide spreads, and too little throughput.", file=sys.stderr)
    results = []
    for scenario in scenarios:
        begun = time.monotonic()
        result = _carry_out(scenario, QUICK if effort == "quick" else FULL)
        print(f"    {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        print(scenario_text(result), flush=True)
        results.append(result)
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    return Run(date=today, effort=effort, machine=machine, results=tuple(results))


def _carry_out(scenario: ModuleType, effort: Effort) -> ScenarioResult:
    """The scenario's result; a failure is a result too, so that the others are still measured."""
    print(f"... {scenario.NAME}", file=sys.stderr, flush=True)
    try:
        result: ScenarioResult = scenario.run(effort)
    except Exception as failure:
        expected = isinstance(failure, ContenderFailed | LeftBehind | OSError | subprocess.SubprocessError)
        print(failure if expected else traceback.format_exc(), file=sys.stderr, flush=True)
        last_words = (str(failure).strip().splitlines() or [""])[-1]
        told = f"{type(failure).__name__}: {last_words[-REASON_CHARACTERS:]}"
        check = Check(claim=scenario.CLAIM, unit="", spread=None, reason=told, broken=True)
        return ScenarioResult(name=scenario.NAME, title=scenario.TITLE, checks=(check,))
    return result


def _sum_up(run: Run) -> int:
    promised = [check for result in run.results for check in result.checks if check.verdict is not Verdict.FIGURE]
    print(text_table(CHECK_HEADINGS, [check_row(one) for one in promised]))
    return int(any(one.verdict is Verdict.FAIL for one in promised))


if __name__ == "__main__":
    sys.exit(main())
