"""A scenario's first figure as a picture: one bar for each contender, with the lowest and the highest round.

Pure: from a result to SVG text, by hand, because a handful of rectangles needs no library. Colours work on a light and
on a dark page.
"""

from collections.abc import Sequence
from html import escape

from benchmarks.figures import ScenarioResult, Series
from benchmarks.tables import with_unit

WIDTH, BAR, GAP, LABELS, VALUES = 760, 22, 10, 230, 110
OURS, OTHERS, WHISKER, INK = "#2f7ed8", "#9aa5b1", "#5b6570", "#7a8793"


def charted(result: ScenarioResult) -> tuple[Series, ...]:
    """The series of the metric that comes first, one for each contender that has it."""
    if not result.series:
        return ()
    first = result.series[0]
    return tuple(one for one in result.series if (one.metric, one.unit) == (first.metric, first.unit))


def bar_chart(title: str, series: Sequence[Series]) -> str:
    """
    Args:
        series: of one metric; those whose contender begins with ``server`` stand out.
    """
    height = 34 + len(series) * (BAR + GAP)
    largest = max(one.spread.high for one in series) or 1.0
    scale = (WIDTH - LABELS - VALUES) / largest
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<text x="0" y="16" font-weight="bold" fill="{INK}">{escape(title)}: {escape(series[0].metric)}</text>',
    ]
    for number, one in enumerate(series):
        parts += _bar(one, top=30 + number * (BAR + GAP), scale=scale)
    return "\n".join((*parts, "</svg>", ""))


def _bar(series: Series, *, top: int, scale: float) -> list[str]:
    spread, middle = series.spread, top + BAR / 2
    length = spread.median * scale
    colour = OURS if series.contender.startswith("server") else OTHERS
    figure = escape(with_unit(spread.median, series.unit))
    low, high = LABELS + spread.low * scale, LABELS + spread.high * scale
    return [
        f'<text x="{LABELS - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="{INK}">{escape(series.contender)}</text>',
        f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{WHISKER}" stroke-width="2"/>',
        f'<text x="{high + 8:.1f}" y="{middle + 4:.1f}" fill="{INK}">{figure}</text>',
    ]
