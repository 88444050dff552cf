"""Kubernetes objects: what changed, and create, update, read and delete by server-side apply."""

import base64
import contextlib
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from tools.plugins import wire
from tools.plugins.kubeapi import ApiError, MissingError, UnreachableError
from tools.plugins.kubernetes.kinds import Kind
from tools.plugins.kubernetes.waits import annotation, wait
from tools.plugins.wire import Refusal, Secret, decode, encode, reveal

MANAGER = "pulumi-kubernetes"
_SERVER_SIDE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")


def rename(value: Any, start: str, swap: tuple[str, str]) -> Any:
    """The value with the keys that begin with `start` respelt, as the SDK writes `x_kubernetes_…`."""
    if isinstance(value, dict):
        named = {key.replace(*swap) if key.startswith(start) else key: item for key, item in value.items()}
        return {key: rename(item, start, swap) for key, item in named.items()}
    return [rename(item, start, swap) for item in value] if isinstance(value, list) else value


def shown(live: Any, *, whole: bool = False) -> Any:
    """A live object as the SDK spells it, without what only the API server writes unless the whole is asked for."""
    if not whole:
        meta = {key: item for key, item in live["metadata"].items() if key not in _SERVER_SIDE}
        live = {key: item for key, item in live.items() if key != "status"} | {"metadata": meta}
    return rename(live, "x-kubernetes-", ("-", "_"))


def keep_live(obj: Any, live: Any, path: list[str], manager: str) -> None:
    """Treat one ignored path: leave it to another manager that owns it, else send what is there."""
    owners = [item["manager"] for item in live["metadata"].get("managedFields", []) if _owns(item["fieldsV1"], path)]
    for step in path[:-1]:
        obj, live = obj.setdefault(step, {}), live.get(step, {})
    if owners and manager not in owners:
        obj.pop(path[-1], None)
    elif path[-1] in live:
        obj[path[-1]] = live[path[-1]]


def _owns(fields: Any, path: list[str]) -> bool:
    return not path or (f"f:{path[0]}" in fields and _owns(fields[f"f:{path[0]}"], path[1:]))


def hide(inputs: struct_pb2.Struct) -> None:
    """Make a Secret's content secret, and its `stringData` the `data` that the API server makes of it."""
    fields = {key: reveal(decode(inputs.fields.pop(key))) for key in ("data", "stringData") if key in inputs.fields}
    data, texts = fields.get("data") or {}, fields.get("stringData") or {}
    if wire.UNKNOWN in (data, texts):
        data = wire.UNKNOWN
    else:
        coded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        data |= {key: wire.UNKNOWN if texts[key] == wire.UNKNOWN else text for key, text in coded.items()}
    inputs.update(encode({"data": Secret(data)}) if fields else {})


class Objects(wire.Target):
    """The objects of one kind in the provider's cluster."""

    def __init__(self, provider: Any, kind: Kind) -> None:
        self.cluster, self.on, self.log, self.kind = provider.cluster, provider.on, provider.log, kind
        self.folder = provider.settings.get("renderYamlToDirectory")

    def check(self, request: Any, inputs: struct_pb2.Struct) -> None:
        """Complete name and namespace; large objects stay in wire form, which is what makes previews quick."""
        inputs.update({"apiVersion": self.kind.api_version, "kind": self.kind.name})
        if self.kind.name == "Secret":
            hide(inputs)
        meta = inputs.fields["metadata"]
        if meta.string_value != wire.UNKNOWN:
            old = request.olds.fields["metadata"].struct_value.fields
            kept = old["name"].string_value if "pulumi.com/autonamed" in old["annotations"].struct_value.fields else ""
            if wire.assign_name(request, meta.struct_value, kept):
                meta.struct_value.fields["annotations"].struct_value.update({"pulumi.com/autonamed": "true"})
            if self.kind.namespaced and "namespace" not in meta.struct_value.fields:
                meta.struct_value.update({"namespace": self.cluster.namespace})

    def identity(self, inputs: Any) -> str:
        """`namespace/name`, or `name` for what lives in no namespace."""
        return "/".join(filter(None, (inputs["metadata"].get(key) for key in ("namespace", "name"))))

    def diff(self, request: Any, old: Any, new: Any) -> Any:
        """Input diff, confirmed by a dry run where the cluster can tell."""
        rules, variable = self.kind.replaces, f"PULUMI_K8S_ENABLE_{self.kind.name.upper()}_MUTABLE"
        if not new.get("immutable") and self.on(f"enable{self.kind.name}Mutable", variable):
            rules = tuple(rule for rule in rules if not rule.lower().endswith("data"))
        manager = request.olds.fields["__fieldManager"].string_value or MANAGER
        changes = [] if self._same(new, manager) else list(wire.compare(old, new))
        meta = {} if new["metadata"] == wire.UNKNOWN else new["metadata"]
        stays = all(old["metadata"].get(key) == meta.get(key) for key in ("name", "namespace"))
        first = bool(meta) and stays and annotation(new, "autonamed") != "true"
        return wire.diff_response(changes, rules, delete_first=first)

    def _same(self, new: Any, manager: str) -> bool:
        with contextlib.suppress(Refusal):
            if not self.folder and not wire.unknown(new) and (live := self.cluster.find(self._path(new))):
                return bool(shown(live) == shown(self._apply(new, manager, dry=True)))
        return False

    def _path(self, obj: Any) -> str:
        return self.kind.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])

    def _apply(self, inputs: Any, manager: str, *, dry: bool = False, ignored: Any = ()) -> Any:
        obj = rename(reveal(inputs), "x_kubernetes_", ("_", "-"))
        live = self.cluster.find(self._path(obj)) if ignored else None
        for path in ignored if live else ():
            keep_live(obj, live, path.split("."), manager)
        force = annotation(obj, "patchForce") == "true" or self.on("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE")
        query = {"fieldManager": manager, "force": str(dry or force).lower()} | ({"dryRun": "All"} if dry else {})
        try:
            return self.cluster.request("PATCH", self._path(obj), obj, **query)
        except ApiError as problem:
            if problem.code != HTTPStatus.CONFLICT:
                raise
            advice = 'annotate with pulumi.com/patchForce: "true" to take the fields over, or ignore the change'
            raise ApiError(problem.code, f"{problem}; {advice}.") from problem

    def preview(self, request: Any, inputs: Any) -> Any:
        """Outputs of a dry run, or the inputs where it cannot tell; what the API server will write is unknown."""
        olds = {} if isinstance(request, pb.CreateRequest) else reveal(decode(request.olds))
        outputs = inputs if self.folder or wire.unknown(inputs) else self._dry(inputs, olds)
        if isinstance(outputs["metadata"], dict):
            kept = {key: item for key, item in olds.get("metadata", {}).items() if key in ("uid", "creationTimestamp")}
            outputs["metadata"] |= dict.fromkeys(_SERVER_SIDE[1:], wire.UNKNOWN) | kept
        return outputs

    def _dry(self, inputs: Any, olds: Any) -> Any:
        try:
            # An object that is created though it exists will be replaced or refused; a dry run tells neither.
            if not olds and self.cluster.find(self._path(reveal(inputs))):
                return inputs
            return wire.mark(shown(self._apply(inputs, olds.get("__fieldManager") or MANAGER, dry=True)), inputs)
        except (ApiError, UnreachableError) as problem:
            if getattr(problem, "code", None) in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST):
                raise
            return inputs

    def _outputs(self, live: Any, inputs: Any, manager: str) -> Any:
        outputs = wire.mark(shown(live, whole=True), inputs)
        outputs["metadata"].pop("managedFields", None)
        if self.kind.name == "Secret" and "data" in live:
            outputs["data"] = Secret(live["data"])
        return outputs | {"__inputs": inputs, "__initialApiVersion": self.kind.api_version, "__fieldManager": manager}

    def create(self, request: Any, identity: str, inputs: Any) -> Any:
        """A new object, ready; one that exists is refused, as the official plugin does since 4.29."""
        upsert = self.folder or self.on("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS")
        if not upsert and self.cluster.find(self._path(reveal(inputs))):
            advice = f"adopt it with `pulumi import {request.type} {request.name} {identity}`, or delete it"
            raise Refusal(f"{self.kind.name} {identity} already exists in the cluster; {advice}.")
        return super().create(request, identity, inputs)

    def update(self, request: Any, identity: str, inputs: Any, olds: Any, ignored: Any) -> Any:
        """The object with these inputs, ready; ignored fields stay as they are in the cluster."""
        manager = olds.get("__fieldManager") or MANAGER
        if self.folder:
            return self._render(request.urn, inputs)
        live = self._apply(inputs, manager, ignored=ignored)
        try:
            live = wait(self.cluster, self.kind, live, request.timeout, partial(self.log, request.urn))
        except Refusal as problem:
            raise wire.Unfinished(str(problem), identity, self._outputs(live, inputs, manager), inputs) from problem
        return self._outputs(live, inputs, manager)

    def _render(self, urn: str, inputs: Any) -> Any:
        if wire.secret(inputs):
            self.log(urn, "the rendered YAML holds a secret in plain text", warning=True)
        file = self._file(reveal(inputs))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # it may hold a Secret
        file.write_text(yaml.safe_dump(rename(reveal(inputs), "x_kubernetes_", ("_", "-")), sort_keys=False))
        return self._outputs(reveal(inputs), inputs, MANAGER)

    def _file(self, obj: Any) -> Path:
        place = "0-crd" if self.kind.name == "CustomResourceDefinition" else "1-manifest"
        version, namespace = self.kind.api_version.replace("/", "_"), obj["metadata"].get("namespace") or "default"
        stem = "-".join((version, self.kind.name.lower(), namespace, obj["metadata"]["name"])).replace(":", "_")
        return Path(str(self.folder), place, f"{stem}.yaml")

    def read(self, request: Any, old: Any) -> Any:
        """The live object; its inputs are what it says of the old inputs' fields, so that drift becomes visible."""
        if self.folder:
            return pb.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        namespace, _, name = request.id.rpartition("/")
        if (live := self.cluster.find(self.kind.path(namespace or self.cluster.namespace, name))) is None:
            return pb.ReadResponse()
        inputs = encode(wire.mark(wire.prune(shown(live), reveal(old)) if old else shown(live), old))
        if self.kind.name == "Secret":
            hide(inputs)
        manager = request.properties.fields["__fieldManager"].string_value or MANAGER
        outputs = self._outputs(live, decode(inputs), manager)
        return pb.ReadResponse(id=request.id, inputs=inputs, properties=encode(outputs))

    def delete(self, request: Any, state: Any) -> None:
        """Delete and wait; what is already gone, or whose kind is gone, counts as deleted."""
        if self.folder:
            self._file(state).unlink(missing_ok=True)
        elif live := self.cluster.find(self._path(state)):
            policy = annotation(live, "deletionPropagationPolicy").capitalize()
            policy = policy or ("Foreground" if self.kind.name in ("DaemonSet", "Deployment") else "Background")
            with contextlib.suppress(MissingError):
                self.cluster.request("DELETE", self._path(state), {"propagationPolicy": policy})
            wait(self.cluster, self.kind, live, request.timeout, partial(self.log, request.urn), gone=True)
