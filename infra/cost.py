"""The cost of a stack, from its preview: estimate, budget, what is said of both."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infra import cost_prices, cost_refresh
from infra.config_cluster import EksSettings, GkeSettings
from infra.cost_estimate import Estimate, Line, Resource, estimate, keys
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from rich.table import Table

    from infra.config_schema import Settings

WHERE = "modelway:cost"


def cost_problems(settings: "Settings") -> list[Problem]:
    """A budget for what nobody bills."""
    if settings.cost.monthly_budget_usd is None or _place(settings) is not None:
        return []
    got, allowed = f"provider {settings.cluster.provider}", "a cluster that the stack makes on EKS or GKE"
    return [Problem(f"{WHERE}.monthlyBudgetUsd", "nothing to estimate", got, allowed, "remove it")]


def of_stack(settings: "Settings", resources: Sequence[Resource], refresh: bool = False) -> Estimate:
    """A month of what a preview shows.

    Raises:
        ProblemError: the stack makes nothing in a cloud; or, with `refresh`, the price list cannot be asked.
    """
    place = _place(settings)
    if place is None:
        got, allowed = f"provider {settings.cluster.provider}", "a stack on EKS or GKE"
        fix = "name a stack of a cloud"
        raise ProblemError([Problem("modelway cost", "nothing that anybody bills", got, allowed, fix)])
    cloud, region = place
    book = cost_prices.committed(cloud)
    if cloud == "gcp":
        if refresh:
            got, allowed = "a stack on GKE", "a stack on EKS"
            fix = "leave --refresh out: the committed prices name every region"
            raise ProblemError([Problem("modelway cost --refresh", "no price list to ask", got, allowed, fix)])
        return estimate(resources, region, book)
    if refresh:
        cost_refresh.keep(cost_refresh.refresh(keys(resources), region))
    return estimate(resources, region, book.updated(cost_refresh.kept()))


def _place(settings: "Settings") -> tuple[str, str] | None:
    if isinstance(settings.cluster, EksSettings):
        return "aws", settings.cluster.region
    if isinstance(settings.cluster, GkeSettings):
        return "gcp", settings.cluster.region
    return None


def budget_problems(found: Estimate, monthly_budget_usd: float | None) -> list[Problem]:
    """That the stack costs more than it may, with the nodes that it starts with."""
    if monthly_budget_usd is None or found.least_usd <= monthly_budget_usd:
        return []
    dearest = max(found.groups().items(), key=lambda item: item[1][0])
    return [
        Problem(
            f"{WHERE}.monthlyBudgetUsd",
            "the stack costs more",
            f"${found.least_usd:,.2f} a month, of which {dearest[0]} ${dearest[1][0]:,.2f}",
            f"${monthly_budget_usd:,.2f}",
            "make it smaller or raise the budget; `modelway cost` shows each part",
        )
    ]


def as_json(found: Estimate, requests_per_second: float | None) -> dict[str, Any]:
    """The estimate for programs, each price with its page."""
    document: dict[str, Any] = {
        "monthlyUsd": {"least": round(found.least_usd, 2), "most": round(found.most_usd, 2)},
        "groups": {
            name: {"least": round(least, 2), "most": round(most, 2)} for name, (least, most) in found.groups().items()
        },
        "without": list(found.without),
        "byUse": list(found.by_use),
        "lines": [
            {
                "group": line.group,
                "resource": line.resource,
                "what": line.what,
                "unitsLeast": round(line.least, 2),
                "unitsMost": round(line.most, 2),
                "unit": line.price.unit,
                "usd": line.price.usd,
                "address": line.price.address,
                "read": line.price.read,
                "published": line.price.published,
            }
            for line in found.lines
        ],
    }
    if requests_per_second:
        document["usdPer1000Predictions"] = round(found.per_1000_predictions(requests_per_second), 6)
        document["requestsPerSecond"] = requests_per_second
    return document


def table(found: Estimate) -> "Table":
    """The estimate for people."""
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for column in ("group", "what", "a month from", "to", "price", "read from"):
        shown.add_column(column, justify="right" if column in ("a month from", "to", "price") else "left")
    for (group, what, _key), lines in _merged(found).items():
        price = lines[0].price
        least, most = sum(line.least_usd for line in lines), sum(line.most_usd for line in lines)
        source = f"{price.address} ({price.published or price.read})"
        shown.add_row(group, what, f"${least:,.2f}", f"${most:,.2f}", f"${price.usd:g} per {price.unit}", source)
    return shown


def _merged(found: Estimate) -> Mapping[tuple[str, str, str], list[Line]]:
    merged: dict[tuple[str, str, str], list[Line]] = {}
    for line in found.lines:
        merged.setdefault((line.group, line.what, line.price.key), []).append(line)
    return merged


def sentences(found: Estimate, requests_per_second: float | None) -> list[str]:
    """The sums, and what they lack."""
    said = [f"A month from ${found.least_usd:,.2f} to ${found.most_usd:,.2f}: list prices, 730 hours, without tax."]
    if requests_per_second:
        each = found.per_1000_predictions(requests_per_second)
        said.append(
            f"${each:,.6f} per 1,000 predictions at {requests_per_second:g} a second, with the nodes it starts with."
        )
    said += [f"without {what}" for what in found.without]
    if found.by_use:
        said.append(f"paid by use, and not in it: {', '.join(found.by_use)}")
    return said
