"""Plots as SVG, drawn by hand: bars with their spread, and lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

COLORS = ('#1b6ca8', '#d1495b', '#2e8b57', '#e0a030', '#7b5ea7', '#555555', '#17a2a2', '#b5651d', '#8a9a5b', '#c71585')
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


def line_chart(title: str, x_title: str, y_title: str, lines: Sequence[Line], log_x: bool = False) -> str:
    """Return lines over a common axis, which may be logarithmic."""
    lines = [line for line in lines if line.points]
    height, top = 380 + 18 * len(lines), 34
    bottom = 340
    xs = [x for line in lines for x, _ in line.points if x > 0 or not log_x]
    if not xs:
        return wrap(title, 60, [text(10, 45, 'No data.')])
    place = log10 if log_x else float
    low = floor(place(min(xs))) if log_x else 0.0
    high = ceil(place(max(xs))) if log_x else nice_ticks(max(xs))[-1]
    x_ticks = [10.0**power for power in range(int(low), int(high) + 1)] if log_x else nice_ticks(max(xs))
    y_ticks = nice_ticks(max(y for line in lines for _, y in line.points))
    x_scale = (WIDTH - 2 * MARGIN) / ((high - low) or 1)
    y_scale = (bottom - top) / y_ticks[-1]
    parts = []
    for tick in x_ticks:
        x = MARGIN + (place(tick) - low) * x_scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(text(x, bottom + 16, short(tick), 'middle'))
    for tick in y_ticks:
        y = bottom - tick * y_scale
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(MARGIN - 6, y + 4, short(tick), 'end'))
    parts.append(text(WIDTH - MARGIN, bottom + 32, x_title, 'end'))
    parts.append(text(MARGIN, top - 4, y_title))
    for number, line in enumerate(lines):
        shown = [(x, y) for x, y in line.points if x > 0 or not log_x]
        path = ' '.join(f'{MARGIN + (place(x) - low) * x_scale:.1f},{bottom - y * y_scale:.1f}' for x, y in shown)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"/>')
        y = bottom + 48 + 18 * number
        parts.append(f'<rect x="{MARGIN}" y="{y - 9}" width="12" height="10" fill="{line.color}"/>')
        parts.append(text(MARGIN + 18, y, line.label))
    return wrap(title, height, parts)
