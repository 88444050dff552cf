"""What becomes of alerts beside the rules: receivers, routes, addresses, alerts of a stack's own; as arguments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from modelway.monitoring.alert_rules import alert_rule_misfits
from modelway.monitoring.alertmanager import AlertmanagerSpec
from modelway.monitoring.config import stack_rules
from modelway.monitoring.quality_args import Quality
from modelway.monitoring.receivers_args import alerting_misfits, alerting_of, is_url
from modelway.monitoring.slo import Slo
from modelway.serving.misfit import Misfit


class ExternalUrlsArgs(TypedDict):
    """Where people open what runs in the cluster; links in notifications lead there."""

    prometheus: NotRequired[str]
    """Defaults to its address in the cluster."""
    alertmanager: NotRequired[str]
    """Defaults to its address in the cluster."""


def alertmanager_of(namespace: str, args: Mapping[str, Any]) -> AlertmanagerSpec | None:
    """The Alertmanager of arguments that `delivery_misfits` finds nothing wrong with; none without receivers."""
    if not args.get("receivers"):
        return None
    alerting = alerting_of(args["receivers"], args.get("routes", {}), args.get("receivers_cidrs", ()))
    external = args.get("external_urls", {}).get("alertmanager", "")
    return AlertmanagerSpec(namespace, args.get("alertmanager_image", ""), alerting, external)


def delivery_misfits(
    args: Mapping[str, Any], slos: Sequence[Slo] = (), qualities: Sequence[Quality] = ()
) -> Iterator[Misfit]:
    """Everything wrong with receivers, routes, addresses and own alerts."""
    receivers = args.get("receivers", ())
    yield from alerting_misfits(receivers, args.get("routes", {}), args.get("receivers_cidrs", ()))
    external = args.get("external_urls", {})
    addresses = {f"external_urls.{name}": url for name, url in external.items()}
    for field, url in {**addresses, "runbook_base_url": args.get("runbook_base_url", "http://none")}.items():
        if not is_url(url) or "?" in url:
            allowed = "http(s)://HOST/… without user, query and fragment"
            yield Misfit(field, "no usable URL", repr(url), allowed, "correct it")
    if "alertmanager" in external and not receivers:
        yield Misfit("external_urls.alertmanager", "no Alertmanager", "no receiver", "with receivers", "remove it")
    if alerts := args.get("alerts", ()):
        yield from alert_rule_misfits(alerts, stack_rules(slos, qualities))
