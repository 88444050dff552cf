"""`python -m tools.plugins.language_python`: stand-in for the official Python language host.

Runs programs and component hosts with the interpreter of their `virtualenv`; installs and generates nothing.
"""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import os
import queue
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from pulumi import RunError
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, plugin_pb2
from pulumi.runtime.proto.language_pb2_grpc import add_LanguageRuntimeServicer_to_server

VERSION = "3.259.0"
_SHOWN = 32
"""Exit status of a program whose error the engine has already been told."""


def interpreter(info: Any) -> str:
    """The Python of the project's `virtualenv`, relative to the project; this one where there is none."""
    name = info.options.fields["virtualenv"].string_value if "virtualenv" in info.options.fields else ""
    python = Path(info.root_directory, name, "bin", "python")
    return str(python) if name and python.exists() else sys.executable


def _environment() -> dict[str, str]:
    """The environment without the path by which this module was found: a program must not see its packages."""
    home = str(Path(__file__).resolve().parents[2])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", home)]
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return kept | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


class Host(LanguageServer):
    """The language runtime as the engine sees it."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Handshake(self, request: Any, context: Any) -> Any:
        """Nothing to agree on."""
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The engine version whose language host is stood in for."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        """Installs nothing, and says which interpreter is used."""
        text = f"The stand-in language host installs nothing; it uses {interpreter(request.info)}.\n"
        yield language_pb2.InstallDependenciesResponse(stdout=text.encode())

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program in a process of its own, which ends when this one does."""
        request.args[:] = [sys.argv[-1]]
        message = request.SerializeToString()
        command = [interpreter(request.info), "-P", str(Path(__file__).resolve()), "--program"]
        child = subprocess.Popen(command, cwd=request.pwd, env=_environment(), stdin=subprocess.PIPE)
        if child.stdin:
            child.stdin.write(len(message).to_bytes(8, "big") + message)
            child.stdin.flush()
        code = child.wait()
        error = f"the program ended with status {code}" if code not in (0, _SHOWN) else ""
        return language_pb2.RunResponse(error=error, bail=code == _SHOWN)

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Run a component host or a policy pack and pass on what it prints, until it ends or is let go of."""
        command, folder = [interpreter(request.info)], request.info.program_directory or request.program
        # The SDK's entry takes the pack's folder last, and packs run in their folder.
        pack = request.kind == "analyzer"
        command += ["-u", "-m", "pulumi.policy", *request.args, folder] if pack else [folder, *request.args]
        environment = _environment() | dict(item.split("=", 1) for item in request.env)
        pipe, place = subprocess.PIPE, folder if pack else request.pwd
        child = subprocess.Popen(command, cwd=place, env=environment, stdout=pipe, stderr=pipe)
        context.add_callback(child.kill)
        printed: queue.Queue[Any] = queue.Queue()
        streams = {"stdout": child.stdout, "stderr": child.stderr}
        for name, stream in streams.items():
            threading.Thread(target=_pass_on, args=(name, stream, printed), daemon=True).start()
        for _ in streams:
            yield from iter(printed.get, None)
        yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def Cancel(self, request: Any, context: Any) -> Any:
        """The engine ends the program by itself."""
        return empty_pb2.Empty()

    def GeneratePackage(self, request: Any, context: Any) -> Any:
        """Refused, as are projects, programs, packing and linking."""
        verb = type(request).__name__.removesuffix("Request")
        text = f"{verb} is not served by the stand-in language host; install Pulumi's official download."
        context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

    GenerateProject = GenerateProgram = Pack = Link = Template = GeneratePackage


def _pass_on(name: str, stream: IO[bytes], printed: "queue.Queue[Any]") -> None:
    for line in stream:
        response = language_pb2.RunPluginResponse
        printed.put(response(stdout=line) if name == "stdout" else response(stderr=line))
    printed.put(None)


def _run_program() -> None:
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    request = language_pb2.RunRequest.FromString(sys.stdin.buffer.read(size))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine decides what an interrupt means
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()
    sys.argv = [request.info.entry_point or "."]

    def program() -> None:
        where = os.path.join(request.info.program_directory or request.pwd, sys.argv[0])  # noqa: PTH118 - "." stays
        try:
            runpy.run_path(where, run_name="__main__")
        except RunError:
            raise
        except Exception as fault:
            frames = traceback.extract_tb(fault.__traceback__)
            own = [frame for frame in frames if not frame.filename.startswith("<") and frame.filename != __file__]
            text = "".join([*traceback.format_list(own), *traceback.format_exception_only(fault)])
            raise RunError(f"Program failed with an unhandled exception:\nTraceback:\n{text}") from None

    server: Any = LanguageServer(program)
    os._exit(_SHOWN if server.Run(request, None).error else 0)


if __name__ == "__main__":
    if "--program" in sys.argv:
        _run_program()
    from tools.plugins.wire import serve

    serve(Host(), add_LanguageRuntimeServicer_to_server)
