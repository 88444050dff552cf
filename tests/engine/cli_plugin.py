"""A Kubernetes plugin whose cluster is a folder: one file per object. It refuses to create what exists.

While a file `hold` lies in the folder, a create waits after its object exists, as for a rollout.
"""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import json
import os
import sys
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

CLUSTER = Path(os.environ["FAKE_CLUSTER"])


def identity(properties: dict[str, Any]) -> str:
    """`namespace/name`, as the official plugin."""
    return f"{properties['metadata']['namespace']}/{properties['metadata']['name']}"


def file_of(name: str) -> Path:
    return CLUSTER / f"{name.replace('/', '.')}.json"


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, engine: engine_pb2_grpc.EngineStub) -> None:
        self.engine = engine

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="4.34.2")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse()

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = (json_format.MessageToDict(each) for each in (request.old_inputs, request.news))
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        kind = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=kind, diffs=changed)

    def Create(self, request: Any, context: Any) -> Any:
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        properties = json_format.MessageToDict(request.properties)
        name = identity(properties)
        if file_of(name).exists():
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"{name} already exists")
        if properties.get("data", {}).get("refused"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{name} is refused by the cluster")
        file_of(name).write_text(json.dumps(properties))
        self.wait(request.urn)
        return provider_pb2.CreateResponse(id=name, properties=request.properties)

    def wait(self, urn: str) -> None:
        while (CLUSTER / "hold").exists():
            self.engine.Log(
                engine_pb2.LogRequest(severity=engine_pb2.INFO, urn=urn, message="0/1 pods ready", ephemeral=True)
            )
            time.sleep(0.2)

    def Read(self, request: Any, context: Any) -> Any:
        if not file_of(request.id).exists():
            return provider_pb2.ReadResponse()
        properties = json_format.ParseDict(json.loads(file_of(request.id).read_text()), type(request.properties)())
        return provider_pb2.ReadResponse(id=request.id, properties=properties, inputs=properties)

    def Update(self, request: Any, context: Any) -> Any:
        if not request.preview:
            file_of(request.id).write_text(json.dumps(json_format.MessageToDict(request.news)))
        return provider_pb2.UpdateResponse(properties=request.news)

    def Delete(self, request: Any, context: Any) -> Any:
        file_of(request.id).unlink(missing_ok=True)
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def main() -> None:
    engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(sys.argv[1]))
    server = grpc.server(futures.ThreadPoolExecutor(8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Plugin(engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
