"""What Prometheus costs for 10 models of 2 versions: `make bench-monitoring`.

The real Prometheus with the product's own configuration and rules, objectives and promises of quality among them,
scrapes pages of a real model server with 30 features and of a real proxy, whose counters go on to rise. It begins
without samples: rules that look back an hour or more have the minutes of the run, and cost more once theirs are full.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import yaml
from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.quality_args import quality_of
from modelway.monitoring.slo import slo_of
from modelway.serving.routes import route_manifests
from modelway.serving.routes_args import route_spec

from infra.config_schema import Settings
from infra.objectives import slo_args
from infra.quality import quality_args
from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain import ensure

sys.path.insert(0, str(PROJECT / "images/model-server"))

from server_process import free_port
from server_process import running as serving

from tests.engine.replay import NAMESPACE, Prometheus, Target, prometheus

MODELS, VERSIONS = 10, ("v1", "v2")
CORE_PERCENT, MEMORY_MIB = 5.0, 300.0
"""Most that it may take: of one core, and resident."""
IMAGE = "registry.example/m@sha256:" + "a" * 64
SETTLE_SECONDS = 60
EXAMPLE = PROJECT / "build/breast-cancer/v1"


def settings() -> Settings:
    """A stack whose models all have objectives and promise everything that needs no feedback."""
    versions = [{"name": name, "image": IMAGE, "weight": 50} for name in VERSIONS]
    slo = {"availabilityPercent": 99.9, "latency": {"percent": 99, "belowSeconds": 0.1}}
    quality = {"predictionDriftPsi": 0.2, "featureDriftPsi": 0.2, "missingFeaturePercent": 5}
    models = [
        {"name": f"model-{number}", "versions": versions, "slo": slo, "quality": quality} for number in range(MODELS)
    ]
    return Settings.model_validate({"cluster": {"provider": "node"}, "models": models})


def rules() -> dict[str, Any]:
    """The rules of this stack."""
    found = settings()
    return prometheus_rules(
        [slo_of(args) for args in slo_args(found)], [quality_of(args) for args in quality_args(found)]
    )


def server_page() -> str:
    """The page of a model server after a few hundred predictions."""
    rows = json.loads((EXAMPLE / "reference_predictions.json").read_text())["rows"]
    with serving(EXAMPLE / "artifact") as server, httpx.Client(trust_env=False) as client:
        for number in range(600):
            client.post(f"{server.url}/predict", json=rows[number % len(rows)]).raise_for_status()
        return server.metrics()


def clusters() -> list[str]:
    """The proxy's clusters for these models, as Envoy Gateway names them."""
    names = []
    for model in settings().models:
        versions = [{"name": each.name, "image": IMAGE, "weight": each.weight} for each in model.versions]
        routes = route_manifests(route_spec(model.name, {"versions": versions, "namespace": NAMESPACE}))
        for route in (each for each in routes if each["kind"] == "HTTPRoute"):
            for index, rule in enumerate(route["spec"]["rules"]):
                backends = rule.get("backendRefs", [])
                own = f"httproute/{NAMESPACE}/{route['metadata']['name']}/rule/{index}"
                several = len(backends) > 1
                names += [f"{own}/backend/{number}" if several else own for number, _ in enumerate(backends)]
    return names


def proxy_page(folder: Path) -> str:
    """The page of a proxy that sent some requests to every cluster; its own admin page is what they reach."""
    binary = ensure(["envoy"], Progress())["envoy"].path
    admin, listener = free_port(), free_port()
    (folder / "envoy.yaml").write_text(yaml.safe_dump(_bootstrap(admin, listener, clusters())))
    command = [binary, "-c", str(folder / "envoy.yaml"), "--concurrency", "1", "--log-level", "error"]
    with subprocess.Popen([*command, "--base-id", str(admin)]) as process, httpx.Client(trust_env=False) as client:
        try:
            _await(client, f"http://127.0.0.1:{admin}/ready")
            for _ in range(3):
                for index, _name in enumerate(clusters()):
                    client.get(f"http://127.0.0.1:{listener}/{index}/").raise_for_status()
            time.sleep(6)  # Envoy adds what its workers measured to the histograms every five seconds.
            return client.get(f"http://127.0.0.1:{admin}/stats/prometheus").text
        finally:
            process.terminate()


def _await(client: httpx.Client, url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if client.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(0.05)


def _bootstrap(admin: int, listener: int, names: list[str]) -> dict[str, Any]:
    def address(port: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    routes = [
        {"match": {"prefix": f"/{index}/"}, "route": {"cluster": name, "prefix_rewrite": "/ready"}}
        for index, name in enumerate(names)
    ]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http-10080",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address(admin)}}]}
    return {
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [
                {
                    "name": "modelway",
                    "address": address(listener),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": name,
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "load_assignment": {"cluster_name": name, "endpoints": [endpoint]},
                }
                for name in names
            ],
        },
    }


def container_page() -> str:
    """What a kubelet says of the pods, in the form of `/metrics/resource`."""
    lines = []
    for name, kind in (
        ("container_cpu_usage_seconds_total", "counter"),
        ("container_memory_working_set_bytes", "gauge"),
    ):
        lines.append(f"# TYPE {name} {kind}")
        lines += [
            f'{name}{{container="server",namespace="{NAMESPACE}",pod="model-{number}-{version}-x"}} 50'
            for number in range(MODELS)
            for version in VERSIONS
        ]
    return "\n".join(lines) + "\n"


def targets(folder: Path) -> list[Target]:
    """Everything that is scraped."""
    page = server_page()
    found = [
        Target("gateway", {"namespace": "modelway-gateway", "pod": "proxy-x"}, proxy_page(folder)),
        Target("containers", {"instance": "node"}, container_page()),
    ]
    for number in range(MODELS):
        for version in VERSIONS:
            model = f"model-{number}"
            own = re.sub(r'model="[^"]*"', f'model="{model}"', re.sub(r'version="v1"', f'version="{version}"', page))
            labels = {"namespace": NAMESPACE, "pod": f"{model}-{version}-x", "model": model, "version": version}
            found.append(Target("model-servers", labels, own))
    return found


def cost(made: Prometheus, seconds: float) -> dict[str, float]:
    """What a running Prometheus takes over so many seconds, once it has settled."""
    time.sleep(SETTLE_SECONDS)
    page = made.own()
    cpu, begin, rules_before = page["process_cpu_seconds_total"], time.monotonic(), made.rule_seconds()
    most = 0.0
    while time.monotonic() - begin < seconds:
        time.sleep(5)
        most = max(most, made.own()["process_resident_memory_bytes"])
    elapsed = time.monotonic() - begin
    now = made.own()
    return {
        "core_percent": 100 * (now["process_cpu_seconds_total"] - cpu) / elapsed,
        "memory_mib": most / 2**20,
        "series": now["prometheus_tsdb_head_series"],
        "failures": made.number("sum(prometheus_rule_evaluation_failures_total) or vector(0)"),
        "rules_percent": 100 * (made.rule_seconds() - rules_before) / elapsed,
    }


def main() -> None:
    """Measure and print; exit status 1 beyond the limits."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300)
    seconds = parser.parse_args().seconds
    if not EXAMPLE.exists():
        raise SystemExit("build/breast-cancer: the example was never packaged here; run `make up` first.")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scraped = targets(folder)
        with prometheus(folder, scraped, rules()) as made:
            found = cost(made, seconds)
    print(f"{MODELS} models of {len(VERSIONS)} versions, {seconds:.0f} s: {found['series']:.0f} series")
    print(
        f"CPU {found['core_percent']:.2f} % of one core (allowed {CORE_PERCENT:g} %), rules {found['rules_percent']:.2f} %"
    )
    print(f"memory {found['memory_mib']:.0f} MiB resident at most (allowed {MEMORY_MIB:g} MiB)")
    print(f"failed rule evaluations: {found['failures']:.0f}")
    if found["core_percent"] > CORE_PERCENT or found["memory_mib"] > MEMORY_MIB or found["failures"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
