"""A version stands in one place: what other files must repeat is held equal here."""

import re
from pathlib import Path

import pytest
from modelway.logging import collector
from modelway.monitoring import operator
from modelway.scaling import keda

from tools.paths import PROJECT
from tools.toolchain import catalog, gobuild, versions
from tools.toolchain.model import GoBuild


def required(module: str) -> dict[str, str]:
    """Direct requirements of a module graph."""
    text = (gobuild.MODULES / module / "go.mod").read_text()
    lines = re.findall(r"^(?:require )?\s*(\S+\.\S+/\S+) (v\S+)$", text, re.MULTILINE)
    return dict(lines)


@pytest.mark.parametrize(
    ("module", "path", "version"),
    [
        ("pulumi", "github.com/pulumi/pulumi/pkg/v3", versions.PULUMI),
        ("kubernetes", "k8s.io/kubernetes", versions.KUBERNETES),
        ("kubernetes", "helm.sh/helm/v3", versions.HELM),
        ("kubernetes", "github.com/envoyproxy/gateway", versions.ENVOY_GATEWAY),
        ("kubernetes", "github.com/coredns/coredns", versions.COREDNS),
        ("kubernetes", "sigs.k8s.io/metrics-server", versions.METRICS_SERVER),
        ("cert-manager", "github.com/cert-manager/cert-manager", versions.CERT_MANAGER),
        ("keda", "github.com/kedacore/keda/v2", versions.KEDA),
        (
            "prometheus-operator",
            "github.com/prometheus-operator/prometheus-operator",
            versions.PROMETHEUS_OPERATOR,
        ),
        ("otel-collector", "go.opentelemetry.io/collector/otelcol", versions.OTEL_COLLECTOR),
        ("loki", "github.com/grafana/loki/v3", versions.LOKI),
        ("alertmanager", "github.com/prometheus/alertmanager", versions.ALERTMANAGER),
        ("cyclonus", "github.com/mattfenwick/cyclonus", versions.CYCLONUS),
        ("kube-score", "github.com/zegl/kube-score", versions.KUBE_SCORE),
        ("actionlint", "github.com/rhysd/actionlint", versions.ACTIONLINT),
    ],
)
def test_the_module_graphs_require_the_pinned_versions(module: str, path: str, version: str) -> None:
    assert required(module)[path] == f"v{version}"


def own_module(module: str) -> str:
    """Path of the module graph itself: a program of ours in it keeps what it imports."""
    return (gobuild.MODULES / module / "go.mod").read_text().split()[1]


def test_the_component_names_the_keda_that_is_built() -> None:
    assert keda.VERSION == versions.KEDA


def test_the_component_names_the_collector_that_is_built() -> None:
    assert collector.VERSION == versions.OTEL_COLLECTOR


def test_the_component_names_the_operator_that_is_built() -> None:
    assert operator.OPERATOR_VERSION == versions.PROMETHEUS_OPERATOR


def test_prometheus_counts_its_go_module_in_its_own_way() -> None:
    major, minor, patch = versions.PROMETHEUS.split(".")
    assert required("prometheus")["github.com/prometheus/prometheus"] == f"v0.{major}{int(minor):02d}.{patch}"


def test_pod_security_is_judged_as_the_pinned_kubernetes_does() -> None:
    major, minor, patch = versions.KUBERNETES.split(".")
    assert (major, required("pod-security")["k8s.io/pod-security-admission"]) == ("1", f"v0.{minor}.{patch}")


def test_calico_is_the_commit_that_its_release_is() -> None:
    # Without tags, the pseudo-version is all that says it: 3.28.5 is this commit.
    assert (versions.CALICO, required("calico")["github.com/projectcalico/calico"].rpartition("-")[2]) == (
        "3.28.5",
        "a0db560f0520",
    )


@pytest.mark.parametrize(
    ("package", "version"),
    [("pulumi_kubernetes", versions.PULUMI_KUBERNETES), ("pulumi_command", versions.PULUMI_COMMAND)],
)
def test_the_plugins_are_those_that_the_pinned_sdks_ask_for(package: str, version: str) -> None:
    assert f"{package}=={version}" in (PROJECT / "constraints.txt").read_text().splitlines()


def test_every_module_graph_has_its_checksums() -> None:
    modules = {spec.go.module for spec in catalog.SPECS.values() if spec.go}
    assert modules == {folder.name for folder in gobuild.MODULES.iterdir()}
    assert all((gobuild.MODULES / module / "go.sum").stat().st_size > 0 for module in modules)


def test_every_built_package_is_kept_by_its_module_graph() -> None:
    for spec in catalog.SPECS.values():
        if spec.go and not spec.go.package.startswith(own_module(spec.go.module)):
            assert f'"{spec.go.package}"' in (gobuild.MODULES / spec.go.module / "tools.go").read_text()


def test_a_comment_in_tools_go_builds_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    for name in ("go.mod", "go.sum", "main.go", "tools.go"):
        (tmp_path / "m" / name).write_text("one")
    monkeypatch.setattr(gobuild, "MODULES", tmp_path)
    build = GoBuild("m", "p", ())
    before = gobuild.fingerprint(build)
    (tmp_path / "m" / "tools.go").write_text("two")
    assert gobuild.fingerprint(build) == before
    (tmp_path / "m" / "main.go").write_text("two")
    assert gobuild.fingerprint(build) != before
