"""Results as rows of text, for the terminal and for the page. Pure."""

from collections.abc import Sequence

from benchmarks.figures import Check, Curve, ScenarioResult, Series, Spread, Verdict, measured_line

CHECK_HEADINGS = ("what", "figure", "lowest to highest", "promised", "")
SERIES_HEADINGS = ("contender", "measured", "median", "lowest to highest")


def number(value: float) -> str:
    """Three significant digits, without exponents."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_unit(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f}"
    separator = "" if unit.startswith("/") or not unit else " "
    return f"{number(value)}{separator}{unit}"


def span(spread: Spread, unit: str) -> str:
    if spread.rounds == 1:
        return ""
    if unit == "x":
        return f"{spread.low:.2f} to {spread.high:.2f}"
    return f"{number(spread.low)} to {number(spread.high)}"


def check_row(check: Check) -> tuple[str, ...]:
    promised = "" if check.limit is None else f"{'>=' if check.at_least else '<='} {with_unit(check.limit, check.unit)}"
    if check.spread is None:
        return (check.claim, check.reason, "", promised, check.verdict.value)
    figure = with_unit(check.spread.median, check.unit)
    return (check.claim, figure, span(check.spread, check.unit), promised, check.verdict.value)


def shortfall(result: ScenarioResult, check: Check) -> str:
    """By how much a promise is missed, and why; empty where it is kept."""
    if check.verdict is not Verdict.FAIL or check.spread is None or not check.limit:
        return ""
    figure, limit = check.spread.median, check.limit
    percent = 100 * abs(figure - limit) / limit
    told = f"{check.claim}: {with_unit(figure, check.unit)} instead of {with_unit(limit, check.unit)}"
    return f"**{result.title}**, {told}, {percent:.0f} % off. {result.obstacle}".rstrip()


def series_row(series: Series) -> tuple[str, ...]:
    spread = series.spread
    return (series.contender, series.metric, with_unit(spread.median, series.unit), span(spread, series.unit))


def curve_sentence(result: ScenarioResult, curve: Curve) -> str:
    """What a curve says, from its first point to its last; empty where fewer than two points were measured."""
    parts, shared = [], ""
    for line in curve.lines:
        points = measured_line(result, line)
        if len(points) > 1:
            (begun_at, first), (ended_at, last) = points[0], points[-1]
            way = f"from {begun_at:,g} to {ended_at:,g} {curve.dimension}"
            shared = shared or way
            low, high = first.spread.median, last.spread.median
            told = f"{line.name} {with_unit(low, first.unit)} to {with_unit(high, last.unit)}"
            told += f" ({high / low:.2f} times)" if low else ""
            parts.append(told if way == shared else f"{told} {way}")
    return f"{curve.figure} {shared}: {'; '.join(parts)}." if parts else ""


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows)]
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def scenario_text(result: ScenarioResult) -> str:
    """A scenario for the terminal: its figures, then what they come to."""
    parts = [result.title]
    if result.series:
        parts.append(text_table(SERIES_HEADINGS, [series_row(one) for one in result.series]))
    parts.append(text_table(CHECK_HEADINGS, [check_row(one) for one in result.checks]))
    parts += [f"  {told}" for curve in result.curves if (told := curve_sentence(result, curve))]
    parts += [f"  {note}" for note in result.notes]
    return "\n\n".join(parts) + "\n"
