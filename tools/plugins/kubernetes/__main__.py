"""`python -m tools.plugins.kubernetes`: provider configuration, and each request of the engine handed to its type."""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import contextlib
import os
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from tools.plugins import wire
from tools.plugins.kubeapi import Cluster, UnreachableError, kubeconfig
from tools.plugins.kubernetes.kinds import RELEASE, TYPES
from tools.plugins.kubernetes.objects import Objects
from tools.plugins.kubernetes.release import Releases
from tools.plugins.wire import UNKNOWN, Refusal, answers, decode, encode, reveal

OPTIONS = """clusterIdentifier context deleteUnreachable enableConfigMapMutable enablePatchForce enableSecretMutable
enableServerSideApply kubeconfig namespace renderYamlToDirectory skipUpdateUnreachable suppressDeprecationWarnings
suppressHelmHookWarnings upsertExistingObjects"""
_ENGINE = {"version", "pluginDownloadURL", "__internal"}
_GONE = "if it was deleted, run again with PULUMI_K8S_DELETE_UNREACHABLE=true, which drops what it held from the state."


class Kubernetes(wire.Plugin):
    """Serves the types of `TYPES`, and `RELEASE`."""

    version = "4.34.2"  # the Python package's own: the engine asks for exactly that plugin

    def on(self, name: str, variable: str) -> bool:
        """Whether a provider option is on; without it its environment variable decides."""
        return (self.settings.get(name) or os.environ.get(variable)) == "true"

    @answers
    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Refuse what is not served; a kubeconfig is always a secret."""
        inputs, served = decode(request.news), OPTIONS.split()
        strange = {*inputs}.difference(served, _ENGINE)
        wrong = dict.fromkeys(strange, f"not served by the stand-in plugin, allowed {served}")
        if reveal(inputs.get("enableServerSideApply")) in ("false", False):
            wrong["enableServerSideApply"] = "got false, allowed true"
        for name in ("kubeconfig", "context") if inputs.get("renderYamlToDirectory") else ():
            wrong |= {name: "cannot be combined with renderYamlToDirectory"} if inputs.get(name) else {}
        if inputs.get("kubeconfig") and inputs["kubeconfig"] != UNKNOWN:
            inputs["kubeconfig"] = wire.Secret(reveal(inputs["kubeconfig"]))
        failures = [pb.CheckFailure(property=name, reason=f"{name}: {text}.") for name, text in sorted(wrong.items())]
        return pb.CheckResponse(inputs=encode(inputs), failures=failures)

    @answers
    def DiffConfig(self, request: Any, context: Any) -> Any:
        """The official rule: another active cluster replaces, unless `clusterIdentifier` is set and the same."""
        old, new = reveal(decode(request.old_inputs)), reveal(decode(request.news))
        diffs = sorted({path.split(".")[0] for path, _ in wire.compare(old, new)} - _ENGINE)
        replaces, moved = {"renderYamlToDirectory"} & {*diffs}, {"kubeconfig", "context"} & {*diffs}
        replaces |= {name for name in moved if new.get(name) == UNKNOWN}
        with contextlib.suppress(UnreachableError):
            was, now = (kubeconfig(inputs.get("kubeconfig"), inputs.get("context"))[1] for inputs in (old, new))
            replaces |= moved if was and now and was != now else set()
        before, after = old.get("clusterIdentifier"), new.get("clusterIdentifier")
        if before and after:
            replaces = replaces | {"clusterIdentifier"} if before != after else set()
        some = pb.DiffResponse.DIFF_SOME if diffs else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(changes=some, diffs=diffs, replaces=sorted(replaces))

    def Configure(self, request: Any, context: Any) -> Any:
        """Take the provider's inputs; the cluster is not asked before it is needed."""
        self.settings = {key: str(value) for key, value in reveal(decode(request.args)).items()}
        self.cluster = Cluster(*(self.settings.get(key) for key in ("kubeconfig", "context", "namespace")))
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def target(self, request: Any) -> wire.Target:
        """Objects of the request's kind, or releases; a type that is not served is refused by name."""
        token = request.urn.split("::")[2].split("$")[-1]
        if token != RELEASE and token not in TYPES:
            raise Refusal(f"{token} is not served by the stand-in plugin; install the official plugin {self.version}.")
        return Releases(self) if token == RELEASE else Objects(self, TYPES[token])

    def rescue(self, problem: Refusal, request: Any) -> Any:
        """What a cluster that cannot be reached means to a read or delete."""
        deletes = isinstance(request, pb.DeleteRequest)
        if not isinstance(problem, UnreachableError):
            raise problem
        if self.on("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"):
            return empty_pb2.Empty() if deletes else pb.ReadResponse()
        if not deletes and self.on("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"):
            return pb.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        raise Refusal(f"{problem} {_GONE}") from problem

    def Cancel(self, request: Any, context: Any) -> Any:
        """Let waiters fail now; what they wait for is recorded as unfinished."""
        getattr(self, "cluster", Cluster(None, None, None)).close()  # a preview of a new cluster configures nothing
        return empty_pb2.Empty()


if __name__ == "__main__":
    wire.serve(Kubernetes(), add_ResourceProviderServicer_to_server)
