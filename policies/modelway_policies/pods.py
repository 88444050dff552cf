"""Rules on what a pod may do to its node, its cluster and itself."""

from collections.abc import Iterator
from typing import Any

from modelway_policies.objects import WORKLOADS, Container, Object, items, pods_of, section, title, value
from modelway_policies.rule import Finding, Options, Rule, cis, each_container, nsa, pss

_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
_SHARED = ("hostNetwork", "hostPID", "hostIPC")


def _finding(container: Container, what: str, got: Any, allowed: str) -> Finding:
    return Finding(container.pods.owner, container.where, what, "nothing" if got is None else str(got), allowed)


def _non_root(container: Container) -> Iterator[Finding]:
    if (got := container.security("runAsNonRoot")) is not True:
        yield _finding(container, "may run as root", got, "runAsNonRoot: true")
    elif container.security("runAsUser") == 0:
        yield _finding(container, "runs as root", "runAsUser: 0", "a user other than 0")


def _privileges(container: Container) -> Iterator[Finding]:
    if section(container.data, "securityContext").get("privileged"):
        yield _finding(container, "privileged", "privileged: true", "privileged: false")
    got = value(container.data, "securityContext", "allowPrivilegeEscalation")
    if got is not False:
        yield _finding(container, "may gain privileges", got, "allowPrivilegeEscalation: false")


def _read_only(container: Container) -> Iterator[Finding]:
    got = value(container.data, "securityContext", "readOnlyRootFilesystem")
    if got is not True:
        yield _finding(container, "may change its own programs", got, "readOnlyRootFilesystem: true")


def _capabilities(container: Container) -> Iterator[Finding]:
    dropped = items(container.data, "securityContext", "capabilities", "drop")
    if "ALL" not in dropped:
        yield _finding(container, "keeps capabilities", f"drop: {list(dropped)}", "drop: [ALL]")
    added = list(items(container.data, "securityContext", "capabilities", "add"))
    if any(each != "NET_BIND_SERVICE" for each in added):
        yield _finding(container, "adds capabilities", f"add: {added}", "none but NET_BIND_SERVICE")


def _seccomp(container: Container) -> Iterator[Finding]:
    got = value(container.security("seccompProfile"), "type")
    if got not in ("RuntimeDefault", "Localhost"):
        yield _finding(container, "no seccomp profile", got, "seccompProfile of type RuntimeDefault or Localhost")


def _host_namespaces(data: Object, _options: Options) -> Iterator[Finding]:
    pods = pods_of(data)
    for field in _SHARED:
        if pods and value(pods.spec, field):
            yield Finding(data, title(data), "shares a namespace of its node", f"{field}: true", f"no {field}")


def _volumes(data: Object, _options: Options) -> Iterator[Finding]:
    pods = pods_of(data)
    for volume in items(pods.spec, "volumes") if pods else ():
        kinds = [field for field in section(volume) if field != "name"]
        if wrong := [kind for kind in kinds if kind not in _VOLUMES]:
            where = f"{title(data)} volume {value(volume, 'name')}"
            yield Finding(data, where, "a volume of its node or of a storage server", wrong[0], ", ".join(_VOLUMES))


def _token(data: Object, _options: Options) -> Iterator[Finding]:
    pods = pods_of(data)
    if pods and (got := value(pods.spec, "automountServiceAccountToken")) is not False:
        shown = "nothing" if got is None else str(got)
        allowed = "automountServiceAccountToken: false"
        yield Finding(data, title(data), "pods get a token of the cluster's API", shown, allowed)


RULES = (
    Rule(
        "non-root",
        "No container runs as root.",
        (pss("restricted: Running as Non-root"), cis("5.2.7"), nsa("Kubernetes Pod security: Non-root containers")),
        "set runAsNonRoot and a runAsUser that the image can run as",
        WORKLOADS,
        each_container(_non_root),
    ),
    Rule(
        "privilege-escalation",
        "No container is privileged or gains privileges later.",
        (pss("restricted: Privilege Escalation"), cis("5.2.2"), cis("5.2.6")),
        "set allowPrivilegeEscalation to false and leave privileged out",
        WORKLOADS,
        each_container(_privileges),
    ),
    Rule(
        "read-only-root",
        "No container can write to its root file system.",
        (nsa("Kubernetes Pod security: Immutable container file systems"), cis("5.6.3")),
        "set readOnlyRootFilesystem and mount an emptyDir where the server writes",
        WORKLOADS,
        each_container(_read_only),
    ),
    Rule(
        "capabilities",
        "Every container drops all Linux capabilities.",
        (pss("restricted: Capabilities"), cis("5.2.8"), cis("5.2.9"), cis("5.2.10")),
        "set capabilities to `drop: [ALL]`",
        WORKLOADS,
        each_container(_capabilities),
    ),
    Rule(
        "seccomp",
        "Every container runs under a seccomp profile.",
        (pss("restricted: Seccomp"), cis("5.6.2")),
        "set seccompProfile to RuntimeDefault",
        WORKLOADS,
        each_container(_seccomp),
    ),
    Rule(
        "host-namespaces",
        "No pod shares the network, the processes or the memory of its node.",
        (pss("baseline: Host Namespaces"), cis("5.2.3"), cis("5.2.4"), cis("5.2.5")),
        "remove the field",
        WORKLOADS,
        _host_namespaces,
    ),
    Rule(
        "volume-types",
        "No pod mounts a folder of its node.",
        (pss("restricted: Volume Types"), cis("5.2.12")),
        "use an emptyDir, or a persistentVolumeClaim for what has to stay",
        WORKLOADS,
        _volumes,
    ),
    Rule(
        "service-account-token",
        "No pod gets a token of the cluster's API by default.",
        (cis("5.1.6"), nsa("Kubernetes Pod security: Protecting Pod service account tokens")),
        "switch it off, and mount a projected serviceAccountToken volume where the pod needs one",
        WORKLOADS,
        _token,
    ),
)
