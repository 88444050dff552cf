"""Receivers and routes as arguments, and what may be said there: every field acts or is refused."""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from modelway.monitoring.receivers import PAGERDUTY_URL, Alerting, Email, PagerDuty, Receiver, Route, Slack, Webhook
from modelway.serving.misfit import Misfit

PAGE_DEFAULTS = Route((), 5, 60, 4)
TICKET_DEFAULTS = Route((), 120, 600, 24)
MOST_PAGE_WAIT_SECONDS = 5
"""A page is due within 90 seconds, of which the rules need most."""
WAYS = ("webhook", "slack", "pagerduty", "email")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_SMARTHOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}")
_MAIL = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_LIMITS = {
    "page": {"group_wait_seconds": (0, MOST_PAGE_WAIT_SECONDS)},
    "ticket": {"group_wait_seconds": (30, 3600)},
}
_BOTH = {"group_interval_seconds": (10, 86_400), "repeat_hours": (1, 120)}
"""Alertmanager forgets after 120 hours what it has sent."""


class WebhookReceiverArgs(TypedDict):
    """An HTTP endpoint that takes Alertmanager's JSON; exactly one of the two URLs."""

    url: NotRequired[str]
    """With nothing secret in it."""
    secret_url: NotRequired[pulumi.Input[str]]
    """Of https on port 443; kept secret."""
    bearer_token: NotRequired[pulumi.Input[str]]
    """Sent as `Authorization: Bearer …`; kept secret. Defaults to none."""


class SlackReceiverArgs(TypedDict):
    """An incoming webhook of Slack, or of what speaks the same."""

    url: pulumi.Input[str]
    """Of https on port 443; kept secret."""
    channel: NotRequired[str]
    """Defaults to the one that the webhook belongs to."""


class PagerDutyReceiverArgs(TypedDict):
    """An integration of PagerDuty's Events API v2."""

    routing_key: pulumi.Input[str]
    """Kept secret."""
    url: NotRequired[str]
    """Defaults to `https://events.pagerduty.com/v2/enqueue`."""


class EmailReceiverArgs(TypedDict):
    """Mail through an SMTP server."""

    to: list[str]
    """Addresses, each of which gets a mail of its own."""
    sender: str
    """Address that mails come from."""
    smarthost: str
    """`HOST:PORT` of the server."""
    username: NotRequired[str]
    """Together with `password`. Defaults to none."""
    password: NotRequired[pulumi.Input[str]]
    """Kept secret."""
    require_tls: NotRequired[bool]
    """Whether mails are sent over TLS only. Defaults to true."""


class ReceiverArgs(TypedDict):
    """Who is told of alerts, in exactly one of the four ways."""

    name: str
    """Lower-case letters, digits and '-', at most 40."""
    webhook: NotRequired[WebhookReceiverArgs]
    """Told by HTTP. Defaults to none."""
    slack: NotRequired[SlackReceiverArgs]
    """Told in Slack. Defaults to none."""
    pagerduty: NotRequired[PagerDutyReceiverArgs]
    """Told by PagerDuty. Defaults to none."""
    email: NotRequired[EmailReceiverArgs]
    """Told by mail. Defaults to none."""


class AlertRouteArgs(TypedDict):
    """Who is told of alerts of one severity, and when."""

    receivers: NotRequired[list[str]]
    """Names. Defaults to all receivers."""
    group_wait_seconds: NotRequired[int]
    """How long more alerts of the same name and model are waited for before the first notification: 0 to 5 for pages,
    30 to 3600 for tickets. Defaults to 5 and 120."""
    group_interval_seconds: NotRequired[int]
    """Shortest time between two notifications of such a group, 10 to 86400. Defaults to 60 and 600."""
    repeat_hours: NotRequired[int]
    """When a notification is repeated while nothing changes, 1 to 120. Defaults to 4 and 24."""


class AlertRoutesArgs(TypedDict):
    """Routes of alerts by their severity."""

    page: NotRequired[AlertRouteArgs]
    """Of alerts that somebody wakes up for. Defaults to all receivers."""
    ticket: NotRequired[AlertRouteArgs]
    """Of all others. Defaults to all receivers."""


def alerting_of(
    receivers: Sequence[Mapping[str, Any]], routes: Mapping[str, Any], egress_cidrs: Sequence[str] = ()
) -> Alerting:
    """Receivers and routes that `alerting_misfits` finds nothing wrong with."""
    found = tuple(_receiver(each) for each in receivers)
    names = tuple(receiver.name for receiver in found)
    page = _route(routes.get("page") or {}, PAGE_DEFAULTS, names)
    return Alerting(found, page, _route(routes.get("ticket") or {}, TICKET_DEFAULTS, names), tuple(egress_cidrs))


def _receiver(args: Mapping[str, Any]) -> Receiver:
    if webhook := args.get("webhook"):
        return Receiver(args["name"], Webhook(**webhook))
    if slack := args.get("slack"):
        return Receiver(args["name"], Slack(**slack))
    if pagerduty := args.get("pagerduty"):
        return Receiver(args["name"], PagerDuty(**pagerduty))
    return Receiver(args["name"], Email(**{**args["email"], "to": tuple(args["email"]["to"])}))


def _route(args: Mapping[str, Any], defaults: Route, names: tuple[str, ...]) -> Route:
    # From other languages every number arrives as a float.
    wait, interval, repeat = (
        int(args.get(field, getattr(defaults, field)))
        for field in ("group_wait_seconds", "group_interval_seconds", "repeat_hours")
    )
    return Route(tuple(args.get("receivers", names)), wait, interval, repeat)


def alerting_misfits(
    receivers: Sequence[Mapping[str, Any]], routes: Mapping[str, Any], egress_cidrs: Sequence[str] = ()
) -> Iterator[Misfit]:
    """Everything wrong with receivers and routes; values that are not known yet are taken for right."""
    names = [receiver["name"] for receiver in receivers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Misfit("receivers", "receiver name used twice", repr(name), "each name once", "rename or remove one")
    for number, receiver in enumerate(receivers):
        yield from _receiver_misfits(f"receivers[{number}]", receiver)
    yield from _routes_misfits(names, routes)
    for cidr in egress_cidrs:
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            allowed = "a network such as 203.0.113.0/24"
            yield Misfit("receivers_cidrs", "not a network", repr(cidr), allowed, "correct it")
    if egress_cidrs and not receivers:
        yield Misfit("receivers_cidrs", "not used", "no receiver", "with receivers", "remove receivers_cidrs")


def _routes_misfits(names: Sequence[str], routes: Mapping[str, Any]) -> Iterator[Misfit]:
    for severity, bounds in _LIMITS.items():
        route = routes.get(severity)
        if route is None:
            continue
        where = f"routes.{severity}"
        if not names:
            yield Misfit(where, "nobody to route to", "no receiver", "with receivers", f"add one or remove {severity}")
        for name in route.get("receivers", ()) if names else ():
            if name not in names:
                yield Misfit(f"{where}.receivers", "unknown receiver", repr(name), ", ".join(names), "correct it")
        for field, (low, high) in {**bounds, **_BOTH}.items():
            value = route.get(field)
            if value is not None and not low <= value <= high:
                yield Misfit(f"{where}.{field}", "out of range", f"{value:g}", f"{low} to {high}", "change it")
    told = [name for severity in _LIMITS for name in (routes.get(severity) or {}).get("receivers", names)]
    for name in names:
        if name not in told:
            yield Misfit("receivers", "no route to a receiver", repr(name), "at least one", "route to it or remove it")


def _receiver_misfits(where: str, receiver: Mapping[str, Any]) -> Iterator[Misfit]:
    if not _NAME.fullmatch(receiver["name"]):
        allowed = "lower-case letters, digits and '-', a letter first, no '-' last, at most 40 characters"
        yield Misfit(f"{where}.name", "no name of a receiver", repr(receiver["name"]), allowed, "rename it")
    ways = [way for way in WAYS if receiver.get(way) is not None]
    if len(ways) != 1:
        got = ", ".join(ways) or "nothing"
        yield Misfit(where, "needs exactly one way to be told", got, " or ".join(WAYS), "keep one")
        return
    checks = {"webhook": _webhook, "slack": _slack, "pagerduty": _pagerduty, "email": _email}
    yield from checks[ways[0]](f"{where}.{ways[0]}", receiver[ways[0]])


def _webhook(where: str, way: Mapping[str, Any]) -> Iterator[Misfit]:
    if ("url" in way) == ("secret_url" in way):
        got = "both" if "url" in way else "nothing"
        yield Misfit(f"{where}.url", "needs exactly one URL", got, "url or secret_url", "keep one")
    yield from _url(f"{where}.url", way.get("url"), ("http", "https"))
    yield from _secret_url(f"{where}.secret_url", way.get("secret_url"))
    yield from _empty(f"{where}.bearer_token", way.get("bearer_token"))


def _slack(where: str, way: Mapping[str, Any]) -> Iterator[Misfit]:
    yield from _secret_url(f"{where}.url", way.get("url", ""))


def _pagerduty(where: str, way: Mapping[str, Any]) -> Iterator[Misfit]:
    yield from _empty(f"{where}.routing_key", way.get("routing_key", ""))
    yield from _url(f"{where}.url", way.get("url", PAGERDUTY_URL), ("https",))


def _email(where: str, way: Mapping[str, Any]) -> Iterator[Misfit]:
    if not way["to"]:
        yield Misfit(f"{where}.to", "nobody gets it", "nothing", "one address or more", "add one")
    for field, address in [*(("to", each) for each in way["to"]), ("sender", way["sender"])]:
        if not _MAIL.fullmatch(address):
            yield Misfit(f"{where}.{field}", "no mail address", repr(address), "NAME@HOST", "correct it")
    if not _SMARTHOST.fullmatch(way["smarthost"]) or not 0 < int(way["smarthost"].rpartition(":")[2]) < 65_536:
        allowed = "HOST:PORT such as smtp.example.com:587"
        yield Misfit(f"{where}.smarthost", "no SMTP server", repr(way["smarthost"]), allowed, "correct it")
    if ("username" in way) != ("password" in way):
        missing = "password" if "username" in way else "username"
        yield Misfit(f"{where}.{missing}", "missing", "nothing", "both or neither", f"add {missing}")
    yield from _empty(f"{where}.password", way.get("password"))


def _empty(where: str, value: Any) -> Iterator[Misfit]:
    if isinstance(value, str) and not value.strip():
        yield Misfit(where, "missing", "nothing", "a secret", "set it as a secret")


def _secret_url(where: str, value: Any) -> Iterator[Misfit]:
    yield from _empty(where, value)
    if isinstance(value, str) and value.strip():
        for _, what, _, _, fix in _url(where, value, ("https",)):
            # What is secret is not repeated.
            yield Misfit(where, what, "a secret", "https://HOST/… on port 443", fix)
            return
        if urlsplit(value).port not in (None, 443):
            yield Misfit(where, "no usable URL", "another port", "https://HOST/… on port 443", "correct it")


def _url(where: str, value: Any, schemes: Sequence[str]) -> Iterator[Misfit]:
    if value is None:
        return
    allowed = f"{' or '.join(schemes)}://HOST/… without user, blanks and fragment, not this pod itself"
    if not is_url(value, schemes):
        yield Misfit(where, "no usable URL", repr(value), allowed, "correct it")


def is_url(value: str, schemes: Sequence[str] = ("http", "https")) -> bool:
    """Whether another pod can be asked at `value`."""
    try:
        url = urlsplit(value)
        usable = url.scheme in schemes and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    own = url.hostname == "localhost" or str(url.hostname).startswith("127.") or url.hostname == "::1"
    return usable and not own and not re.search(r"[\s#@]", value)
