"""A figure that grows with something else as a picture: a line for each contender, with the lowest and highest round.

Pure: from a result to SVG text. An axis over which values grow twentyfold or more is logarithmic, and says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from benchmarks.charts import INK, OTHERS, OURS, WIDTH
from benchmarks.figures import Curve, ScenarioResult, Series, measured_line
from benchmarks.tables import number, with_unit

LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 90, 36, 500, 220
HEIGHT = TOP + PLOT_HEIGHT + 44
LOGARITHMIC_FROM = 20.0
LABEL_HEIGHT = 16
COLOURS = (OTHERS, "#c07f2c", "#4d9a66", "#8f6bb3")

Points = list[tuple[float, Series]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Puts values between ``low`` and ``high`` on ``length`` pixels."""

    low: float
    high: float
    length: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[float], *, length: float, from_zero: bool) -> "Axis":
        """
        Args:
            from_zero: a linear axis begins at zero whatever its values.
        """
        low, high = min(values), max(values)
        logarithmic = low > 0 and high / low >= LOGARITHMIC_FROM
        if not logarithmic and from_zero:
            low = min(0.0, low)
        return cls(low=low, high=high if high > low else low + 1.0, length=length, logarithmic=logarithmic)

    def place(self, value: float) -> float:
        if self.logarithmic:
            return self.length * math.log(value / self.low) / math.log(self.high / self.low)
        return self.length * (value - self.low) / (self.high - self.low)

    def marks(self) -> list[float]:
        """Four values that lie at equal distances."""
        if self.logarithmic:
            return [self.low * (self.high / self.low) ** (step / 3) for step in range(4)]
        return [self.low + (self.high - self.low) * step / 3 for step in range(4)]


def curve_chart(result: ScenarioResult, curve: Curve) -> str:
    """
    Args:
        curve: with a line of two or more points; a line whose name begins with ``server`` stands out.
    """
    lines = [(one.name, points) for one in curve.lines if len(points := measured_line(result, one)) > 1]
    series = [one for _, points in lines for _, one in points]
    places = sorted({at for _, points in lines for at, _ in points})
    across = Axis.over(places, length=PLOT_WIDTH, from_zero=False)
    spreads = [value for one in series for value in (one.spread.low, one.spread.high)]
    up = Axis.over(spreads, length=PLOT_HEIGHT, from_zero=True)
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<text x="0" y="16" font-weight="bold" fill="{INK}">{escape(f"{result.title}: {curve.figure}")}</text>',
        *_frame(across, up, places, dimension=curve.dimension, unit=series[0].unit),
    ]
    colours, labels_at = (
        iter(COLOURS * len(lines)),
        _apart([up.place(points[-1][1].spread.median) for _, points in lines]),
    )
    for (name, points), label_at in zip(lines, labels_at, strict=True):
        colour = OURS if name.startswith("server") else next(colours)
        parts += _line(points, across, up, colour=colour)
        where = f'x="{LEFT + PLOT_WIDTH + 12}" y="{TOP + PLOT_HEIGHT - label_at + 4:.1f}"'
        parts.append(f'<text {where} fill="{colour}">{escape(name)}</text>')
    return "\n".join((*parts, "</svg>", ""))


def _frame(across: Axis, up: Axis, places: Sequence[float], *, dimension: str, unit: str) -> list[str]:
    floor = TOP + PLOT_HEIGHT
    parts = []
    for mark in up.marks():
        y = floor - up.place(mark)
        parts.append(f'<path d="M{LEFT} {y:.1f}h{PLOT_WIDTH}" stroke="{INK}" stroke-opacity="0.25"/>')
        text = escape(with_unit(mark, unit))
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{text}</text>')
    for place in places:
        x = LEFT + across.place(place)
        parts.append(f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle" fill="{INK}">{place:,g}</text>')
    scales = [f"{name} logarithmic" for name, axis in (("across", across), ("up", up)) if axis.logarithmic]
    told = f"{dimension} ({', '.join(scales)})" if scales else dimension
    middle = LEFT + PLOT_WIDTH / 2
    return [*parts, f'<text x="{middle}" y="{floor + 36}" text-anchor="middle" fill="{INK}">{escape(told)}</text>']


def _line(points: Points, across: Axis, up: Axis, *, colour: str) -> list[str]:
    floor = TOP + PLOT_HEIGHT
    corners = [(LEFT + across.place(at), floor - up.place(one.spread.median), one) for at, one in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in corners)
    parts = [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for x, y, one in corners:
        low, high = floor - up.place(one.spread.low), floor - up.place(one.spread.high)
        parts.append(f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{_told(one)}</title></circle>')
    return parts


def _told(series: Series) -> str:
    spread = series.spread
    figure = with_unit(spread.median, series.unit)
    return escape(f"{series.contender}: {figure} ({number(spread.low)} to {number(spread.high)})")


def _apart(heights: Sequence[float]) -> list[float]:
    """The same heights, moved up where two labels would lie on one another."""
    moved = list(heights)
    ordered = sorted(range(len(moved)), key=lambda one: moved[one])
    for below, above in pairwise(ordered):
        moved[above] = max(moved[above], moved[below] + LABEL_HEIGHT)
    return moved
