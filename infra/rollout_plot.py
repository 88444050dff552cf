"""Lines over time as one inline SVG, without scripts, fonts or anything from elsewhere."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 14, 30
COLOURS = ("#1f6fb2", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be123c", "#0e7490", "#4d4d4d")
"""Told apart by people of every colour vision in pairs; lines are named at their ends all the same."""
SMALLEST = 1e-12
TICKS = 5


@dataclass(frozen=True)
class Band:
    """One line, or the band between two."""

    name: str
    low: Sequence[tuple[float, float]]
    """Seconds and value, in order of time."""
    high: Sequence[tuple[float, float]] = ()
    """Upper edge of a band, at the same times; empty for a line."""
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """What values are drawn where."""

    title: str
    low: float
    high: float
    logarithmic: bool = False
    text: Callable[[float], str] = "{:g}".format

    def place(self, value: float) -> float:
        """Position between 0 and 1; what is beyond is drawn at the edge."""
        low, high, value = (self._scaled(each) for each in (self.low, self.high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self) -> list[float]:
        """Values with a grid line."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        scaled = [low + (high - low) * number / (TICKS - 1) for number in range(TICKS)]
        return [10**each if self.logarithmic else each for each in scaled]

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, SMALLEST)) if self.logarithmic else value


def plot(title: str, bands: Sequence[Band], axis: Axis, marks: Mapping[float, str]) -> str:
    """The SVG; `marks` are times with what happened then, drawn as vertical lines with a tooltip."""
    times = [at for band in bands for at, _ in band.low] + list(marks)
    start, end = (min(times), max(times)) if times else (0.0, 1.0)
    span = max(end - start, 1.0)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - start) / span

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - axis.place(value))

    parts = [_grid(axis, y), _time_axis(span, x, start)]
    parts += [
        f'<line x1="{x(at):.1f}" y1="{TOP}" x2="{x(at):.1f}" y2="{HEIGHT - BOTTOM}" class="mark">'
        f"<title>{escape(what)}</title></line>"
        for at, what in marks.items()
    ]
    ends = _spread([y(band.low[-1][1]) if band.low else TOP for band in bands])
    for number, (band, at) in enumerate(zip(bands, ends, strict=True)):
        parts.append(_band(band, COLOURS[number % len(COLOURS)], x, y, at))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )


def _grid(axis: Axis, y: Callable[[float], float]) -> str:
    lines = [
        f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}" class="grid"/>'
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{escape(axis.text(value))}</text>'
        for value in axis.ticks()
    ]
    return "".join(lines)


def _time_axis(span: float, x: Callable[[float], float], start: float) -> str:
    unit, name = (3600.0, "h") if span >= 3 * 3600 else (60.0, "min") if span >= 180 else (1.0, "s")
    marks = [
        f'<text x="{x(start + span * part / 4):.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{span * part / 4 / unit:.3g} {name}</text>"
        for part in range(5)
    ]
    return "".join(marks)


def _band(band: Band, colour: str, x: Callable[[float], float], y: Callable[[float], float], end: float) -> str:
    points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in band.low)
    dash = ' stroke-dasharray="5 4"' if band.dashed else ""
    parts = [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>']
    if band.high:
        upper = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in band.high)
        back = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in reversed(band.high))
        parts.insert(0, f'<polygon points="{points} {back}" fill="{colour}" fill-opacity="0.12"/>')
        parts.append(f'<polyline points="{upper}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    label = f'<text x="{WIDTH - RIGHT + 8}" y="{end + 4:.1f}" fill="{colour}">{escape(band.name)}</text>'
    return "".join([*parts, label])


def _spread(wanted: Sequence[float], least: float = 13.0) -> list[float]:
    """Heights for labels near the wanted ones, so far apart that each can be read."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    found, last = [0.0] * len(wanted), -math.inf
    for number in order:
        last = max(wanted[number], last + least)
        found[number] = last
    return found
