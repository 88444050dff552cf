"""`helm.sh/v3:Release`: one Helm release, by the helm command line."""
# ruff: noqa: ARG002 - the interface of `Target`

import json
from collections.abc import Iterator
from typing import Any

import yaml
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from tools.plugins import wire
from tools.plugins.kubernetes.kinds import TYPES
from tools.plugins.kubernetes.waits import deployment_lacks
from tools.plugins.wire import Refusal, Secret, encode, reveal

_SERVED = "atomic chart cleanupOnFail compat createNamespace name namespace repositoryOpts skipAwait skipCrds timeout"
INPUTS = {*_SERVED.split(), "values", "version"}
_FLAGS = """allowNullValues atomic cleanupOnFail createNamespace dependencyUpdate devel disableCRDHooks disableWebhooks
disableOpenapiValidation forceUpdate lint recreatePods renderSubchartNotes replace resetValues reuseValues skipAwait
skipCrds verify waitForJobs"""
# The official plugin writes inputs that are not set into state too; the same here lets state move either way.
_DEFAULTS: dict[str, Any] = dict.fromkeys(_FLAGS.split(), False)
_DEFAULTS |= {"description": "", "keyring": "", "postrender": "", "timeout": 300, "values": {}}


class Releases(wire.Target):
    """Helm releases in the provider's cluster."""

    replaces = ("name", "namespace")

    def __init__(self, provider: Any) -> None:
        self.cluster, self.log = provider.cluster, provider.log

    def _helm(self, verb: str, identity: str, *arguments: str, stdin: str = "") -> str:
        namespace, name = identity.split("/")
        context = [f"--kube-context={self.cluster.context}"] if self.cluster.context else []
        command = (*verb.split(), name, *arguments, f"--namespace={namespace}", *context)
        return str(self.cluster.run("helm", *command, stdin=stdin))

    def check(self, request: Any, inputs: struct_pb2.Struct) -> None:
        """Complete name, namespace and timeout; refuse what is not served."""
        repository = inputs.fields["repositoryOpts"].struct_value.fields if "repositoryOpts" in inputs.fields else ()
        strange = {*inputs.fields} - INPUTS | {f"repositoryOpts.{key}" for key in repository if key != "repo"}
        if strange:
            raise Refusal(f"helm.sh/v3:Release: {', '.join(sorted(strange))} not served, allowed {sorted(INPUTS)}.")
        wire.assign_name(request, inputs, request.olds.fields["name"].string_value)
        inputs.fields.pop("compat", None)
        defaults = _DEFAULTS | {"namespace": self.cluster.namespace}
        inputs.update({key: value for key, value in defaults.items() if key not in inputs.fields})

    def identity(self, inputs: Any) -> str:
        """`namespace/name`."""
        return f"{inputs['namespace']}/{inputs['name']}"

    def _live(self, identity: str) -> Any:
        try:
            return json.loads(self._helm("status", identity, "--output=json"))
        except Refusal as problem:
            if "release: not found" not in str(problem):
                raise
        return None

    def update(self, request: Any, identity: str, inputs: Any, olds: Any, ignored: Any) -> Any:
        """Install or upgrade, and wait; also takes up what an interrupted run left."""
        plain, live = reveal(inputs), self._live(identity)
        # A run killed in the middle leaves a lock that Helm never lifts by itself.
        if live and live["info"]["status"] in ("pending-install", "uninstalling"):
            self._helm("uninstall", identity, "--wait")
        elif live and live["info"]["status"].startswith("pending"):
            self._helm("rollback", identity, "--wait")
        repository = (plain.get("repositoryOpts") or {}).get("repo")
        flags = {
            "--atomic": plain.get("atomic"), "--cleanup-on-fail": plain.get("cleanupOnFail"),
            "--create-namespace": plain.get("createNamespace"), f"--repo={repository}": repository,
            "--skip-crds": plain.get("skipCrds"), f"--version={plain.get('version')}": plain.get("version"),
            "--wait": not plain.get("skipAwait"), "--reset-values": True, "--values=-": True,
            f"--timeout={request.timeout or plain['timeout']:.0f}s": True,
        }  # fmt: skip
        chosen = [flag for flag, wanted in flags.items() if wanted]
        self.log(request.urn, "waiting for helm upgrade --install")
        try:
            self._helm("upgrade --install", identity, plain["chart"], *chosen, stdin=json.dumps(plain["values"]))
        except Refusal as problem:
            if not (live := self._live(identity)):
                raise
            outputs = self._outputs(live, inputs)
            reason = "; ".join([str(problem), *self._unready(outputs["resourceNames"], plain["namespace"])])
            raise wire.Unfinished(reason, identity, outputs, inputs) from problem
        return self._outputs(self._live(identity), inputs)

    def _unready(self, names: Any, default: str) -> Iterator[str]:
        for name in names.get("Deployment.apps/apps/v1", ()):
            namespace, _, own = name.rpartition("/")
            if live := self.cluster.find(TYPES["kubernetes:apps/v1:Deployment"].path(namespace or default, own)):
                yield from (f"{own}: {note}" for note in deployment_lacks(self.cluster, live))

    def _outputs(self, live: Any, inputs: Any) -> Any:
        about = json.loads(self._helm("get metadata", self.identity(live), "--output=json"))
        names: dict[str, list[str]] = {}
        for item in filter(None, yaml.load_all(live["manifest"], yaml.CSafeLoader)):
            group = item["apiVersion"].rpartition("/")[0]
            key = f"{item['kind']}.{group}/{item['apiVersion']}" if group else f"{item['kind']}/{item['apiVersion']}"
            where = (item["metadata"].get("namespace"), item["metadata"]["name"])
            names.setdefault(key, []).append("/".join(filter(None, where)))
        kept = ("name", "namespace", "revision", "version", "appVersion", "chart")
        info = {"status": live["info"]["status"]} | {key: about[key] for key in kept}
        return inputs | {"status": info, "version": info["version"], "resourceNames": names, "__inputs": Secret(inputs)}

    def read(self, request: Any, inputs: Any) -> Any:
        """The live release: its values and chart version become the inputs, so that drift becomes visible."""
        if (live := self._live(request.id)) is None:
            return pb.ReadResponse()
        status, config = self._outputs(live, {})["status"], live.get("config") or {}
        inputs = inputs or _DEFAULTS | {key: status[key] for key in ("name", "namespace", "chart")}
        if config != (reveal(inputs.get("values")) or {}):
            inputs["values"] = Secret(config) if wire.secret(inputs.get("values")) else config
        inputs |= {"version": status["version"]} if inputs.get("version") else {}
        outputs = self._outputs(live, inputs)
        if status["status"] != "deployed":
            reason = f"the release is {status['status']}: {live['info']['description']}"
            raise wire.Unfinished(reason, request.id, outputs, inputs)
        return pb.ReadResponse(id=request.id, properties=encode(outputs), inputs=encode(inputs))

    def delete(self, request: Any, state: Any) -> None:
        """Uninstall and wait until the release's objects are gone."""
        seconds = request.timeout or state.get("timeout") or _DEFAULTS["timeout"]
        self._helm("uninstall", request.id, "--wait", "--ignore-not-found", f"--timeout={seconds:.0f}s")
