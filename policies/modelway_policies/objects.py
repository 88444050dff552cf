"""Reads Kubernetes objects that are plain data, parts of which may be unknown before an update."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Object = Mapping[str, Any]
"""A Kubernetes object, or a part of one."""


class Unknown:
    """Stands for a value that is known only after an update."""


UNKNOWN: Final = Unknown()

_TEMPLATES = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
WORKLOADS = tuple(_TEMPLATES)
"""Kinds that make pods."""
_ENDING = ("Job", "CronJob")


class UnknowableError(Exception):
    """What a rule has to read is known only after an update; the rule is then judged during that update."""


def value(data: Any, *path: str) -> Any:
    """The value at `path`, None where there is none; raises `UnknowableError` where it is unknown."""
    for key in path:
        if data is UNKNOWN:
            raise UnknowableError
        data = data.get(key) if isinstance(data, Mapping) else None
    if data is UNKNOWN:
        raise UnknowableError
    return data


def section(data: Any, *path: str) -> Object:
    """The object at `path`, empty where there is none."""
    found = value(data, *path)
    return found if isinstance(found, Mapping) else {}


def items(data: Any, *path: str) -> Sequence[Any]:
    """The list at `path`, empty where there is none."""
    found = value(data, *path)
    if not isinstance(found, list):
        return []
    if any(each is UNKNOWN for each in found):
        raise UnknowableError
    return found


def name_of(data: Object) -> str:
    """Name of an object; empty where Pulumi is yet to choose one."""
    return str(value(data, "metadata", "name") or "")


def namespace_of(data: Object) -> str:
    """Namespace of an object; of a Namespace its own name."""
    if data.get("kind") == "Namespace":
        return name_of(data)
    return str(value(data, "metadata", "namespace") or "default")


def title(data: Object) -> str:
    """Kind, namespace and name: `Deployment modelway-models/iris-v1`."""
    metadata = section(data, "metadata")
    names = (metadata.get("namespace"), metadata.get("name"))
    return f"{data.get('kind')} " + "/".join(each for each in names if isinstance(each, str))


def labels_of(data: Object) -> Object:
    """Labels of an object or a pod template."""
    return section(data, "metadata", "labels")


def selects(selector: Any, labels: Object) -> bool:
    """Whether a label selector matches these labels; an empty one matches all."""
    wanted = section(selector, "matchLabels")
    if any(value(labels, key) != value(wanted, key) for key in wanted):
        return False
    return all(_expression(each, labels) for each in items(selector, "matchExpressions"))


def _expression(expression: Object, labels: Object) -> bool:
    key, operator, values = value(expression, "key"), value(expression, "operator"), items(expression, "values")
    if operator in ("Exists", "DoesNotExist"):
        found, wanted = key in labels, operator == "Exists"
    else:
        found, wanted = value(labels, key) in values, operator == "In"
    return found is wanted


@dataclass(frozen=True)
class Pods:
    """The pods of one object."""

    owner: Object
    template: Object

    @property
    def spec(self) -> Object:
        """The pods' specification."""
        return section(self.template, "spec")

    @property
    def labels(self) -> Object:
        """The pods' labels."""
        return labels_of(self.template)

    @property
    def stay(self) -> bool:
        """Whether they run until they are stopped."""
        return self.owner.get("kind") not in _ENDING


@dataclass(frozen=True)
class Container:
    """One container of a pod."""

    pods: Pods
    data: Object
    main: bool
    """Neither an init nor a debug container."""

    @property
    def where(self) -> str:
        """The object and the container's name."""
        return f"{title(self.pods.owner)} container {value(self.data, 'name')}"

    def security(self, field: str) -> Any:
        """A field of its security context, else of its pod's."""
        own = value(self.data, "securityContext", field)
        return value(self.pods.spec, "securityContext", field) if own is None else own


def pods_of(data: Object) -> Pods | None:
    """The pods of an object; None where it makes none."""
    path = _TEMPLATES.get(str(data.get("kind")))
    return None if path is None else Pods(data, section(data, *path))


def containers_of(data: Object) -> Iterator[Container]:
    """All containers of an object's pods."""
    pods = pods_of(data)
    if pods is None:
        return
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for container in items(pods.spec, field):
            yield Container(pods, container, field == "containers")
