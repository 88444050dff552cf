"""The objects of one experiment in Kubernetes.

lightkube is the client: typed, its only HTTP library is the one of the queries to Prometheus, and importing it takes a
tenth of the memory of the official client, which has no types.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster as Server
from lightkube.config.models import User
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap
from lightkube.resources.events_v1 import Event
from lightkube.types import PatchType
from pydantic import ValidationError

from rollout_judge.course import Command
from rollout_judge.lease import micro_time
from rollout_judge.plan import Plan
from rollout_judge.route import Manifest, RouteError, versions_of
from rollout_judge.settings import Settings
from rollout_judge.state import Entry, State

FIELD_MANAGER = "modelway-rollout-judge"
COMMAND_ANNOTATION = "modelway.dev/rollout-command"
EXPERIMENT_ANNOTATION = "modelway.dev/experiment"
"""On the split route, for as long as its rules are this experiment's; without it they are the deployment's again."""
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NOT_FOUND, CONFLICT = 404, 409
WARNINGS = ("rolled back", "held")
_NOTE_LENGTH = 1024

HTTPRoute = create_namespaced_resource("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")


class ConflictError(Exception):
    """Somebody else wrote the object since it was read: nothing was written, and it is to be read again."""


class DocumentError(ValueError):
    """A ConfigMap holds no usable document; the text says which and why."""


@dataclass(frozen=True)
class Experiment:
    """What the deployment wants."""

    plan: Plan
    route: Manifest
    versions: tuple[str, ...]
    """By position in the route's backends."""
    digest: str
    """sha256 of `route.json`."""


@dataclass(frozen=True)
class Stored:
    """The state as it was read, and the command that waits beside it."""

    object: ConfigMap
    state: State | None
    command: Command | None


def connect(environment: Mapping[str, str], timeout_seconds: float = 5.0) -> Client:
    """By `KUBECONFIG`, else as the pod's service account."""
    import httpx2

    timeout = httpx2.Timeout(timeout_seconds)
    if file := environment.get("KUBECONFIG"):
        return Client(config=KubeConfig.from_file(file), timeout=timeout, trust_env=False)
    url = f"https://{environment['KUBERNETES_SERVICE_HOST']}:{environment['KUBERNETES_SERVICE_PORT']}"
    config = KubeConfig.from_one(
        cluster=Server(server=url, certificate_auth=str(ACCOUNT / "ca.crt")),
        user=User(token=(ACCOUNT / "token").read_text(), token_file=str(ACCOUNT / "token")),
    )
    return Client(config=config, timeout=timeout, trust_env=False)


class Objects:
    """Reads and writes them."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings

    def experiment(self) -> Experiment | None:
        """None while there is no such ConfigMap, as when it is replaced; raises `DocumentError`."""
        try:
            data = self._get(ConfigMap, self._settings.experiment).data or {}
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return None
            raise
        try:
            plan, route = Plan.model_validate_json(data["plan.json"]), json.loads(data["route.json"])
            versions = versions_of(route, plan.model)
        except (KeyError, ValidationError, RouteError, ValueError) as error:
            raise DocumentError(f"ConfigMap {self._settings.experiment}: {error}") from None
        if strangers := [name for name in (plan.champion, plan.candidate) if name not in versions]:
            raise DocumentError(f"ConfigMap {self._settings.experiment}: route.json has no version {strangers[0]}")
        digest = hashlib.sha256(data["route.json"].encode()).hexdigest()
        return Experiment(plan, route, tuple(versions), digest)

    def stored(self) -> Stored:
        """The state; raises `DocumentError` for another format, which is not written over."""
        found = self._get(ConfigMap, self._settings.state)
        text = (found.data or {}).get("state.json")
        try:
            state = State.from_json(text) if text else None
        except ValueError as error:
            raise DocumentError(f"ConfigMap {self._settings.state}: {error}") from None
        annotations = (found.metadata.annotations if found.metadata else None) or {}
        return Stored(found, state, _command(annotations.get(COMMAND_ANNOTATION)))

    def write(self, stored: Stored, state: State) -> Stored:
        """Write `state` over `stored`, and take its command away; raises `ConflictError`."""
        new = stored.object
        if new.metadata is None:
            raise DocumentError(f"ConfigMap {self._settings.state}: it has no metadata")
        new.data = {**(new.data or {}), "state.json": state.model_dump_json()}
        annotations = dict(new.metadata.annotations or {})
        annotations.pop(COMMAND_ANNOTATION, None)
        new.metadata.annotations, new.metadata.managedFields = annotations, None
        try:
            return Stored(self._client.replace(new, field_manager=FIELD_MANAGER), state, None)
        except ApiError as error:
            raise _conflict(error) from error

    def route(self, name: str) -> Manifest | None:
        """The split route as it is; None where there is none, or where it is not under this experiment."""
        try:
            found = self._get(HTTPRoute, name)
        except ApiError as error:
            if error.status.code == NOT_FOUND:
                return None
            raise
        route: Manifest = json.loads(json.dumps(found.to_dict(), default=str))
        owner = route["metadata"].get("annotations", {}).get(EXPERIMENT_ANNOTATION)
        return route if owner == self._settings.experiment else None

    def apply(self, before: Manifest, wanted: Manifest) -> None:
        """Make the route what is wanted if it still is as `before` was read; raises `ConflictError`.

        The version of `before` is what keeps out a judge that slept through the end of its Lease.
        """
        metadata = {**wanted["metadata"], "resourceVersion": before["metadata"]["resourceVersion"]}
        body = {**wanted, "metadata": metadata}
        try:
            self._client.patch(
                HTTPRoute,
                metadata["name"],
                body,
                namespace=self._settings.namespace,
                patch_type=PatchType.APPLY,
                field_manager=FIELD_MANAGER,
                force=True,
            )
        except ApiError as error:
            raise _conflict(error) from error

    def announce(self, route: Manifest, entry: Entry) -> None:
        """Make the Event of a line of the history; its name is the line's, so that there never are two."""
        at = micro_time(datetime.fromtimestamp(entry.at, UTC))
        weights = " ".join(f"{version}={weight}" for version, weight in entry.weights.items())
        event = Event(
            eventTime=at,
            metadata=ObjectMeta(
                name=f"{self._settings.experiment}.{int(entry.at * 1000):x}.{entry.number}",
                namespace=self._settings.namespace,
            ),
            action=_camel(entry.event),
            reason=_camel(entry.event),
            note=f"{entry.event}: {entry.reason} ({weights})"[:_NOTE_LENGTH],
            type="Warning" if entry.event in WARNINGS else "Normal",
            reportingController=f"modelway.dev/{FIELD_MANAGER}",
            reportingInstance=self._settings.pod,
            regarding=ObjectReference(
                apiVersion=route["apiVersion"],
                kind=route["kind"],
                name=route["metadata"]["name"],
                namespace=self._settings.namespace,
                uid=route["metadata"].get("uid"),
            ),
        )
        try:
            self._client.create(event)
        except ApiError as error:
            if error.status.code != CONFLICT:
                raise

    def _get(self, kind: Any, name: str) -> Any:
        return self._client.get(kind, name, namespace=self._settings.namespace)


def _camel(event: str) -> str:
    return "".join(word.capitalize() for word in event.split())


def _conflict(error: ApiError) -> Exception:
    return ConflictError(str(error)) if error.status.code == CONFLICT else error


def _command(text: str | None) -> Command | None:
    """What cannot be read is a command that is refused."""
    if text is None:
        return None
    try:
        found = json.loads(text)
        texts = {name: found.get(name) for name in ("id", "command", "version", "reason")}
    except (ValueError, AttributeError):
        return Command(id=hashlib.sha256(text.encode()).hexdigest()[:16], command=text[:40])
    version = texts["version"]
    return Command(
        id=str(texts["id"]),
        command=str(texts["command"]),
        version=None if version is None else str(version),
        reason=str(texts["reason"] or ""),
    )
