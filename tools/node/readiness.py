"""Waiting for the node's parts, and saying which one is late and what it said last."""

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tools.node import layout as at
from tools.node import lifecycle
from tools.node.addons import METRICS_API, NAMESPACE, Object
from tools.node.api import Api, condition
from tools.node.layout import Layout
from tools.problem import Problem, ProblemError
from tools.progress import Progress

POLL_SECONDS = 0.1
LOG_LINES = 12


def wait(
    layout: Layout, progress: Progress, component: str, probe: Callable[[], str], deadline_seconds: float, log: str = ""
) -> None:
    """Ask until `probe` answers an empty text; its text is what is still missing. Raises `ProblemError`.

    `log`: the process whose log explains a failure, where it is not the component itself.
    """
    end = time.monotonic() + deadline_seconds
    with progress.step(component) as step:
        while True:
            try:
                note = probe()
            except httpx.HTTPError as error:
                note = f"{type(error).__name__}: {error}"
            if not note:
                step.update("ready")
                return
            step.update(note)
            if lifecycle.find_supervisor(layout) is None:
                raise _failure(progress, component, "the supervisor ended", layout.log_file("supervisor"))
            if time.monotonic() > end:
                got = f"after {deadline_seconds:.0f} s: {note}"
                raise _failure(progress, component, got, _log(layout, log or component))
            time.sleep(POLL_SECONDS)


def _log(layout: Layout, component: str) -> Path:
    """Where the component speaks: the newest container of its pod, kubelet, or its own log."""
    containers = sorted(
        (layout.data / "var-log" / "pods").glob(f"{NAMESPACE}_{component.lower()}-*/*/*.log"),
        key=lambda path: path.stat().st_mtime,
    )
    if containers:
        return containers[-1]
    pods = ("CoreDNS", "metrics-server", "node")
    return layout.log_file("kubelet" if component in pods else component)


def _failure(progress: Progress, component: str, got: str, path: Path) -> ProblemError:
    progress.say(lifecycle.tail(path, LOG_LINES))
    return ProblemError(
        [
            Problem(
                component,
                "did not become ready",
                got,
                "ready in time",
                f"see {path}, then run `modelway node up` again",
            )
        ]
    )


def api_ready(api: Api) -> str:
    """The API server's own opinion."""
    answer = api.text("/readyz")
    return "" if answer == "ok" else "starting"


def node_ready(api: Api, since: float) -> str:
    """Ready, and said so since this start: an older answer is what etcd remembers."""
    answer = api.get(f"/api/v1/nodes?fieldSelector=metadata.name={at.NODE_NAME}")
    if not answer["items"]:
        return "not registered yet"
    ready = condition(answer["items"][0], "Ready")
    if not ready or _seconds(ready["lastHeartbeatTime"]) < since:
        return "no report since this start"
    return "" if ready["status"] == "True" else str(ready.get("message", "not ready"))


def pods_ready(api: Api, label: str, since: float) -> str:
    """A pod with this label is ready in containers that this start began."""
    pods = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={label}")["items"]
    if not pods:
        return "no pod yet"
    notes = [_pod(pod, since) for pod in pods]
    return min(notes, key=len)


def _pod(pod: Object, since: float) -> str:
    for status in pod.get("status", {}).get("containerStatuses") or []:
        state = status.get("state", {})
        running = state.get("running")
        if not running:
            waiting = state.get("waiting") or {}
            return f"container {waiting.get('reason', 'not running')} {waiting.get('message', '')[:120]}".strip()
        if _seconds(running["startedAt"]) < since:
            return "its container is of an earlier run"
    ready = condition(pod, "Ready")
    return "" if ready.get("status") == "True" else str(ready.get("message") or "not ready yet")


def metrics_ready(api: Api, since: float) -> str:
    """The API server reaches metrics-server, and its pod is one of this start."""
    note = pods_ready(api, "k8s-app=metrics-server", since)
    if note:
        return note
    available = condition(api.get(f"/apis/apiregistration.k8s.io/v1/apiservices/{METRICS_API}"), "Available")
    return "" if available.get("status") == "True" else str(available.get("message") or "not registered yet")


def registry_ready(port: int) -> str:
    """The registry answers through its forward."""
    answer = httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False, timeout=2.0)
    return "" if answer.status_code == httpx.codes.OK else f"status {answer.status_code}"


def socket_ready(path: Path) -> str:
    """Whether a file is there."""
    return "" if path.exists() else "starting"


def _seconds(timestamp: str) -> float:
    return datetime.datetime.fromisoformat(timestamp).timestamp()
