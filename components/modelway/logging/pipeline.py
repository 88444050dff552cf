"""Configuration of the OpenTelemetry Collector, as plain data.

Facts about its components: https://github.com/open-telemetry/opentelemetry-collector-contrib (v0.156.0).
"""

import json
import re
from dataclasses import dataclass
from typing import Any

PODS_FOLDER = "/var/log/pods"
STATE_FOLDER = "/var/lib/otelcol"
SECRET_FOLDER = "/etc/otelcol/secret"  # noqa: S105
AUTHORIZATION = "authorization"
"""Key of the Secret, and name of the file, with the header that the destination wants."""
HEALTH_PORT = 13133
MEBIBYTE = 1 << 20

LOKI, ELASTICSEARCH, CLOUDWATCH, CLOUD_LOGGING = "loki", "elasticsearch", "cloudwatch", "cloudLogging"
DESTINATIONS = (LOKI, ELASTICSEARCH, CLOUDWATCH, CLOUD_LOGGING)
BY_URL = (LOKI, ELASTICSEARCH)
"""Destinations of the user's own, which have a URL; the clouds' have none."""

STORAGE = "file_storage"
EXPORTERS = {
    LOKI: "otlp_http",
    ELASTICSEARCH: "otlp_http",
    CLOUDWATCH: "awscloudwatchlogs",
    CLOUD_LOGGING: "googlecloud",
}
OTLP_PATHS = {LOKI: "/otlp", ELASTICSEARCH: "/_otlp"}
"""Where each takes OTLP: https://grafana.com/docs/loki/latest/send-data/otel/ and
https://www.elastic.co/docs/manage-data/ingest/otlp-endpoint."""

KEPT = ("request_id", "trace_id", "span_id", "model", "version", "digest", "assignment")
"""Fields of a line that become attributes of the record besides, where every destination indexes them by name."""
ALWAYS = "sampling.priority"


@dataclass(frozen=True)
class Destination:
    """Where the logs go."""

    kind: str
    """One of `DESTINATIONS`."""
    url: str = ""
    tenant: str = ""
    """Of Loki."""
    dataset: str = "modelway"
    """Of Elasticsearch: they are in the data stream `logs-DATASET.otel-default`."""
    region: str = ""
    log_group: str = "/modelway/logs"
    retention_days: int = 0
    """Of CloudWatch; 0 keeps them for ever."""
    project: str = ""


@dataclass(frozen=True)
class Pipeline:
    """What is read, what is left out, where it goes."""

    destination: Destination
    namespaces: tuple[str, ...]
    """Whose pods are read."""
    authorized: bool = False
    """Whether the Secret's header is sent."""
    redacted_fields: tuple[str, ...] = ()
    redacted_patterns: tuple[str, ...] = ()
    prediction_percent: float = 100
    """Share of the lines about successful requests; every other line is kept."""
    queue_mb: int = 512


def collector_config(spec: Pipeline) -> dict[str, Any]:
    """The whole configuration of one node's collector.

    Nothing is held in memory alone: a line counts as read once the queue on the disk has it, and what the destination
    refuses for a while is tried again for as long as it takes.
    """
    processors = _processors(spec)
    exporter = EXPORTERS[spec.destination.kind]
    return {
        "extensions": {
            STORAGE: {"directory": STATE_FOLDER, "create_directory": False, "fsync": True},
            "health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"},
        },
        "receivers": {"file_log": _receiver(spec)},
        "processors": processors,
        "exporters": {exporter: {**_exporter(spec), **_delivery(spec)}},
        "service": {
            "extensions": [STORAGE, "health_check"],
            "telemetry": {"logs": {"level": "warn", "encoding": "json"}, "metrics": {"level": "none"}},
            "pipelines": {"logs": {"receivers": ["file_log"], "processors": list(processors), "exporters": [exporter]}},
        },
    }


def _receiver(spec: Pipeline) -> dict[str, Any]:
    return {
        "include": [f"{PODS_FOLDER}/{namespace}_*/*/*.log" for namespace in spec.namespaces],
        # Where it has never read: a line that was written before the collector started counts as well.
        "start_at": "beginning",
        "include_file_name": False,
        "include_file_path": True,
        "storage": STORAGE,
        "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
        "operators": [
            # Joins what the container runtime split, and takes namespace, pod and container from the path.
            {"type": "container"},
            {
                "type": "json_parser",
                "if": 'body matches "^[{]"',
                "parse_from": "body",
                "parse_to": "body",
                "on_error": "send_quiet",
            },
        ],
    }


def _processors(spec: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = {
        "memory_limiter": {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20}
    }
    if spec.redacted_fields or spec.redacted_patterns:
        # Before anything is copied out of the line.
        found["redaction"] = {
            "allow_all_keys": True,
            "blocked_key_patterns": [f"(?i)^{re.escape(name)}$" for name in spec.redacted_fields],
            "blocked_values": list(spec.redacted_patterns),
            "redact_all_types": True,
            "summary": "silent",
        }
    found["transform/fields"] = _statements(_fields(spec.destination))
    if spec.prediction_percent < 100:
        found["probabilistic_sampler"] = {
            "sampling_percentage": spec.prediction_percent,
            # The lines of one request, in gateway and server, are kept or left out together.
            "attribute_source": "record",
            "from_attribute": "request_id",
            "sampling_priority": ALWAYS,
            "fail_closed": False,
        }
    found["transform/clean"] = _statements([f'delete_key(log.attributes, "{ALWAYS}")'])
    return found


def _statements(statements: list[str]) -> dict[str, Any]:
    # A line that a statement does not fit is passed on as it is.
    return {"error_mode": "silent", "log_statements": statements}


def _fields(destination: Destination) -> list[str]:
    """What is made of a line, which is a map where it was JSON."""
    structured = "IsMap(log.body)"
    server = f'{structured} and log.body["event"] == "request"'
    gateway = f'{structured} and log.body["event"] == nil and log.body["route"] != nil'
    failed = '{0} and (log.body["{1}"] >= 500 or log.body["{1}"] < 100)'
    fine = '{0} and log.body["{1}"] >= 100 and log.body["{1}"] < 400'
    found = [f'set(log.attributes["{name}"], log.body["{name}"]) where {structured}' for name in KEPT]
    found += [
        # Requests with many rows have many ids, which stay in the line.
        'set(log.attributes["prediction_id"], log.body["prediction_ids"][0]) '
        f'where {server} and Len(log.body["prediction_ids"]) == 1',
        'merge_maps(log.cache, ExtractPatterns(log.body["traceparent"], '
        '"^00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-"), "upsert") '
        f'where {structured} and log.body["traceparent"] != nil',
        'set(log.attributes["trace_id"], log.cache["trace"]) where log.cache["trace"] != nil',
        'set(log.attributes["span_id"], log.cache["span"]) where log.cache["span"] != nil',
        'set(log.trace_id.string, log.attributes["trace_id"]) where log.attributes["trace_id"] != nil',
        'set(log.span_id.string, log.attributes["span_id"]) where log.attributes["span_id"] != nil',
        'set(resource.attributes["service.name"], resource.attributes["k8s.container.name"])',
        f'set(resource.attributes["service.name"], log.body["model"]) where {structured} and log.body["model"] != nil',
        f'set(resource.attributes["service.version"], log.body["version"]) '
        f'where {structured} and log.body["version"] != nil',
        f'set(log.severity_text, log.body["level"]) where {structured} and log.body["level"] != nil',
        'set(log.severity_number, SEVERITY_NUMBER_INFO) where log.severity_text == "info"',
        'set(log.severity_number, SEVERITY_NUMBER_WARN) where log.severity_text == "warning"',
        'set(log.severity_number, SEVERITY_NUMBER_ERROR) where log.severity_text == "error"',
        f"set(log.severity_number, SEVERITY_NUMBER_ERROR) where {failed.format(server, 'code')}",
        f"set(log.severity_number, SEVERITY_NUMBER_ERROR) where {failed.format(gateway, 'status')}",
        f'set(log.attributes["{ALWAYS}"], 100)',
        f'delete_key(log.attributes, "{ALWAYS}") where {fine.format(server, "code")}',
        f'delete_key(log.attributes, "{ALWAYS}") where {fine.format(gateway, "status")}',
    ]
    if destination.kind == CLOUDWATCH:
        # The exporter names the stream after this.
        found.append('set(resource.attributes["pod"], resource.attributes["k8s.pod.name"])')
    if destination.kind == ELASTICSEARCH:
        found.append(f'set(resource.attributes["data_stream.dataset"], {json.dumps(destination.dataset)})')
    return found


def _exporter(spec: Pipeline) -> dict[str, Any]:
    to = spec.destination
    if to.kind == CLOUDWATCH:
        return {
            "region": to.region,
            "log_group_name": to.log_group,
            "log_stream_name": "{PodName}",
            **({"log_retention": to.retention_days} if to.retention_days else {}),
        }
    if to.kind == CLOUD_LOGGING:
        own = {"project": to.project} if to.project else {}
        return {**own, "log": {"default_log_name": "modelway"}}
    headers = {}
    if spec.authorized:
        headers["Authorization"] = f"${{file:{SECRET_FOLDER}/{AUTHORIZATION}}}"
    if to.tenant:
        headers["X-Scope-OrgID"] = to.tenant
    endpoint = to.url.rstrip("/") + OTLP_PATHS[to.kind]
    return {"endpoint": endpoint, "compression": "gzip", **({"headers": headers} if headers else {})}


def _delivery(spec: Pipeline) -> dict[str, Any]:
    queue = {
        "enabled": True,
        "storage": STORAGE,
        "sizer": "bytes",
        "queue_size": spec.queue_mb * MEBIBYTE,
        # A full queue stops the reading, and nothing is dropped: the lines wait in their files.
        "block_on_overflow": True,
    }
    if spec.destination.kind != CLOUDWATCH:
        queue["batch"] = {"flush_timeout": "1s", "sizer": "bytes", "min_size": MEBIBYTE // 4, "max_size": MEBIBYTE}
    if spec.destination.kind == CLOUD_LOGGING:
        return {"sending_queue": queue}
    retry = {"enabled": True, "initial_interval": "1s", "max_interval": "30s", "max_elapsed_time": "0s"}
    return {"sending_queue": queue, "retry_on_failure": retry}
