"""What cannot be collected: one sentence each, before anything is made."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from modelway._common import as_int
from modelway.logging.pipeline import BY_URL, CLOUD_LOGGING, CLOUDWATCH, DESTINATIONS, ELASTICSEARCH, LOKI, Destination
from modelway.serving.misfit import Misfit

RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 2192, 2557, 2922, 3288, 3653)
"""What CloudWatch Logs takes: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/
API_PutRetentionPolicy.html, as far as the exporter does."""
TAKES = {
    LOKI: ("url", "tenant"),
    ELASTICSEARCH: ("url", "dataset"),
    CLOUDWATCH: ("region", "log_group", "retention_days"),
    CLOUD_LOGGING: ("project",),
}
NEEDS = {LOKI: ("url",), ELASTICSEARCH: ("url",), CLOUDWATCH: ("region",), CLOUD_LOGGING: ()}
SHAPES = {
    "tenant": (r"[A-Za-z0-9!._*'()-]{1,150}", "letters, digits and !-_.*'(), at most 150 characters"),
    "dataset": (r"[a-z0-9][a-z0-9_.]{0,99}", "lower-case letters, digits, '_' and '.', at most 100 characters"),
    "region": (r"[a-z]{2,3}(-[a-z]+)+-\d", "a region such as eu-central-1"),
    "log_group": (r"[A-Za-z0-9_/.#-]{1,512}", "letters, digits and _/.#-, at most 512 characters"),
    "project": (r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "a project id of 6 to 30 lower-case letters, digits and '-'"),
}
IDENTIFIERS = frozenset(("request_id", "prediction_ids", "trace_id", "model", "version", "digest", "event", "level"))
"""Without these a line could not be found again, or not be told from others."""
FIELD = re.compile(r"[A-Za-z0-9_.@$-]{1,100}")
QUEUE_MB = (64, 65_536)
NO_RE2 = re.compile(r"\(\?(=|!|<=|<!|>|P=|\()|\\[1-9]")
"""Look-around, back references, atomic groups and conditions: RE2 has none of them
(https://github.com/google/re2/wiki/Syntax)."""


def destination_of(args: Mapping[str, Any]) -> Destination:
    """A `Destination` from the fields of `LogDestinationArgs` that are set."""
    known = {name: value for name, value in args.items() if value is not None}
    if "retention_days" in known:
        known["retention_days"] = as_int(known["retention_days"], 0)
    return Destination(**known)


def log_misfits(args: Mapping[str, Any]) -> Iterable[Misfit]:
    """Everything in `LogCollectorArgs` that does not fit."""
    yield from _destination(args["destination"])
    yield from _authorization(args)
    yield from _redaction(args)
    percent, queue = args.get("prediction_percent"), args.get("queue_mb")
    if percent is not None and not 0 < percent <= 100:
        fix = "raise it, or leave the logs out" if percent <= 0 else "lower it"
        yield Misfit("prediction_percent", "out of range", f"{percent:g}", "above 0 and at most 100", fix)
    if queue is not None and not QUEUE_MB[0] <= queue <= QUEUE_MB[1]:
        yield Misfit("queue_mb", "out of range", f"{queue:g}", f"{QUEUE_MB[0]} to {QUEUE_MB[1]}", "change it")


def _destination(to: Mapping[str, Any]) -> Iterable[Misfit]:
    kind, given = to["kind"], {name: value for name, value in to.items() if value is not None and name != "kind"}
    if kind not in DESTINATIONS:
        yield Misfit("destination.kind", "unknown", repr(kind), ", ".join(DESTINATIONS), "choose one")
        return
    for name in given:
        if name not in TAKES[kind]:
            allowed = f"{', '.join(TAKES[kind])} with {kind}"
            yield Misfit(f"destination.{name}", f"{kind} takes none", repr(given[name]), allowed, "remove it")
    for name in NEEDS[kind]:
        if name not in given:
            yield Misfit(f"destination.{name}", "missing", "nothing", f"the {name} of {kind}", f"set {name}")
    for name, value in given.items():
        if name in SHAPES and not re.fullmatch(SHAPES[name][0], value):
            yield Misfit(f"destination.{name}", "not usable", repr(value), SHAPES[name][1], "correct it")
    if "url" in given:
        yield from _url(kind, given["url"])
    days = given.get("retention_days")
    if days is not None and days not in RETENTION_DAYS:
        allowed = ", ".join(map(str, RETENTION_DAYS))
        yield Misfit("destination.retention_days", "CloudWatch keeps no such time", f"{days:g}", allowed, "choose one")


def _url(kind: str, url: str) -> Iterable[Misfit]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        parts, good = urlsplit(""), False
    where, example = "destination.url", "http(s)://HOST:PORT"
    if not good:
        yield Misfit(where, "no URL", repr(url), example, "correct it")
    elif parts.username or parts.password:
        yield Misfit(where, "has a password in it", "USER:PASSWORD@", example, "set the authorization instead")
    elif parts.query or parts.fragment or re.search(r"/(otlp|_otlp|loki/api|v1/logs)\b", parts.path):
        yield Misfit(where, "has the path of an API", repr(url), f"{example} of {kind}", "leave the path out")


def _authorization(args: Mapping[str, Any]) -> Iterable[Misfit]:
    to = args["destination"]
    if args.get("authorization") is None:
        return
    if to["kind"] in DESTINATIONS and to["kind"] not in BY_URL:
        fix = "remove it, and set identity_annotations"
        yield Misfit("authorization", f"{to['kind']} takes none", "a header", "the cloud's identity", fix)
    elif str(to.get("url", "")).startswith("http://") and not re.search(r"\.svc(\.|:|/|$)", to["url"]):
        allowed = "https, or a Service of the cluster"
        yield Misfit("destination.url", "a secret would travel in the clear", repr(to["url"]), allowed, "use https")


def _redaction(args: Mapping[str, Any]) -> Iterable[Misfit]:
    for name in args.get("redacted_fields") or ():
        if name.lower() in IDENTIFIERS:
            allowed = "fields that lines are not found by"
            yield Misfit("redacted_fields", "a line could not be found again", repr(name), allowed, f"remove {name}")
        elif not FIELD.fullmatch(name):
            allowed = "names of letters, digits and _.@$-"
            yield Misfit("redacted_fields", "no name of a field", repr(name), allowed, "correct it, or use a pattern")
    for pattern in args.get("redacted_patterns") or ():
        if problem := _pattern_problem(pattern):
            what, allowed = problem
            yield Misfit("redacted_patterns", what, repr(pattern), allowed, "correct it")


def _pattern_problem(pattern: str) -> tuple[str, str] | None:
    if NO_RE2.search(pattern):
        return "RE2 has no look-around and no back references", "regular expressions of RE2"
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        return f"no regular expression ({error})", "regular expressions of RE2"
    if compiled.search(""):
        return "matches nothing at all, so everything", "patterns of at least one character"
    return None
