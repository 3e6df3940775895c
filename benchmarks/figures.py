"""Figures: what rounds of measurements say, as medians, ratios with their spread, and verdicts.

Pure. A ratio is taken within a round, between contenders that ran seconds apart, so that what the machine does
meanwhile weighs on both; its spread is the lowest and the highest of the rounds.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    SKIP = "SKIP"
    FIGURE = "figure"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of ``values`` lie, interpolated between neighbours."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over all rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median=statistics.median(values), low=min(values), high=max(values), rounds=len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One contender's figure, one value per round."""

    contender: str
    metric: str
    unit: str
    values: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        return Spread.of(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A figure held against what was promised.

    Attributes:
        limit: None where nothing is promised and the figure is only shown.
        at_least: the figure must reach ``limit``; otherwise it must stay at or below it.
        reason: why nothing was measured; then ``spread`` is None.
        broken: nothing was measured because something failed, not because it cannot be measured here.
    """

    claim: str
    unit: str
    spread: Spread | None
    limit: float | None = None
    at_least: bool = False
    reason: str = ""
    broken: bool = False

    @property
    def verdict(self) -> Verdict:
        if self.spread is None:
            return Verdict.FAIL if self.broken else Verdict.SKIP
        if self.limit is None:
            return Verdict.FIGURE
        kept = self.spread.median >= self.limit if self.at_least else self.spread.median <= self.limit
        return Verdict.PASS if kept else Verdict.FAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where on a curve one series of a result lies."""

    at: float
    contender: str
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One contender's points, from left to right."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How a figure grows with something else.

    Attributes:
        dimension: what grows, as ``environments``.
        figure: what is looked at, as ``invocations per second``.
    """

    dimension: str
    figure: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """All that a scenario has to say; ``curves`` point into ``series``.

    Attributes:
        notes: sentences for the reader.
        obstacle: what stands in the way, for the reader of a promise that is not kept.
    """

    name: str
    title: str
    series: tuple[Series, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = field(default=())
    curves: tuple[Curve, ...] = ()
    obstacle: str = ""

    def find(self, contender: str, metric: str) -> Series | None:
        return next((one for one in self.series if (one.contender, one.metric) == (contender, metric)), None)


def line_through(name: str, metric: str, contenders: Mapping[float, str]) -> Line:
    """A line whose points are contenders, by where they lie, with the same metric."""
    points = (Point(at=at, contender=contender, metric=metric) for at, contender in contenders.items())
    return Line(name=name, points=tuple(points))


def measured_line(result: ScenarioResult, line: Line) -> list[tuple[float, Series]]:
    """The points of a line that were measured, from left to right."""
    found = [(one.at, result.find(one.contender, one.metric)) for one in line.points]
    return [(at, series) for at, series in found if series is not None]


def skipped(name: str, title: str, claim: str, reason: str) -> ScenarioResult:
    """The result of a scenario that could not be measured at all."""
    check = Check(claim=claim, unit="", spread=None, reason=reason)
    return ScenarioResult(name=name, title=title, checks=(check,))


def ratio_check(
    series: Sequence[Series],
    *,
    metric: str,
    of: str,
    to: str,
    limit: float | None = None,
    at_least: bool = False,
    reason: str = "",
) -> Check:
    """``metric`` of one contender as a multiple of another's, round by round; ``reason`` is told if one is missing."""
    upper = next((one for one in series if (one.contender, one.metric) == (of, metric)), None)
    lower = next((one for one in series if (one.contender, one.metric) == (to, metric)), None)
    claim = f"{metric}: {of} / {to}"
    if upper is None or lower is None:
        missing = of if upper is None else to
        return Check(
            claim=claim, unit="x", spread=None, limit=limit, at_least=at_least, reason=reason or f"no {missing}"
        )
    if not all(lower.values):
        return Check(claim=claim, unit="x", spread=None, limit=limit, at_least=at_least, reason=f"{to}: nothing to see")
    ratios = [above / below for above, below in zip(upper.values, lower.values, strict=True)]
    return Check(claim=claim, unit="x", spread=Spread.of(ratios), limit=limit, at_least=at_least)


def limit_check(
    claim: str, series: Series | None, *, limit: float | None = None, at_least: bool = False, reason: str = ""
) -> Check:
    """A figure held against an absolute limit in its own unit."""
    if series is None:
        return Check(claim=claim, unit="", spread=None, limit=limit, at_least=at_least, reason=reason)
    return Check(claim=claim, unit=series.unit, spread=series.spread, limit=limit, at_least=at_least)
