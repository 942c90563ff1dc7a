"""Owns drawings of figures as SVG text: axes, reliability, risk against coverage, a scatter with its Pareto front.

They take their colours from the page (light or dark); `standalone` gives them their own. Knows no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 16, 56  # pixels around the plot

COLOURS = """
:root { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d5dae0; --first: #1f5fbf; --second: #b4460f;
  --good: #1a7f37; --bad: #c0341d; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e6eaef; --soft: #9aa5b1; --line: #343c46;
  --first: #6ca6f5; --second: #f0935a; --good: #4fbf6b; --bad: #ff8166; } }
"""
SHAPES = """
.chart text { fill: var(--ink); font: 13px system-ui, sans-serif; } .chart .soft { fill: var(--soft); }
.chart .grid { stroke: var(--line); } .chart .axis { stroke: var(--soft); }
.chart .first { stroke: var(--first); fill: var(--first); }
.chart .second { stroke: var(--second); fill: var(--second); }
.chart polyline.first, .chart polyline.second { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.chart .bar { fill: var(--first); fill-opacity: .55; stroke: var(--first); }
.chart .gap { fill: var(--second); fill-opacity: .25; stroke: var(--second); }
.chart .dashed { stroke: var(--soft); stroke-dasharray: 5 4; fill: none; }
.chart .hollow { fill: var(--paper); stroke: var(--soft); stroke-width: 2; }
"""


@dataclass(frozen=True)
class Bin:
    """One bar of a reliability diagram."""

    low: float
    high: float
    count: int
    sureness: float  # mean of what the model claimed
    right: float  # share of what was right


@dataclass(frozen=True)
class Point:
    """One thing in a scatter."""

    name: str
    x: float
    y: float
    low: float  # interval of y
    high: float
    front: bool = False  # nothing is better in both


class Axes:
    """Two axes with a grid, and the way from values to pixels."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], x_name: str, y_name: str) -> None:
        self._x_range, self._y_range = x, y
        self._names = x_name, y_name
        self.parts: list[str] = []

    def x(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self._x_range
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self._y_range
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def add(self, part: str) -> None:
        """Draw `part` over what is there."""
        self.parts.append(part)

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Join points given as values."""
        joined = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
        self.add(f'<polyline class="{kind}" points="{joined}"/>')

    def text(self, x_px: float, y_px: float, text: str, anchor: str = "start", kind: str = "") -> None:
        """Write at a place in pixels."""
        self.add(f'<text class="{kind}" x="{x_px}" y="{y_px}" text-anchor="{anchor}">{escape(text)}</text>')

    def svg(self, title: str, write_x: Callable[[float], str], write_y: Callable[[float], str]) -> str:
        """The drawing; `title` says in words what it shows."""
        return (
            f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg">'
            f"<title>{escape(title)}</title>{self._frame(write_x, write_y)}{''.join(self.parts)}</svg>"
        )

    def _frame(self, write_x: Callable[[float], str], write_y: Callable[[float], str]) -> str:
        left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
        parts = []
        for value in ticks(*self._x_range):
            x = self.x(value)
            parts.append(f'<path class="grid" d="M{x} {top}V{bottom}"/>')
            parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{write_x(value)}</text>')
        for value in ticks(*self._y_range):
            y = self.y(value)
            parts.append(f'<path class="grid" d="M{left} {y}H{right}"/>')
            parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{write_y(value)}</text>')
        parts.append(f'<path class="axis" fill="none" d="M{left} {top}V{bottom}H{right}"/>')
        middle = (left + right) / 2, (top + bottom) / 2
        parts.append(
            f'<text class="soft" x="{middle[0]}" y="{HEIGHT - 14}" text-anchor="middle">{escape(self._names[0])}</text>'
            f'<text class="soft" transform="translate(17 {middle[1]}) rotate(-90)" text-anchor="middle">'
            f"{escape(self._names[1])}</text>"
        )
        return "".join(parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from `low` to `high`."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def percent(value: float) -> str:
    """For an axis: 0.85 as "85 %"."""
    return f"{round(value * 100, 2):g} %"


def reliability(bins: Sequence[Bin]) -> str:
    """How often what the model claims is right, in bins of what it claims."""
    axes = Axes((0, 1), (0, 1), "claimed probability of the best label", "share that was right")
    for bin_ in bins:
        if bin_.count:
            low, high = sorted((axes.y(bin_.right), axes.y(bin_.sureness)))
            x, width = axes.x(bin_.low) + 1, axes.x(bin_.high) - axes.x(bin_.low) - 2
            axes.add(_box("bar", x, axes.y(bin_.right), width, axes.y(0) - axes.y(bin_.right)))
            axes.add(_box("gap", x, low, width, high - low))
    axes.line([(0, 0), (1, 1)], "dashed")
    for bin_ in bins:
        if bin_.count:
            middle = axes.x((bin_.low + bin_.high) / 2)
            top = min(axes.y(bin_.right), axes.y(bin_.sureness))
            axes.text(middle, max(TOP + 11, top - 5), str(bin_.count), "middle", "soft")
    told = "; ".join(f"claimed {b.sureness:.2f}, right {b.right:.2f} of {b.count}" for b in bins if b.count)
    return axes.svg(f"Reliability in {len(bins)} bins: {told}", percent, percent)


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(0.0, height):.1f}"/>'


def risk_coverage(
    wrong: Sequence[tuple[float, float]], false: Sequence[tuple[float, float]], at: tuple[float, float]
) -> str:
    """Shares that are wrong (and, of pictures without a note, announced) against the share that is spoken to."""
    top = max([y for _, y in (*wrong, *false)] + [at[1], 0.01]) * 1.1
    left = min([x for x, _ in wrong] + [at[0]])
    left = math.floor(min(0.95, left) * 20 - 1e-9) / 20
    axes = Axes((left, 1), (0, top), "coverage: share of notes that are spoken to", "share")
    axes.line(wrong, "first")
    if false:
        axes.line(false, "second")
    axes.add(f'<circle class="first" r="6" cx="{axes.x(at[0])}" cy="{axes.y(at[1])}"/>')
    keys = [("first", "wrong, of what is spoken")] + (
        [("second", "announced, of pictures without a note")] if false else []
    )
    for row, (kind, name) in enumerate(keys):
        y = TOP + 14 + 20 * row
        axes.add(f'<polyline class="{kind}" points="{LEFT + 14},{y - 4} {LEFT + 40},{y - 4}"/>')
        axes.text(LEFT + 48, y, name)
    axes.add(f'<circle class="first" r="5" cx="{LEFT + 27}" cy="{TOP + 14 + 20 * len(keys) - 4}"/>')
    axes.text(LEFT + 48, TOP + 14 + 20 * len(keys), "with the bundle's own thresholds")
    title = f"Risk against coverage: at coverage {at[0]:.3f} the bundle is wrong in {at[1]:.4f} of what it says"
    return axes.svg(title, percent, percent)


def scatter(points: Sequence[Point], x_name: str, y_name: str) -> str:
    """Things as points with their intervals; those on the Pareto front are filled and joined."""
    right = max(point.x for point in points) * 1.15 or 1.0
    low, high = min(point.low for point in points), max(point.high for point in points)
    margin = max(0.002, (high - low) * 0.08)
    axes = Axes((0, right), (max(0.0, low - margin), min(1.0, high + margin)), x_name, y_name)
    front = sorted((point for point in points if point.front), key=lambda point: point.x)
    axes.line([(point.x, point.y) for point in front], "dashed")
    for point in points:
        x, y = axes.x(point.x), axes.y(point.y)
        kind = "first" if point.front else "hollow"
        axes.add(f'<path class="axis" d="M{x} {axes.y(point.low)}V{axes.y(point.high)}"/>')
        axes.add(f'<circle class="{kind}" r="6" cx="{x}" cy="{y}"/>')
        beyond = x > WIDTH * 0.7
        axes.text(x - 11 if beyond else x + 11, y + 4, point.name, "end" if beyond else "start")
    told = "; ".join(f"{p.name}: {p.x:g}, {p.y:.4f}{', on the front' if p.front else ''}" for p in points)
    return axes.svg(f"{y_name} against {x_name}: {told}", lambda value: f"{value:g}", percent)


def standalone(svg: str) -> str:
    """The drawing as a file of its own."""
    style = f"<style>{COLOURS}{SHAPES} svg {{ background: var(--paper); }}</style>"
    head, title, rest = svg.partition("<title>")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{style}{title}{rest}\n'
