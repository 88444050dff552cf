"""A dashboard as one SVG: lines, numbers and tables where Grafana places them, in plain shapes and text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from infra.rollout_plot import COLOURS

COLUMN, ROW, GAP, MARGIN = 54, 30, 6, 16
TITLE_HEIGHT, LEGEND_LINE, LEFT = 26, 15, 62
LEGEND_MOST = 6
STYLE = (
    "text{font:11px sans-serif;fill:#333}.t{font-weight:bold;font-size:12px}.h{font-size:15px;font-weight:bold}"
    ".n{font-size:26px;font-weight:bold}.g{stroke:#e4e4e4}.p{fill:#fff;stroke:#ccc}"
    ".s{stroke:#c2410c;stroke-dasharray:2 3}"
)
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
BINARY = ((2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki"), (1.0, ""))


@dataclass(frozen=True)
class Line:
    """One series: seconds since the epoch and value, in order of time."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Drawn:
    """A panel with its data: lines, of which numbers and tables show the newest value."""

    panel: dict[str, Any]
    lines: Sequence[Line] = ()
    table: Sequence[Mapping[str, str]] = ()
    """Rows of a table, by column."""


def figure(value: float, unit: str) -> str:
    """A value as people read it, by Grafana's name of its unit."""
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "percent":
        return f"{value:.3g} %"
    factor, prefix = next(
        (each for each in (BINARY if unit in ("bytes", "Bps") else PREFIXES) if abs(value) >= each[0]), (1.0, "")
    )
    after = {"s": "s", "ms": "ms", "bytes": "B", "Bps": "B/s", "reqps": "/s", "rowsps": "/s"}.get(unit, "")
    if unit == "ms" and prefix == "k":
        factor, prefix, after = 1000.0, "", "s"
    return f"{value / factor:.3g} {prefix}{after}".strip()


def drawing(dashboard: dict[str, Any], drawn: Sequence[Drawn], note: str) -> str:
    """The SVG of a dashboard; `note` says what it was drawn from."""
    bottom = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in dashboard["panels"])
    width, height = 24 * COLUMN + 2 * MARGIN, bottom * ROW + 2 * MARGIN + 24
    heads = [_heading(each) for each in dashboard["panels"] if each["type"] == "row"]
    parts = [*heads, *(_panel(each) for each in drawn)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(dashboard['title'])}</title><style>{STYLE}</style>"
        f'<rect width="{width}" height="{height}" fill="#f5f5f5"/>'
        f'<text x="{MARGIN}" y="{MARGIN + 8}" class="h">{escape(dashboard["title"])}</text>'
        f'<text x="{width - MARGIN}" y="{MARGIN + 8}" text-anchor="end">{escape(note)}</text>'
        f'<g transform="translate({MARGIN},{MARGIN + 20})">{"".join(parts)}</g></svg>\n'
    )


def _box(panel: Mapping[str, Any]) -> tuple[int, int, int, int]:
    place = panel["gridPos"]
    return place["x"] * COLUMN, place["y"] * ROW, place["w"] * COLUMN - GAP, place["h"] * ROW - GAP


def _heading(panel: Mapping[str, Any]) -> str:
    x, y, _, _ = _box({"gridPos": {"w": 24, **panel["gridPos"]}})
    return f'<text x="{x + 2}" y="{y + 19}" class="h">{escape(panel["title"])}</text>'


def _panel(drawn: Drawn) -> str:
    x, y, width, height = _box(drawn.panel)
    draw = {"timeseries": _plot, "stat": _numbers, "table": _table}[drawn.panel["type"]]
    return (
        f'<g transform="translate({x},{y})"><rect class="p" width="{width}" height="{height}" rx="2"/>'
        f'<text x="8" y="17" class="t">{escape(drawn.panel["title"])}</text>{draw(drawn, width, height)}</g>'
    )


def _unit(panel: Mapping[str, Any]) -> str:
    return str(panel["fieldConfig"]["defaults"].get("unit", "short"))


def _numbers(drawn: Drawn, width: int, height: int) -> str:
    only_names = drawn.panel["options"]["textMode"] == "name"
    texts = [
        line.name if only_names else figure(line.points[-1][1], _unit(drawn.panel))
        for line in drawn.lines
        if line.points
    ]
    text = escape(", ".join(texts))
    return f'<text x="{width // 2}" y="{height // 2 + 18}" text-anchor="middle" class="n">{text}</text>'


def _table(drawn: Drawn, width: int, height: int) -> str:
    columns = list(dict.fromkeys(column for row in drawn.table for column in row))
    parts = []
    for number, column in enumerate(columns):
        x = 8 + number * (width - 16) // max(1, len(columns))
        parts.append(f'<text x="{x}" y="38" class="t">{escape(column)}</text>')
        for line, row in enumerate(drawn.table):
            y = 56 + 16 * line
            if y < height:
                parts.append(f'<text x="{x}" y="{y}">{escape(_short(row.get(column, ""), 30))}</text>')
    return "".join(parts)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _plot(drawn: Drawn, width: int, height: int) -> str:
    shown = drawn.lines[:LEGEND_MOST]
    beyond = len(drawn.lines) - len(shown)
    names = [line.name for line in shown] + ([f"and {beyond} more"] if beyond > 0 else [])
    per_line = 3 if width > 500 else 2
    legend_lines = math.ceil(len(names) / per_line)
    top, bottom = TITLE_HEIGHT + 4, height - 20 - legend_lines * LEGEND_LINE
    finite = [value for line in drawn.lines for _, value in line.points if math.isfinite(value)]
    custom = drawn.panel["fieldConfig"]["defaults"]
    high = max([*finite, 0.0]) * 1.05 or 1.0
    steps = [step["value"] for step in custom["thresholds"]["steps"] if step["value"] is not None]
    times = [at for line in drawn.lines for at, _ in line.points]
    start, end = (min(times), max(times)) if times else (0.0, 1.0)
    place = _Place(start, max(end - start, 1.0), high, LEFT, width - 12, top, bottom)
    parts = [_grid(place, _unit(drawn.panel))]
    parts += [
        f'<line class="s" x1="{LEFT}" x2="{width - 12}" y1="{place.y(step):.0f}" y2="{place.y(step):.0f}"/>'
        for step in steps
        if step <= high
    ]
    parts += [_line(line, COLOURS[number % len(COLOURS)], place) for number, line in enumerate(drawn.lines)]
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)] if number < len(shown) else "#333"
        x = 8 + number % per_line * (width - 16) // per_line
        y = bottom + 32 + number // per_line * LEGEND_LINE
        text = escape(_short(name, (width - 16) // per_line // 6))
        parts.append(f'<text x="{x}" y="{y}" style="fill:{colour}">{text}</text>')
    return "".join(parts)


@dataclass(frozen=True)
class _Place:
    start: float
    span: float
    high: float
    left: int
    right: int
    top: int
    bottom: int

    def x(self, at: float) -> float:
        return self.left + (self.right - self.left) * (at - self.start) / self.span

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * min(max(value / self.high, 0.0), 1.0)


def _grid(place: _Place, unit: str) -> str:
    parts = []
    for part in range(4):
        value = place.high * part / 3
        y = f"{place.y(value):.0f}"
        parts.append(f'<line class="g" x1="{place.left}" x2="{place.right}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text x="{place.left - 5}" y="{y}" dy="4" text-anchor="end">{escape(figure(value, unit))}</text>'
        )
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        at, ago = place.left + (place.right - place.left) * share, place.span * (1 - share) / 60
        text = "now" if share == 1 else f"{ago:.0f} min ago"
        parts.append(f'<text x="{at:.0f}" y="{place.bottom + 15}" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def _line(line: Line, colour: str, place: _Place) -> str:
    points = [(place.x(at), place.y(value)) for at, value in line.points if math.isfinite(value)]
    if len(points) == 1:
        (x, y) = points[0]
        return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="2.5" fill="{colour}"/>'
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
