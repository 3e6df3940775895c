"""A run as JSON, written once and read by whoever renders it.

Reading a record gives back what was measured; claims and verdicts are derived again from the values.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Check, Curve, Line, Point, ScenarioResult, Series, Spread
from benchmarks.load import REPOSITORY

OUTPUT_FOLDER = REPOSITORY / "benchmarks" / "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the harness.

    Attributes:
        date: the day, ISO 8601.
        effort: ``full`` or ``quick``.
    """

    date: str
    effort: str
    machine: Mapping[str, str]
    results: tuple[ScenarioResult, ...]


def to_document(run: Run) -> dict[str, Any]:
    """``run`` as JSON, with medians and verdicts spelled out for readers that do not want to derive them."""
    document = asdict(run)
    for result, written in zip(run.results, document["results"], strict=True):
        for series, entry in zip(result.series, written["series"], strict=True):
            entry["spread"] = asdict(series.spread)
        for check, entry in zip(result.checks, written["checks"], strict=True):
            entry["verdict"] = check.verdict.value
    return document


def from_document(document: Mapping[str, Any]) -> Run:
    return Run(
        date=document["date"],
        effort=document["effort"],
        machine=dict(document["machine"]),
        results=tuple(_result(one) for one in document["results"]),
    )


def _result(entry: Mapping[str, Any]) -> ScenarioResult:
    return ScenarioResult(
        name=entry["name"],
        title=entry["title"],
        series=tuple(
            Series(
                contender=one["contender"],
                metric=one["metric"],
                unit=one["unit"],
                values=tuple(map(float, one["values"])),
            )
            for one in entry["series"]
        ),
        checks=tuple(_check(one) for one in entry["checks"]),
        notes=tuple(entry["notes"]),
        curves=tuple(_curve(one) for one in entry.get("curves", ())),
        obstacle=entry.get("obstacle", ""),
    )


def _curve(entry: Mapping[str, Any]) -> Curve:
    return Curve(
        dimension=entry["dimension"],
        figure=entry["figure"],
        lines=tuple(
            Line(name=one["name"], points=tuple(Point(**point) for point in one["points"])) for one in entry["lines"]
        ),
    )


def _check(entry: Mapping[str, Any]) -> Check:
    return Check(
        claim=entry["claim"],
        unit=entry["unit"],
        spread=None if entry["spread"] is None else Spread(**entry["spread"]),
        limit=entry["limit"],
        at_least=entry["at_least"],
        reason=entry["reason"],
        broken=entry["broken"],
    )


def write_run(run: Run, names: Sequence[str] = ("latest",)) -> list[Path]:
    """Writes ``run`` under each of ``names`` into ``benchmarks/out``."""
    OUTPUT_FOLDER.mkdir(exist_ok=True)
    text = json.dumps(to_document(run), indent=2) + "\n"
    paths = [OUTPUT_FOLDER / f"{name}.json" for name in names]
    for path in paths:
        path.write_text(text, encoding="utf-8")
    return paths


def read_run(path: Path) -> Run:
    return from_document(json.loads(path.read_text(encoding="utf-8")))
