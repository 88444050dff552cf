"""Who is told of an alert: receivers and routes, as plain data for Alertmanager on every ground.

What authenticates is a leaf of its own, so that only a Secret holds it and the configuration, which names files, stays
plain. Fields are those of https://prometheus.io/docs/alerting/0.34/configuration/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modelway._egress import DNS_EGRESS, host_egress, is_address

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
PAGE, TICKET = "page", "ticket"
"""Values of the label `severity`: someone wakes up, or looks at it in the morning."""


@dataclass(frozen=True)
class Webhook:
    """An HTTP endpoint that takes Alertmanager's JSON."""

    url: str = ""
    """Without anything secret in it; empty where `secret_url` has it."""
    secret_url: Any = None
    """Of https on port 443."""
    bearer_token: Any = None


@dataclass(frozen=True)
class Slack:
    """An incoming webhook of Slack, or of what speaks the same."""

    url: Any
    """Secret; of https on port 443."""
    channel: str = ""
    """Empty for the one that the webhook belongs to."""


@dataclass(frozen=True)
class PagerDuty:
    """An integration of PagerDuty's Events API v2."""

    routing_key: Any
    """Secret."""
    url: str = PAGERDUTY_URL


@dataclass(frozen=True)
class Email:
    """Mail through an SMTP server."""

    to: tuple[str, ...]
    sender: str
    smarthost: str
    """`HOST:PORT`."""
    username: str = ""
    password: Any = None
    """Secret."""
    require_tls: bool = True


@dataclass(frozen=True)
class Receiver:
    """One of the four, by a name that routes use."""

    name: str
    way: Webhook | Slack | PagerDuty | Email


@dataclass(frozen=True)
class Route:
    """Who is told of alerts of one severity, and when."""

    receivers: tuple[str, ...]
    group_wait_seconds: int
    """From the first alert of a group to its notification."""
    group_interval_seconds: int
    """From one notification of a group to the next with other alerts or resolved ones."""
    repeat_hours: int
    """From one notification to the next without any change."""


@dataclass(frozen=True)
class Alerting:
    """Receivers and routes of a stack."""

    receivers: tuple[Receiver, ...]
    page: Route
    ticket: Route
    """Also of every severity but `page`, so that no alert is lost."""
    egress_cidrs: tuple[str, ...] = ()
    """Networks of the receivers; unless set, what their addresses say."""


def alertmanager_config(alerting: Alerting, secrets_folder: str) -> dict[str, Any]:
    """The content of `alertmanager.yml`; secrets are files in `secrets_folder`, named as `secret_files` names them."""
    return {
        "route": {
            "receiver": "nobody",
            "routes": [
                *_routes(alerting.page, f'severity="{PAGE}"'),
                *_routes(alerting.ticket, f'severity!="{PAGE}"'),
            ],
        },
        "inhibit_rules": [
            {
                # Without a model the labels below would be equal for any two alerts.
                "source_matchers": [f'severity="{PAGE}"', 'model!=""'],
                "target_matchers": [f'severity="{TICKET}"', 'model!=""'],
                "equal": ["model", "version", "slo"],
            }
        ],
        "receivers": [
            {"name": "nobody"},
            *(receiver_config(receiver, secrets_folder) for receiver in alerting.receivers),
        ],
    }


def _routes(route: Route, matcher: str) -> list[dict[str, Any]]:
    return [
        {
            "receiver": name,
            "matchers": [matcher],
            # One notification per model, however many of its versions and objectives fail together.
            "group_by": ["alertname", "model"],
            "group_wait": f"{route.group_wait_seconds}s",
            "group_interval": f"{route.group_interval_seconds}s",
            "repeat_interval": f"{route.repeat_hours}h",
            "continue": True,
        }
        for name in route.receivers
    ]


_FIRST = "(index .Alerts 0).Annotations"
_LINES = (
    "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\n"
    "{{ .Annotations.runbook_url }}\n{{ end }}"
)
_STATE = "{{ .Status | toUpper }} {{ .CommonLabels.severity }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.model }}"


def receiver_config(receiver: Receiver, secrets_folder: str) -> dict[str, Any]:
    """One entry of `receivers`."""
    way, files = receiver.way, {key: f"{secrets_folder}/{name}" for key, name, _ in _secrets(receiver)}
    sent: dict[str, Any] = {"send_resolved": True}
    if isinstance(way, Webhook):
        sent |= {"url": way.url} if way.url else {"url_file": files["url"]}
        if "token" in files:
            sent["http_config"] = {"authorization": {"credentials_file": files["token"]}}
        return {"name": receiver.name, "webhook_configs": [sent]}
    if isinstance(way, Slack):
        sent |= {"api_url_file": files["url"], "title": _STATE, "text": _LINES}
        sent |= {"channel": way.channel} if way.channel else {}
        return {"name": receiver.name, "slack_configs": [sent]}
    if isinstance(way, PagerDuty):
        critical = f'{{{{ if eq .CommonLabels.severity "{PAGE}" }}}}critical{{{{ else }}}}warning{{{{ end }}}}'
        sent |= {"routing_key_file": files["key"], "url": way.url, "severity": critical}
        sent |= {"description": f"{{{{ {_FIRST}.summary }}}}"}
        sent |= {"details": {name: f"{{{{ {_FIRST}.{name} }}}}" for name in ("description", "runbook_url")}}
        return {"name": receiver.name, "pagerduty_configs": [sent]}
    mail = {"from": way.sender, "smarthost": way.smarthost, "require_tls": way.require_tls}
    if way.username:
        mail |= {"auth_username": way.username, "auth_password_file": files["password"]}
    subject = {"Subject": _STATE}
    configs = [{**sent, "to": address, **mail, "headers": subject} for address in way.to]
    return {"name": receiver.name, "email_configs": configs}


def secret_files(receivers: Sequence[Receiver]) -> dict[str, Any]:
    """What authenticates at the receivers, by the name of its file; leaves may be Pulumi outputs."""
    return {name: value for receiver in receivers for _, name, value in _secrets(receiver)}


def _secrets(receiver: Receiver) -> list[tuple[str, str, Any]]:
    """What a secret is, its file, its value."""
    way = receiver.way
    if isinstance(way, Webhook):
        found = {"url": way.secret_url, "token": way.bearer_token}
    elif isinstance(way, Slack):
        found = {"url": way.url}
    elif isinstance(way, PagerDuty):
        found = {"key": way.routing_key}
    else:
        found = {"password": way.password}
    return [(key, f"{receiver.name}-{key}", value) for key, value in found.items() if value is not None]


def alerting_egress(alerting: Alerting) -> list[dict[str, Any]]:
    """Egress rules of Alertmanager: each address and port once, and names where an address has to be looked up."""
    places = list(dict.fromkeys(_place(receiver.way) for receiver in alerting.receivers))
    rules = [DNS_EGRESS] if any(not is_address(host) for host, _ in places) else []
    for host, port in places:
        rule = host_egress(host, port, alerting.egress_cidrs)
        rules += [rule] if rule not in rules else []
    return rules


def _place(way: Webhook | Slack | PagerDuty | Email) -> tuple[str, int]:
    """Host and port; no host for one that is secret."""
    if isinstance(way, Email):
        host, _, port = way.smarthost.rpartition(":")
        return host, int(port)
    url = urlsplit("" if isinstance(way, Slack) else way.url)
    return url.hostname or "", url.port or (80 if url.scheme == "http" else 443)
