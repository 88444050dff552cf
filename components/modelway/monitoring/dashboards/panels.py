"""What all dashboards are made of: panels of one width or another, variables and links."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import common as shared
from grafana_foundation_sdk.builders import dashboard as built
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueTextMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataTransformerConfig,
    DynamicConfigValue,
    Panel,
    Threshold,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.table import Options as TableOptions

from modelway.monitoring.dashboards import RUNBOOKS

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
FULL_WIDTH = 24
VERSIONS = 'model=~"$model",version=~"$version"'
"""Matchers of the series of the chosen versions."""
RATE = "$__rate_interval"


@dataclass(frozen=True)
class Q:
    """One query, and what its lines are called."""

    expr: str
    legend: str = "__auto"


@dataclass(frozen=True)
class Step:
    """From this value on, this colour."""

    value: float
    color: str


@dataclass(frozen=True)
class Looks:
    """What a panel shows besides its queries. `steps` follow on green; `promised` is the legend of a dashed line."""

    unit: str = "short"
    width: int = 8
    height: int = 8
    description: str = ""
    steps: Sequence[Step] = ()
    promised: str = ""
    stacked: bool = False
    maximum: float | None = None
    decimals: float | None = None
    runbooks: Sequence[str] = field(default_factory=tuple)


class _Common(Protocol):
    """What panels of every kind have."""

    def title(self, title: str) -> Self: ...
    def description(self, description: str) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def decimals(self, decimals: float) -> Self: ...
    def max(self, max_val: float) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...
    def datasource(self, datasource: DataSourceRef) -> Self: ...
    def thresholds(self, thresholds: Builder[Any]) -> Self: ...
    def links(self, links: list[Builder[Any]]) -> Self: ...


P = TypeVar("P", bound=_Common)


def lines(title: str, queries: Sequence[Q], looks: Looks | None = None) -> timeseries.Panel:
    """Lines over time."""
    looks = looks or Looks()
    panel = _dressed(timeseries.Panel(), title, looks).min(0).show_points(VisibilityMode.NEVER).line_width(1)
    legend = shared.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = panel.legend(legend.show_legend(True).calcs([]))
    panel = panel.tooltip(shared.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    if looks.steps:
        panel = panel.thresholds_style(shared.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.LINE))
    if looks.stacked:
        panel = panel.fill_opacity(40).stacking(shared.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if looks.promised:
        dashes = {"fill": "dash", "dash": [10, 10]}
        red = {"mode": "fixed", "fixedColor": "red"}
        properties = [DynamicConfigValue("custom.lineStyle", dashes), DynamicConfigValue("color", red)]
        panel = panel.override_by_regexp(f"/^{looks.promised}/", properties)
    for letter, query in zip("ABCDEF", queries, strict=False):
        panel = panel.with_target(_query(query, letter).range())
    return panel


def number(title: str, query: Q, looks: Looks | None = None, *, named: bool = False) -> stat.Panel:
    """The newest value, large; `named` shows the names of the lines instead."""
    looks = looks or Looks(width=4, height=4)
    panel = _dressed(stat.Panel(), title, looks).color_mode(BigValueColorMode.VALUE)
    panel = panel.text_mode(BigValueTextMode.NAME if named else BigValueTextMode.AUTO)
    panel = panel.reduce_options(shared.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    return panel.with_target(_query(query, "A").instant())


def rows(title: str, columns: dict[str, tuple[Q, str]], looks: Looks) -> table.Panel:
    """A line per label set, with a column, its name and unit, per query."""
    panel = _dressed(table.Panel(), title, looks)
    shown = {"Time": True}
    names = {}
    for letter, (name, (query, unit)) in zip("ABCDEFGH", columns.items(), strict=False):
        panel = panel.with_target(_query(query, letter).instant().format(PromQueryFormat.TABLE))
        panel = panel.override_by_name(name, [DynamicConfigValue("unit", unit)])
        names[f"Value #{letter}"] = name
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    organized = {"excludeByName": shown, "indexByName": {}, "renameByName": names}
    return panel.with_transformation(DataTransformerConfig(id_val="organize", options=organized))


def _dressed(panel: P, title: str, looks: Looks) -> P:
    panel = panel.title(title).unit(looks.unit).span(looks.width).height(looks.height).datasource(SOURCE)
    steps = [Threshold(None, "green"), *(Threshold(step.value, step.color) for step in looks.steps)]
    panel = panel.thresholds(built.ThresholdsConfig().steps(steps))
    if looks.description:
        panel = panel.description(looks.description)
    if looks.maximum is not None:
        panel = panel.max(looks.maximum)
    if looks.decimals is not None:
        panel = panel.decimals(looks.decimals)
    if looks.runbooks:
        panel = panel.links([_runbook(name) for name in looks.runbooks])
    return panel


def _query(query: Q, letter: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter).datasource(SOURCE)


def _runbook(name: str) -> built.DashboardLink:
    link = built.DashboardLink(f"Runbook {name}").type(DashboardLinkType.LINK).icon("doc")
    return link.url(f"{RUNBOOKS}/{name}.md").target_blank(True)


def chosen(name: str, query: str, *, many: bool = False) -> built.QueryVariable:
    """A variable whose values are found by a query; with `many`, all of them unless some are chosen."""
    variable = built.QueryVariable(name).label(name.capitalize()).query(query).datasource(SOURCE)
    variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    if many:
        everything = VariableOption(text="All", value="$__all", selected=True)
        variable = variable.multi(True).include_all(True).all_value(".*").current(everything)
    return variable


def typed(name: str, label: str, value: str) -> built.TextBoxVariable:
    """A number that the reader may type."""
    option = VariableOption(text=value, value=value, selected=True)
    return built.TextBoxVariable(name).label(label).default_value(value).current(option).options([option])


def one_of(name: str, label: str, *values: str) -> built.CustomVariable:
    """One of a few values, the first unless another is chosen."""
    options = [VariableOption(text=value, value=value, selected=value == values[0]) for value in values]
    variable = built.CustomVariable(name).label(label).values(",".join(values))
    return variable.current(options[0]).options(options)


@dataclass(frozen=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[Builder[Panel]]


def page(
    name: str, title: str, description: str, variables: Sequence[Builder[Any]], content: Sequence[Row]
) -> built.Dashboard:
    """A dashboard, linked with the others."""
    result = built.Dashboard(title).uid(f"modelway-{name}").tags(["modelway"]).description(description)
    result = result.readonly().refresh("10s").time("now-1h", "now").timezone("browser")
    result = result.tooltip(DashboardCursorSync.CROSSHAIR)
    others = built.DashboardLink("Modelway").type(DashboardLinkType.DASHBOARDS).tags(["modelway"])
    result = result.link(others.as_dropdown(True).include_vars(True).keep_time(True))
    source = built.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    result = result.with_variable(_Plain(source))
    for variable in variables:
        result = result.with_variable(_Plain(variable))
    number_of_panel = 0
    for row in content:
        number_of_panel += 1
        result = result.with_row(built.Row(row.title).id(number_of_panel))
        for panel in row.panels:
            number_of_panel += 1
            result = result.with_panel(_Numbered(panel, number_of_panel))
    return result


@dataclass(frozen=True)
class _Numbered(Builder[Panel]):
    panel: Builder[Panel]
    number: int

    def build(self) -> Panel:
        """The panel with its number."""
        made = self.panel.build()
        made.id_val = self.number
        if isinstance(made.options, TableOptions):
            # Gone from Grafana 13, whose schema refuses it; the library fills it in.
            made.options.footer = None
        return made


@dataclass(frozen=True)
class _Plain(Builder[VariableModel]):
    variable: Builder[VariableModel]

    def build(self) -> VariableModel:
        """The variable without what only intervals have, which the library fills in for all."""
        made = self.variable.build()
        made.auto = made.auto_min = made.auto_count = None
        return made
