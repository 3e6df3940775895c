"""``make bench-check``: the ratios of a short run against committed thresholds, which leave room for a busy machine.

What a promise asks for is in the scenarios; a threshold is what no change may fall behind.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.figures import Check, ScenarioResult

PATH = Path(__file__).with_name("thresholds.json")

Thresholds = dict[str, dict[str, dict[str, float]]]


def read_thresholds() -> Thresholds:
    """By scenario and claim: ``{"at_most": ...}`` or ``{"at_least": ...}``."""
    document: Any = json.loads(PATH.read_text(encoding="utf-8"))
    return dict(document)


def held_against(result: ScenarioResult, thresholds: Thresholds) -> ScenarioResult:
    """``result`` with the committed thresholds in place of what is promised.

    Raises:
        ValueError: a threshold whose claim the scenario does not make.
    """
    known = thresholds.get(result.name, {})
    unknown = known.keys() - {check.claim for check in result.checks}
    if unknown and not any(check.broken for check in result.checks):
        raise ValueError(f"{result.name} makes no claim such as {min(unknown)!r}")
    return replace(result, checks=tuple(_held(check, known.get(check.claim)) for check in result.checks))


def _held(check: Check, threshold: dict[str, float] | None) -> Check:
    if check.broken:
        return check
    if threshold is None:
        return replace(check, limit=None)
    at_least = "at_least" in threshold
    return replace(check, limit=threshold["at_least" if at_least else "at_most"], at_least=at_least)
