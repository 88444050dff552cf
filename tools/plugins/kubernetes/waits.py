"""When an object counts as ready, and what to say while it is not."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tools.plugins.kubeapi import Cluster
from tools.plugins.kubernetes.kinds import Kind
from tools.plugins.wire import Refusal

_DEFAULT_SECONDS, _HOPELESS = 600.0, "ProgressDeadlineExceeded"
_DEPLOYMENT = ("replicas", "updatedReplicas", "availableReplicas")
_DAEMON_SET = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
Report = Callable[[str], None]


def annotation(obj: Any, name: str) -> str:
    """Value of the annotation `pulumi.com/<name>`, empty without one."""
    return str((obj["metadata"].get("annotations") or {}).get(f"pulumi.com/{name}") or "")


def wait(cluster: Cluster, kind: Kind, live: Any, asked: float, report: Report, *, gone: bool = False) -> Any:
    """The object once ready, or None once gone; `asked` seconds, else `pulumi.com/timeoutSeconds`, else ten minutes."""
    meta, seconds = live["metadata"], asked or float(annotation(live, "timeoutSeconds") or _DEFAULT_SECONDS)
    path, deadline, name = kind.path(meta.get("namespace")), time.monotonic() + seconds, f"{kind.name} {meta['name']}"
    lacks, lack = _holders if gone else _RULES.get(kind.name), ""
    if not gone and annotation(live, "skipAwait") == "true":
        return live
    if not gone and (expected := annotation(live, "waitFor")):
        for item in json.loads(expected) if expected.startswith("[") else [expected]:
            if not item.startswith(("jsonpath=", "condition=")):
                raise Refusal(f"{name}: pulumi.com/waitFor: got {item}, allowed jsonpath=… or condition=….")
            report(f"waiting for {item}")
            target = f"{kind.plural}.{kind.api_version.rpartition('/')[0]}".rstrip(".") + f"/{meta['name']}"
            left = f"--timeout={max(1, deadline - time.monotonic()):.0f}s"
            cluster.run("kubectl", "wait", target, f"--for={item}", f"--namespace={meta.get('namespace', '')}", left)
        return cluster.request("GET", f"{path}/{meta['name']}")
    if lacks is None:
        return live
    for found in cluster.follow(path, deadline, fieldSelector=f"metadata.name={meta['name']}"):
        same = next((item for item in found if item["metadata"]["uid"] == meta["uid"]), None)
        if not same and not gone:
            raise Refusal(f"{name} was deleted while it was waited for.")
        lack = "; ".join(lacks(cluster, same)) if same else ""
        report(lack and f"waiting: {lack}")
        if not lack:
            return same
        if _HOPELESS in lack:
            break
    raise Refusal(f"{name} {'still exists' if gone else 'is not ready'} after {seconds:.0f} s at most: {lack}.")


def _holders(_: Cluster, obj: Any) -> Iterator[str]:
    held = [*obj["metadata"].get("finalizers", []), *obj.get("spec", {}).get("finalizers", [])]
    yield f"held by finalizers: {', '.join(held) or 'none'}"
    yield from (item["message"] for item in _conditions(obj).values() if obj["kind"] == "Namespace")


def _conditions(obj: Any) -> Any:
    return {item["type"]: item for item in obj.get("status", {}).get("conditions") or []}


def _condition(name: str) -> Callable[[Cluster, Any], Iterator[str]]:
    def lacks(_: Cluster, obj: Any) -> Iterator[str]:
        now, generation = _conditions(obj).get(name, {}), obj["metadata"].get("generation")
        if now.get("status") != "True" or now.get("observedGeneration", generation) != generation:
            yield f"condition {name} is {now.get('status', 'absent')} {now.get('message', '')}".strip()

    return lacks


def deployment_lacks(cluster: Cluster, obj: Any) -> Iterator[str]:
    """What a Deployment or a DaemonSet lacks, pod by pod; nothing when it is ready."""
    status, meta = obj.get("status", {}), obj["metadata"]
    counts = _DEPLOYMENT if "replicas" in obj["spec"] else _DAEMON_SET
    wanted = obj["spec"].get("replicas", status.get("desiredNumberScheduled", 0))
    present, updated, available = (status.get(key, 0) for key in counts)
    current = status.get("observedGeneration", 0) >= meta["generation"]
    if current and present == updated == available == wanted:
        return
    lack = [f"{available} of {wanted} replicas available, {updated} updated, {present} in all"]
    lack += [item["message"] for kind, item in _conditions(obj).items() if kind == "ReplicaFailure"]
    labels = ",".join(f"{key}={value}" for key, value in obj["spec"]["selector"].get("matchLabels", {}).items())
    pods = cluster.request("GET", f"/api/v1/namespaces/{meta['namespace']}/pods", labelSelector=labels)["items"]
    lack += sorted({problem for pod in pods for problem in _pod(pod)})
    yield from lack
    if current and _conditions(obj).get("Progressing", {}).get("reason") == _HOPELESS:
        yield _HOPELESS


def _pod(pod: Any) -> Iterator[str]:
    status, scheduled = pod.get("status", {}), _conditions(pod).get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"pod {scheduled.get('reason')}: {scheduled.get('message')}"
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container["state"].get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            yield f"container {container['name']} {waiting['reason']}: {waiting.get('message', '')}"


def _service(cluster: Cluster, obj: Any) -> Iterator[str]:
    spec, meta = obj["spec"], obj["metadata"]
    if spec["type"] == "LoadBalancer" and not obj["status"]["loadBalancer"].get("ingress"):
        yield "no address from the load balancer yet"
    if spec.get("selector") and spec["type"] != "ExternalName":
        path = f"/apis/discovery.k8s.io/v1/namespaces/{meta['namespace']}/endpointslices"
        slices = cluster.request("GET", path, labelSelector=f"kubernetes.io/service-name={meta['name']}")["items"]
        ends = [end for item in slices for end in item["endpoints"] or []]
        if not any(end.get("conditions", {}).get("ready") for end in ends):
            yield f"no ready pod behind its selector, {len(ends)} in all"


_RULES: dict[str, Callable[[Cluster, Any], Iterable[str]]] = {
    "CustomResourceDefinition": _condition("Established"), "Deployment": deployment_lacks,
    "Gateway": _condition("Programmed"), "Service": _service, "DaemonSet": deployment_lacks,
    "Namespace": lambda _, obj: () if obj["status"]["phase"] == "Active" else (f"phase is {obj['status']['phase']}",),
}  # fmt: skip
