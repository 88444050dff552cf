"""Plugins of aws, gcp and kubernetes that make nothing and write down what they are asked for.

`python -m tests.engine.recorder aws|gcp|kubernetes` appends one JSON line per request to the file RECORDER_LOG.
"""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from tests.engine import recorder_facts
from tests.engine.force_new import FORCE_NEW
from tools.plugins import wire
from tools.plugins.kubernetes.__main__ import Kubernetes
from tools.plugins.wire import UNKNOWN, answers, decode, encode, reveal

VERSIONS = {"aws": "7.51.1", "gcp": "10.2.0", "kubernetes": "4.34.2"}
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


CLUSTERS = {"aws:eks/cluster:Cluster": "version", "gcp:container/cluster:Cluster": "minMasterVersion"}
"""Types whose version the cloud is asked for, and the property that says it."""


def note(operation: str, token: str, name: str, **more: Any) -> None:
    """One line; a single write, so that the lines of several plugins do not mix."""
    line = json.dumps({"operation": operation, "type": token, "name": name, **more}) + "\n"
    with Path(os.environ["RECORDER_LOG"]).open("a", encoding="utf-8") as log:
        log.write(line)


class Recorded(wire.Target):
    """Any type."""

    def __init__(self, token: str) -> None:
        self.token = token
        if token in FORCE_NEW:
            self.replaces = FORCE_NEW[token].paths
        if token.startswith("kubernetes:"):
            self.replaces = ("metadata.name", "metadata.namespace")

    def name(self, request: Any) -> str:
        """The resource's logical name."""
        return str(request.urn.rpartition("::")[2])

    def preview(self, request: Any, inputs: Any) -> Any:
        """Before a creation the inputs alone: what it would give is unknown. An update keeps what is known."""
        if not getattr(request, "id", ""):
            return inputs
        outputs = {**decode(request.olds), **inputs}
        return outputs | ({"latestVersion": UNKNOWN} if self.token == TEMPLATE else {})

    def create(self, request: Any, identity: str, inputs: Any) -> Any:
        """The inputs, and what a creation gives."""
        note("create", self.token, self.name(request))
        self.run(inputs)
        given = recorder_facts.computed(self.token, self.name(request))
        merged = {**given, **inputs}
        for key, value in given.items():
            if isinstance(value, dict) and isinstance(inputs.get(key), dict):
                merged[key] = {**inputs[key], **value}
        note("created", self.token, self.name(request))
        return merged

    def identity(self, inputs: Any) -> str:
        """Nobody parses it."""
        metadata = inputs.get("metadata") or {}
        return f"{metadata.get('namespace', '')}/{metadata['name']}" if "name" in metadata else f"{self.token}-id"

    def update(self, request: Any, identity: str, inputs: Any, olds: Any, ignored: Sequence[str]) -> Any:
        """What is known stays."""
        note("update", self.token, self.name(request))
        self.run(inputs)
        outputs = {**decode(request.olds), **inputs}
        if self.token == TEMPLATE:
            outputs["latestVersion"] = olds["latestVersion"] + 1
        return outputs

    def delete(self, request: Any, state: Any) -> None:
        """Gone at once."""
        note("delete", self.token, self.name(request))
        if self.token in CLUSTERS and "name" in state:
            recorder_facts.remember(state["name"], None)

    def run(self, inputs: Any) -> None:
        """A cluster runs from now on in the version that it is told."""
        if self.token in CLUSTERS and "name" in inputs:
            recorder_facts.remember(inputs["name"], inputs.get(CLUSTERS[self.token]))


class Cloud(wire.Plugin):
    """aws or gcp."""

    def __init__(self, package: str) -> None:
        self.version = VERSIONS[package]

    def target(self, request: Any) -> wire.Target:
        """Every type is the same."""
        return Recorded(request.urn.split("::")[2].split("$")[-1])

    @answers
    def Invoke(self, request: Any, context: Any) -> Any:
        """Answered from the facts, in preview too."""
        args = reveal(decode(request.args))
        note("invoke", request.tok, "", preview=request.preview)
        return pb.InvokeResponse(**{"return": encode(recorder_facts.answer(request.tok, args))})

    Construct = Call = wire.Plugin.Construct


class Cluster(Kubernetes):
    """kubernetes, with the official rules on a provider that changes."""

    def target(self, request: Any) -> wire.Target:
        """Objects and releases alike."""
        return Recorded(request.urn.split("::")[2].split("$")[-1])

    def Configure(self, request: Any, context: Any) -> Any:
        """No cluster is asked."""
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)


if __name__ == "__main__":
    kind = sys.argv[1]
    wire.serve(Cluster() if kind == "kubernetes" else Cloud(kind), add_ResourceProviderServicer_to_server)
