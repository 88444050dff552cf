"""From a dashboard and a Prometheus to a picture."""

import time
from collections.abc import Mapping
from typing import Any

from tools.pictures.asking import Ask, Json, Query, name_of, panels, queries, variables
from tools.pictures.drawing import Drawn, Line, drawing, figure

STEPS = 90
"""Points of a line."""
TABLE_HIDDEN = ("__name__",)


def picture(dashboard: Json, ask: Ask, minutes: int, values: Mapping[str, str] | None = None) -> str:
    """The SVG of the last `minutes`; `values` are variables that are chosen, the others are as at first."""
    chosen = {**variables(dashboard, ask), **(values or {})}
    now = time.time()
    drawn = [_drawn(panel, chosen, ask, now, minutes * 60) for panel in panels(dashboard)]
    shown = ", ".join(f"{name} {value}" for name, value in chosen.items() if value != ".*")
    return drawing(dashboard, drawn, f"live data of {minutes} minutes" + (f": {shown}" if shown else ""))


def _drawn(panel: Json, values: Mapping[str, str], ask: Ask, now: float, seconds: int) -> Drawn:
    asked = list(queries(panel, values))
    if panel["type"] == "table":
        return Drawn(panel, table=_table(panel, asked, ask))
    return Drawn(panel, [line for query in asked for line in _lines(query, ask, now, seconds)])


def _lines(query: Query, ask: Ask, now: float, seconds: int) -> list[Line]:
    if query.instant:
        answers = ask("query", {"query": query.expression})
        points = {id(answer): [answer["value"]] for answer in answers}
    else:
        step = str(max(1, seconds // STEPS))
        span = {"start": f"{now - seconds:.3f}", "end": f"{now:.3f}", "step": step}
        answers = ask("query_range", {"query": query.expression, **span})
        points = {id(answer): answer["values"] for answer in answers}
    return [
        Line(name_of(answer["metric"], query.legend), [(float(at), float(value)) for at, value in points[id(answer)]])
        for answer in answers
    ]


def _table(panel: Json, asked: list[Query], ask: Ask) -> list[dict[str, str]]:
    """Rows by labels, with a column per query, under the names and units that the panel gives them."""
    names: dict[str, str] = panel["transformations"][1]["options"]["renameByName"]
    units = {each["matcher"]["options"]: each["properties"][0]["value"] for each in panel["fieldConfig"]["overrides"]}
    rows: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for column, query in zip(names.values(), asked, strict=True):
        for answer in ask("query", {"query": query.expression}):
            labels = {key: value for key, value in answer["metric"].items() if key not in TABLE_HIDDEN}
            row = rows.setdefault(tuple(sorted(labels.items())), dict[str, Any](labels))
            row[column] = figure(float(answer["value"][1]), units[column])
    return [rows[key] for key in sorted(rows)]
