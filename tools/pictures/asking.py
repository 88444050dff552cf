"""What the panels of a dashboard ask Prometheus, with variables filled in as Grafana fills them in."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Ask = Callable[[str, Mapping[str, str]], list[dict[str, Any]]]
"""Result of `/api/v1/` + path with these parameters."""
Json = dict[str, Any]

RATE_INTERVAL = "1m"
"""What `$__rate_interval` stands for here; Grafana takes four scrape intervals or more."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    panel: str
    expression: str
    legend: str
    instant: bool


def panels(dashboard: Json) -> list[Json]:
    """The panels that ask, without the headings between them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(panel: Json, values: Mapping[str, str]) -> Iterator[Query]:
    """What a panel asks."""
    for target in panel["targets"]:
        legend = str(target.get("legendFormat", "__auto"))
        yield Query(panel["title"], filled(target["expr"], values), legend, bool(target.get("instant")))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of its variables; raises `KeyError` for one without."""
    known = {"__rate_interval": RATE_INTERVAL, **values}
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], text)


def variables(dashboard: Json, ask: Ask) -> dict[str, str]:
    """Values of all variables: what is chosen at first, everything, or the first value that is found."""
    values: dict[str, str] = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values[variable["name"]] = _found(variable, values, ask)
        elif variable["type"] != "datasource":
            values[variable["name"]] = variable["current"]["value"]
    return values


def _found(variable: Json, values: Mapping[str, str], ask: Ask) -> str:
    if variable["includeAll"]:
        return str(variable["allValue"])
    asked = _LABEL_VALUES.fullmatch(variable["query"])
    if asked is None:
        raise ValueError(f"variable {variable['name']}: {variable['query']!r} is no label_values(SELECTOR, LABEL)")
    selector, label = filled(asked[1], values), asked[2]
    samples = ask("query", {"query": f"group by ({label}) ({selector})"})
    return min((str(sample["metric"].get(label, "")) for sample in samples), default="")


def name_of(metric: Mapping[str, str], legend: str) -> str:
    """What a line is called."""
    if legend == "__auto":
        return " ".join(value for label, value in sorted(metric.items()) if label != "__name__") or "value"
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: metric.get(found[1], ""), legend).strip() or legend
