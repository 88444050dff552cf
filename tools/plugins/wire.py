"""What every stand-in plugin speaks: property values on the wire, diffs, errors, log lines, the life of the process."""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import functools
import hashlib
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for a value that is known only after an update."""
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_SHORT = 3


class Refusal(Exception):  # noqa: N818 - it is an answer to the engine, not a fault of the plugin
    """One sentence that the engine shows as the error of the resource."""


class Unfinished(Refusal):
    """The resource exists and did not become ready: the engine records it and updates it on the next run."""

    def __init__(self, reason: str, identity: str, outputs: dict[str, Any], inputs: Any) -> None:
        super().__init__(reason)
        self.detail = provider_pb2.ErrorResourceInitFailed(
            id=identity, properties=encode(outputs), inputs=encode(inputs), reasons=[reason]
        )


@dataclass(frozen=True)
class Secret:
    """A value that the engine encrypts in state and hides in output."""

    value: Any


def decode(value: Any) -> Any:
    """Python form of a protobuf Struct or Value; whole numbers become int, secrets become `Secret`."""
    if isinstance(value, struct_pb2.Struct):
        if _SIGNATURE in value.fields:
            if value.fields[_SIGNATURE].string_value != _SECRET:
                raise Refusal("assets, archives and resource references are not served by the stand-in plugin.")
            return Secret(decode(value.fields["value"]))
        return {key: decode(item) for key, item in value.fields.items()}
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return decode(value.struct_value)
    if kind == "list_value":
        return [decode(item) for item in value.list_value.values]
    plain = None if kind in (None, "null_value") else getattr(value, kind)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def encode(value: dict[str, Any]) -> struct_pb2.Struct:
    """Protobuf form of a dict, the inverse of `decode`."""
    result = struct_pb2.Struct()
    result.update(_wire(value))
    return result


def _wire(value: Any) -> Any:
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": _wire(value.value)}
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    return [_wire(item) for item in value] if isinstance(value, list) else value


def reveal(value: Any) -> Any:
    """The same value without secret marks."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    return [reveal(item) for item in value] if isinstance(value, list) else value


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar of a value; a `Secret` counts as one."""
    if not isinstance(value, dict | list):
        yield value
        return
    for child in value.values() if isinstance(value, dict) else value:
        yield from leaves(child)


def unknown(value: Any) -> bool:
    """Whether any part of the value is known only after an update."""
    return any(leaf == UNKNOWN for leaf in leaves(reveal(value)))


def secret(value: Any) -> bool:
    """Whether any part of the value is a secret."""
    return any(isinstance(leaf, Secret) for leaf in leaves(value))


def mark(outputs: Any, inputs: Any) -> Any:
    """The outputs with every part secret that is secret in the inputs."""
    if isinstance(inputs, Secret):
        return outputs if isinstance(outputs, Secret) else Secret(outputs)
    if isinstance(outputs, dict) and isinstance(inputs, dict):
        return {key: mark(item, inputs.get(key)) for key, item in outputs.items()}
    if isinstance(outputs, list) and secret(inputs):
        if isinstance(inputs, list) and len(inputs) == len(outputs):
            return [mark(item, other) for item, other in zip(outputs, inputs, strict=True)]
        return Secret(outputs)
    return outputs


def prune(live: Any, old: Any) -> Any:
    """The live value cut down to the shape of the old inputs; what is empty there may be absent in the cluster."""
    if isinstance(live, dict) and isinstance(old, dict):
        return {key: prune(live.get(key), item) for key, item in old.items() if key in live or not item}
    if isinstance(live, list) and isinstance(old, list):
        return [prune(item, old[index]) if index < len(old) else item for index, item in enumerate(live)]
    return live if live or old else old


def redact(text: str, *values: Any) -> str:
    """The text without any secret text of the values; what is as short as a number or a word like `yes` stays."""
    marked = (leaf for value in values for leaf in leaves(value) if isinstance(leaf, Secret))
    hidden = {str(leaf) for item in marked for leaf in leaves(reveal(item))}
    for found in sorted(hidden, key=len, reverse=True):
        text = text.replace(found, "[secret]") if len(found) > _SHORT else text
    return text


def assign_name(request: Any, owner: struct_pb2.Struct, old: str) -> bool:
    """Set `name` where the program gives none: the old one, the engine's proposal, or `<logical>-<8 hex>`."""
    if "name" in owner.fields:
        return False
    if request.autonaming.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
        raise Refusal(f"{request.name}: autonaming is disabled and the program gives no name; set one.")
    fresh = f"{request.name}-{hashlib.sha256(request.randomSeed).hexdigest()[:8]}"
    owner.fields["name"].string_value = old or request.autonaming.proposed_name or fresh
    return True


def compare(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Property paths that differ, each with ADD, DELETE or UPDATE; null counts as absent."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            step = f"{path}.{key}".lstrip(".") if key.replace("_", "").isalnum() else f'{path}["{key}"]'
            yield from compare(old.get(key), new.get(key), step)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = (items[index] if index < len(items) else None for items in (old, new))
            yield from compare(before, after, f"{path}[{index}]")
    elif old != new:
        yield path, "ADD" if old is None else "DELETE" if new is None else "UPDATE"


def diff_response(changes: list[tuple[str, str]], rules: tuple[str, ...], *, delete_first: bool = False) -> Any:
    """The engine's form of the changes; one at or below a rule's path replaces."""
    kinds, detailed, replaces = provider_pb2.PropertyDiff.Kind, {}, []
    for path, change in changes:
        hit = any(path == rule or path.startswith((f"{rule}.", f"{rule}[")) for rule in rules)
        kind = kinds.Value(f"{change}_REPLACE" if hit else change)
        detailed[path] = provider_pb2.PropertyDiff(kind=kind, inputDiff=True)
        replaces += [path] if hit else []
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if detailed else response.DIFF_NONE,
        diffs=sorted({path.split(".")[0].split("[")[0] for path in detailed}),
        replaces=replaces,
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replaces) and delete_first,
    )


def answers(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn an error into the status that the engine understands; no secret of the request is in it."""

    @functools.wraps(method)
    def wrapper(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except Refusal as problem:
            structs = (item for _, item in request.ListFields() if isinstance(item, struct_pb2.Struct))
            reason = redact(str(problem), *(decode(item) for item in structs))
            if isinstance(problem, Unfinished):
                problem.detail.reasons[0] = reason
                packed = any_pb2.Any()
                packed.Pack(problem.detail)
                status = status_pb2.Status(code=2, message=reason, details=[packed])
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        except Exception as fault:  # its text may quote a secret, so only its place is told
            place = traceback.extract_tb(fault.__traceback__)[-1]
            reason = (
                f"fault of the stand-in plugin: {type(fault).__name__} at {Path(place.filename).name}:{place.lineno}"
            )
        return context.abort(grpc.StatusCode.UNKNOWN, reason)

    return wrapper


class Target:
    """One resource type; inputs are decoded, what it returns is encoded by `Plugin`."""

    replaces: tuple[str, ...] = ()
    """Property paths whose change needs a new resource."""

    def check(self, request: Any, inputs: struct_pb2.Struct) -> None:
        """Complete the inputs in place, or refuse them."""

    def identity(self, inputs: Any) -> str:
        """The resource's id, from its revealed inputs."""
        raise NotImplementedError

    def diff(self, request: Any, old: Any, new: Any) -> Any:
        """The `DiffResponse` for revealed inputs that differ."""
        return diff_response(list(compare(old, new)), self.replaces)

    def preview(self, request: Any, inputs: Any) -> Any:
        """Outputs that can be told before a create or update."""
        return inputs

    def create(self, request: Any, identity: str, inputs: Any) -> Any:
        """Create and wait until ready; returns the outputs."""
        return self.update(request, identity, inputs, {}, ())

    def update(self, request: Any, identity: str, inputs: Any, olds: Any, ignored: Sequence[str]) -> Any:
        """Update and wait until ready; returns the outputs. `ignored` are the paths of `ignoreChanges`."""
        raise NotImplementedError

    def read(self, request: Any, old: Any) -> Any:
        """The `ReadResponse` of the live state; an empty one when it is gone. `old` are the old inputs."""
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def delete(self, request: Any, state: Any) -> None:
        """Delete and wait until gone."""


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """A provider plugin: hands each request of the engine to the resource's type."""

    version = ""
    _engine: engine_pb2_grpc.EngineStub | None = None

    def target(self, request: Any) -> Target:
        """The type of the request's resource, by its URN; refuses by name what is not served."""
        raise NotImplementedError

    def rescue(self, problem: Refusal, request: Any) -> Any:
        """Answer a read or delete that was refused, or raise the refusal."""
        raise problem

    def log(self, urn: str, text: str, *, warning: bool = False) -> None:
        """Show the text beside the resource: a status that the next one overwrites, or a warning that stays."""
        severity = engine_pb2.WARNING if warning else engine_pb2.INFO
        line = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=not warning)
        if self._engine:
            self._engine.Log(line)

    def Handshake(self, request: Any, context: Any) -> Any:
        """Say what this plugin understands."""
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(request.engine_address))
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The official version that is stood in for."""
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        """Nothing: programs use the published SDKs."""
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, context: Any) -> Any:
        """Accept the provider's inputs."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """No input of the provider replaces it."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        """Take the provider's inputs."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        """Nothing under way can be cut short."""
        return empty_pb2.Empty()

    @answers
    def Invoke(self, request: Any, context: Any) -> Any:
        """Refused: no function, component or method is served."""
        name = getattr(request, "tok", "") or request.type
        raise Refusal(f"{name} is not served by the stand-in plugin; install the official plugin {self.version}.")

    Construct = Call = Invoke

    @answers
    def Check(self, request: Any, context: Any) -> Any:
        """The inputs as they will be sent."""
        inputs = struct_pb2.Struct()
        inputs.CopyFrom(request.news)
        self.target(request).check(request, inputs)
        return provider_pb2.CheckResponse(inputs=inputs)

    @answers
    def Diff(self, request: Any, context: Any) -> Any:
        """What an update would change; equal inputs are told by their wire form, without asking anybody."""
        if request.old_inputs == request.news:
            return diff_response([], ())
        old, new = reveal(decode(request.old_inputs)), reveal(decode(request.news))
        return self.target(request).diff(request, old, new)

    @answers
    def Create(self, request: Any, context: Any) -> Any:
        """Create and wait until ready."""
        target, inputs = self.target(request), decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(target.preview(request, inputs)))
        identity = target.identity(reveal(inputs))
        outputs = target.create(request, identity, inputs)
        return provider_pb2.CreateResponse(id=identity, properties=encode(outputs))

    @answers
    def Update(self, request: Any, context: Any) -> Any:
        """Update and wait until ready."""
        target, inputs, olds = self.target(request), decode(request.news), reveal(decode(request.olds))
        if request.preview:
            return provider_pb2.UpdateResponse(properties=encode(target.preview(request, inputs)))
        outputs = target.update(request, request.id, inputs, olds, request.ignoreChanges)
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    @answers
    def Read(self, request: Any, context: Any) -> Any:
        """The live state."""
        try:
            return self.target(request).read(request, decode(request.inputs))
        except Refusal as problem:
            return self.rescue(problem, request)

    @answers
    def Delete(self, request: Any, context: Any) -> Any:
        """Delete and wait until gone."""
        try:
            self.target(request).delete(request, reveal(decode(request.properties)))
        except Refusal as problem:
            return self.rescue(problem, request)
        return empty_pb2.Empty()


def serve(plugin: Any, register: Callable[[Any, Any], None]) -> None:
    """Serve on a free loopback port, printed for the engine, until the engine stops this process or is gone."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(max_workers=64), options=options)
    register(plugin, server)
    port = server.add_insecure_port("127.0.0.1:0")
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: os._exit(0))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _leave_with_parent() -> None:
    if hasattr(os, "pidfd_open"):
        select.select([os.pidfd_open(os.getppid())], [], [])
        os._exit(0)
