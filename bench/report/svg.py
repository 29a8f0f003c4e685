"""Plots as SVG, drawn by hand: bars with their spread, and lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

# Distinct, and as many as there are servers.
COLORS = (
    '#1b6ca8', '#5aa9e6', '#17a2a2', '#2e8b57', '#d1495b', '#e58fa0', '#c71585', '#e0a030', '#b5651d', '#7b5ea7',
    '#555555', '#a0a0a0',
)  # fmt: skip
WIDTH, MARGIN = 760, 60


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    low: float
    high: float
    color: str


@dataclass(frozen=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]
    color: str
    is_dashed: bool = False


def short(value: float) -> str:
    """Return a number as axes show it."""
    for unit, size in (('M', 1e6), ('k', 1e3)):
        if abs(value) >= size:
            return f'{value / size:.3g}{unit}'
    return f'{value:.3g}'


def nice_ticks(high: float) -> list[float]:
    """Return round numbers from 0 to at least `high`."""
    if high <= 0:
        return [0.0, 1.0]
    step = 10 ** floor(log10(high))
    step = next(step * factor for factor in (0.1, 0.2, 0.5, 1, 2) if high / (step * factor) <= 6)
    return [step * number for number in range(ceil(high / step) + 1)]


def text(x: float, y: float, content: str, anchor: str = 'start', extra: str = '') -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(content)}</text>'


def wrap(title: str, height: float, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="12">'
        + text(10, 18, title, extra='font-weight="bold" font-size="14"')
        + ''.join(parts)
        + '</svg>'
    )


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Return horizontal bars, each with a line from its least to its greatest value."""
    left, top, step = 250, 34, 24
    high = max((bar.high for bar in bars), default=0) or 1
    scale = (WIDTH - left - 90) / high
    parts = []
    for number, bar in enumerate(bars):
        y = top + number * step
        middle = y + 8
        parts.append(text(left - 8, y + 12, bar.label, 'end'))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{bar.value * scale:.1f}" height="16" fill="{bar.color}" '
            'fill-opacity="0.8"/>'
            f'<line x1="{left + bar.low * scale:.1f}" x2="{left + bar.high * scale:.1f}" y1="{middle}" y2="{middle}" '
            'stroke="#111" stroke-width="1.5"/>'
        )
        parts.append(text(left + bar.high * scale + 6, y + 12, short(bar.value)))
    height = top + len(bars) * step + 22
    parts.append(text(left, height - 8, unit))
    return wrap(title, height, parts)


@dataclass(frozen=True)
class Axis:
    """Where values lie between `start` and `end` of a picture."""

    ticks: Sequence[float]
    is_log: bool
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], is_log: bool, start: float, end: float) -> 'Axis':
        """Return an axis with round ticks around some values: from 0, or of powers of ten."""
        if not is_log:
            return cls(nice_ticks(max(values)), False, start, end)
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        return cls([10.0**power for power in range(low, max(high, low + 1) + 1)], True, start, end)

    def place(self, value: float) -> float:
        low, high, at = (log10(each) if self.is_log else each for each in (self.ticks[0], self.ticks[-1], value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def line_chart(
    title: str,
    x_title: str,
    y_title: str,
    lines: Sequence[Line],
    *,
    log_x: bool = False,
    log_y: bool = False,
    name_x: Callable[[float], str] = short,
) -> str:
    """Return lines over common axes, which may be logarithmic; `name_x` writes the ticks of the lower one."""
    points = [
        (x, y) for line in lines for x, y in line.points if (x > 0 or not log_x) and (y > 0 or not log_y)
    ]  # fmt: skip
    if not points:
        return wrap(title, 60, [text(10, 45, 'No data.')])
    top, bottom, left, right = 34, 340, MARGIN, WIDTH - MARGIN
    x_axis = Axis.over([x for x, _ in points], log_x, left, right)
    y_axis = Axis.over([y for _, y in points], log_y, bottom, top)
    parts = []
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(text(x, bottom + 16, name_x(tick), 'middle'))
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(left - 6, y + 4, short(tick), 'end'))
    parts.append(text(right, bottom + 32, x_title, 'end'))
    parts.append(text(left, top - 4, y_title))
    lines = [line for line in lines if line.points]
    for number, line in enumerate(lines):
        path = ' '.join(
            f'{x_axis.place(x):.1f},{y_axis.place(y):.1f}'
            for x, y in line.points
            if (x > 0 or not log_x) and (y > 0 or not log_y)
        )
        dashes = ' stroke-dasharray="6 4"' if line.is_dashed else ''
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"{dashes}/>')
        y = bottom + 48 + 18 * number
        parts.append(f'<rect x="{left}" y="{y - 9}" width="12" height="10" fill="{line.color}"/>')
        parts.append(text(left + 18, y, line.label + (' (dashed)' if line.is_dashed else '')))
    return wrap(title, 380 + 18 * len(lines), parts)
