"""Rules on what a container runs and what it may use."""

import re
from collections.abc import Iterator
from typing import Any

from modelway_policies.objects import WORKLOADS, Container, items, section, value
from modelway_policies.rule import Finding, Rule, cis, each_container, nsa, own, pss

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_RESOURCES = ("cpu", "memory")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def _finding(container: Container, what: str, got: Any, allowed: str) -> Finding:
    return Finding(container.pods.owner, container.where, what, str(got), allowed)


def _digest(container: Container) -> Iterator[Finding]:
    image = value(container.data, "image")
    if image is not None and not _DIGEST.search(image):
        yield _finding(container, "image without a digest", repr(image), "REPOSITORY@sha256:<64 hex digits>")


def _latest(container: Container) -> Iterator[Finding]:
    image = value(container.data, "image")
    if image is None:
        return
    reference, _, digest = image.partition("@")
    tag = reference.rpartition("/")[2].partition(":")[2]
    if tag == "latest" or not (tag or digest):
        yield _finding(container, "image tag that moves", repr(image), "a digest, or a tag that names a version")


def _requests(container: Container) -> Iterator[Finding]:
    for name in _RESOURCES:
        if name not in section(container.data, "resources", "requests"):
            yield _finding(container, f"no request of {name}", "nothing", f"resources.requests.{name}")


def _limits(container: Container) -> Iterator[Finding]:
    for name in _RESOURCES:
        if name not in section(container.data, "resources", "limits"):
            yield _finding(container, f"no limit of {name}", "nothing", f"resources.limits.{name}")


def _probes(container: Container) -> Iterator[Finding]:
    if not (container.main and container.pods.stay):
        return
    for name in _PROBES:
        if not section(container.data, name):
            yield _finding(container, f"no {name}", "nothing", "startupProbe, readinessProbe and livenessProbe")


def _host_ports(container: Container) -> Iterator[Finding]:
    for port in items(container.data, "ports"):
        if number := value(port, "hostPort"):
            yield _finding(container, "takes a port of its node", f"hostPort {number}", "containerPort only")


RULES = (
    Rule(
        "image-digest",
        "Every image is named by its digest, so that what was tested is what runs.",
        (own(1), cis("5.5.1"), nsa("Kubernetes Pod security: Building secure container images")),
        "write the digest that the registry printed",
        WORKLOADS,
        each_container(_digest),
    ),
    Rule(
        "image-latest",
        "No image has the tag `latest`, nor none at all.",
        (own(2), nsa("Kubernetes Pod security: Building secure container images")),
        "name a version instead of `latest`",
        WORKLOADS,
        each_container(_latest),
    ),
    Rule(
        "resource-requests",
        "Every container requests CPU and memory, so that the scheduler knows what it needs.",
        (own(3), nsa("Network separation and hardening: Resource policies")),
        "set the request to what the container uses in normal work",
        WORKLOADS,
        each_container(_requests),
    ),
    Rule(
        "resource-limits",
        "Every container is limited in CPU and memory, so that none starves its node.",
        (own(4), nsa("Network separation and hardening: Resource policies")),
        "set the limit to the most that the container may use",
        WORKLOADS,
        each_container(_limits),
    ),
    Rule(
        "probes",
        "Every container that stays has a startup, a readiness and a liveness probe.",
        (own(5),),
        "let the probe ask the server whether it can answer",
        tuple(kind for kind in WORKLOADS if kind not in ("Job", "CronJob")),
        each_container(_probes),
    ),
    Rule(
        "host-ports",
        "No container takes a port of its node.",
        (pss("baseline: Host Ports"), cis("5.2.13")),
        "reach the pod through a Service",
        WORKLOADS,
        each_container(_host_ports),
    ),
)
