"""What a version may say about its server: every field acts or is refused. Nothing here needs Pulumi."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from modelway.serving.fetch_checks import fetch_misfits
from modelway.serving.misfit import Misfit as Misfit
from modelway.serving.runtimes import (
    ADMIN_PORT,
    HTTP_PORT,
    RUNTIMES,
    TEMPORARY,
    Options,
    Runtime,
    runtime_of,
    split_paths,
)
from modelway.tracing.arguments import server_traces_misfits

_SERVER = ("args", "env", "keep_alive_seconds", "secret_files", "startup_seconds", "writable_paths")
_PATHS = ("health_path", "metrics_path", "predict_path", "ready_path")
CONTAINER_FIELDS: Mapping[str, tuple[str, ...]] = {
    "modelway": (),
    "container": tuple(sorted((*_SERVER, *_PATHS, "admin_port", "command", "open_inference", "port", "user_id"))),
    "mlserver": (*(name for name in _SERVER if name != "args"), "model_path"),
    "triton": (*_SERVER, "model_path"),
    "vllm": (*(name for name in _SERVER if name != "keep_alive_seconds"), "model_path"),
}
"""Fields of `container` that each runtime takes; MLServer has no options on its command line, and vLLM is told for how
long it keeps connections."""
MOUNTED = ("/dev", "/etc", "/proc", "/sys", "/var/run", TEMPORARY)
MAXIMUM_GPUS = 64
MINIMUM_KEEP_ALIVE_SECONDS = 3
"""The gateway forgets connections after two fifths of it, in whole seconds."""
MAXIMUM_OUTCOMES = 20
_URL_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_FOLDER = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_SECRET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_OUTCOME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def version_misfits(options: Options) -> list[Misfit]:
    """Everything wrong with one version's server."""
    if options.runtime not in RUNTIMES:
        close = difflib.get_close_matches(options.runtime, RUNTIMES, n=1)
        fix = f"write {close[0]!r}" if close else "correct it"
        return [Misfit("runtime", "unknown value", repr(options.runtime), ", ".join(RUNTIMES), fix)]
    problems = list(_unfit(options))
    fields = {name: check for name, check in _CHECKS.items() if name in options.container}
    problems += chain.from_iterable(check(options.container[name]) for name, check in fields.items())
    if options.fetch is not None:
        problems += fetch_misfits(options.fetch, options.runtime)
    return problems or [*_environment(options), *_ports_and_paths(options)]


def model_misfits(versions: Mapping[str, Options]) -> list[Misfit]:
    """Everything wrong between the versions of one model, each of which is right by itself."""
    options = next(iter(versions.values()))
    problems = []
    for switch in ("feedback", "docs"):
        foreign = [name for name, each in versions.items() if getattr(each, switch) and each.runtime != "modelway"]
        if foreign:
            problems.append(
                Misfit(switch, "not every version has it", ", ".join(foreign), "runtime modelway", f"remove {switch}")
            )
    if options.feedback_outcomes and not options.feedback:
        got = ", ".join(options.feedback_outcomes)
        problems.append(Misfit("feedback_outcomes", "set without feedback", got, "with feedback", "set feedback"))
    wrong = [name for name in options.feedback_outcomes if not _OUTCOME.fullmatch(name)]
    repeated = len(set(options.feedback_outcomes)) < len(options.feedback_outcomes)
    if wrong or repeated or len(options.feedback_outcomes) > MAXIMUM_OUTCOMES:
        got = ", ".join(wrong or options.feedback_outcomes)
        allowed = f"at most {MAXIMUM_OUTCOMES} different names of lower-case letters, digits and '_'"
        problems.append(Misfit("feedback_outcomes", "no list of names", got, allowed, "correct it"))
    return [*problems, *_one_interface(versions)]


def _one_interface(versions: Mapping[str, Options]) -> Iterator[Misfit]:
    """The split needs a path that every version has, under one name in all servers."""
    runtimes = {name: runtime_of("m", name, options) for name, options in versions.items()}
    predict = {path.upstream for runtime in runtimes.values() for path in runtime.paths if path.public == "/predict"}
    if len(predict) > 1:
        got, fix = ", ".join(sorted(predict)), "give all versions one"
        yield Misfit("versions", "predict_path differs", got, "one path, since a split rewrites all alike", fix)
    elif not split_paths(list(runtimes.values())):
        spoken = ", ".join(f"{name} {_bases(runtime)}" for name, runtime in runtimes.items())
        fix = "make a model of its own of the version that differs"
        yield Misfit("versions", "no path in common", spoken, "versions that can take each other's requests", fix)


def _bases(runtime: Runtime) -> str:
    return " and ".join(path.public for path in runtime.paths if path.split and path.public.count("/") == 1)


def _unfit(options: Options) -> Iterator[Misfit]:
    """Fields that this runtime does not have."""
    allowed = CONTAINER_FIELDS[options.runtime]
    for name in sorted(options.container):
        if name not in allowed:
            text = ", ".join(allowed) or "none, it is configured by its own image"
            got = f"{name} with runtime {options.runtime}"
            yield Misfit(f"container.{name}", "does not fit the runtime", got, text, f"remove {name}")
    if options.gpus is not None and options.runtime == "modelway":
        allowed_text = "with runtime container, mlserver, triton or vllm"
        yield Misfit("gpus", "does not fit the runtime", f"{options.gpus}", allowed_text, "remove gpus")
    elif options.gpus is not None and not 0 <= options.gpus <= MAXIMUM_GPUS:
        yield Misfit("gpus", "out of range", f"{options.gpus}", f"0 to {MAXIMUM_GPUS}", "change it")
    if options.subjects is not None and options.runtime != "modelway":
        got, fix = f"with runtime {options.runtime}", "remove subjects"
        yield Misfit("subjects", "does not fit the runtime", got, "with runtime modelway", fix)
    elif options.subjects is not None:
        yield from _subjects(options)
    if options.traces is not None and options.runtime != "modelway":
        got = f"with runtime {options.runtime}"
        yield Misfit("traces", "does not fit the runtime", got, "with runtime modelway", "remove traces")
    elif options.traces is not None:
        for misfit in server_traces_misfits(options.traces):
            yield misfit._replace(field=f"traces.{misfit.field}")
    for switch in ("allow_pickle", "access_log"):
        if getattr(options, switch) and options.runtime != "modelway":
            got = f"true with runtime {options.runtime}"
            yield Misfit(switch, "does not fit the runtime", got, "with runtime modelway", f"remove {switch}")


def _subjects(options: Options) -> Iterator[Misfit]:
    own = options.subjects or {}
    if options.shadow:
        yield Misfit(
            "subjects", "set for a shadow, which answers nobody", "shadow", "without shadow", "remove subjects"
        )
    if own.get("header") and own.get("cookie"):
        yield Misfit("subjects.cookie", "set together with header", repr(own["cookie"]), "one of the two", "remove one")
    if own.get("slow_seconds") is not None and not 0 < own["slow_seconds"] <= 3600:
        got = f"{own['slow_seconds']:g}"
        yield Misfit("subjects.slow_seconds", "out of range", got, "more than 0, at most 3600", "change it")


def _environment(options: Options) -> Iterator[Misfit]:
    bare = {name: value for name, value in options.container.items() if name not in ("env", "secret_files")}
    taken = runtime_of("m", "v", Options(options.runtime, bare, options.gpus)).env
    plain, secret = options.container.get("env", {}), options.container.get("secret_files", {})
    for field, names in (("env", plain), ("secret_files", secret)):
        for name in names:
            if name in taken:
                fix = "remove it"
                yield Misfit(f"container.{field}", "set by the runtime", name, f"any name but {', '.join(taken)}", fix)
    for name in sorted(set(plain) & set(secret)):
        yield Misfit("container.secret_files", "in env as well", name, "each name once", "remove one of them")


def _ports_and_paths(options: Options) -> Iterator[Misfit]:
    own = options.container
    port, admin_port = own.get("port", HTTP_PORT), own.get("admin_port", ADMIN_PORT)
    if port == admin_port and "admin_port" not in own:
        allowed = "another port, or the same port said twice"
        yield Misfit("container.port", "is the default of admin_port", f"{port}", allowed, "set admin_port")
    runtime = runtime_of("m", "v", options)
    internal = {runtime.metrics_path, runtime.ready_path, runtime.health_path}
    if own.get("predict_path") in internal:
        allowed = "a path of its own, since metrics and health are never routed"
        yield Misfit("container.predict_path", "is not for users", repr(own["predict_path"]), allowed, "change it")
    folders = runtime.writable_paths
    for folder in sorted({each for each in folders if folders.count(each) > 1}):
        yield Misfit("container.writable_paths", "writable twice", repr(folder), "each folder once", "remove it")


def _port(field: str, value: int) -> Iterator[Misfit]:
    if not 1024 <= value <= 65535:
        allowed = "1024 to 65535, since lower ones need root"
        yield Misfit(f"container.{field}", "out of range", f"{value}", allowed, "change it")


def _path(field: str, value: str) -> Iterator[Misfit]:
    if not _URL_PATH.fullmatch(value):
        allowed = "'/NAME' of letters, digits, '.', '_', '~' and '-' without a trailing '/'"
        yield Misfit(f"container.{field}", "not a path", repr(value), allowed, "correct it")


def _env(value: Mapping[str, Any]) -> Iterator[Misfit]:
    for name in value:
        if not _VARIABLE.fullmatch(name):
            allowed = "letters, digits and '_', no digit first"
            yield Misfit("container.env", "not a name", repr(name), allowed, "rename it")


def _secret_files(value: Mapping[str, Mapping[str, str]]) -> Iterator[Misfit]:
    for name, reference in value.items():
        if not _VARIABLE.fullmatch(name):
            allowed = "letters, digits and '_', no digit first"
            yield Misfit("container.secret_files", "not a name", repr(name), allowed, "rename it")
        if not (_SECRET_NAME.fullmatch(reference["secret"]) and _SECRET_KEY.fullmatch(reference["key"])):
            got = f"{reference['secret']!r}, {reference['key']!r}"
            allowed = "the name of a Secret and one of its keys"
            yield Misfit(f"container.secret_files.{name}", "not a reference", got, allowed, "correct it")


def _folders(field: str, value: Sequence[str]) -> Iterator[Misfit]:
    for folder in value:
        taken = any(folder == each or folder.startswith(f"{each}/") for each in MOUNTED)
        if not _FOLDER.fullmatch(folder) or taken:
            allowed = f"an absolute path outside {', '.join(MOUNTED)}"
            yield Misfit(f"container.{field}", "not a folder of the server", repr(folder), allowed, "correct it")


def _user_id(value: int) -> Iterator[Misfit]:
    if not 1 <= value <= 2**31 - 1:
        yield Misfit("container.user_id", "out of range", f"{value}", "1 to 2147483647, never root", "change it")


def _keep_alive_seconds(value: int) -> Iterator[Misfit]:
    if not MINIMUM_KEEP_ALIVE_SECONDS <= value <= 3600:
        allowed = f"{MINIMUM_KEEP_ALIVE_SECONDS} to 3600"
        yield Misfit("container.keep_alive_seconds", "out of range", f"{value}", allowed, "change it")


def _startup_seconds(value: int) -> Iterator[Misfit]:
    if not 1 <= value <= 3600:
        yield Misfit("container.startup_seconds", "out of range", f"{value}", "1 to 3600", "change it")


_CHECKS: Mapping[str, Any] = {
    **{field: (lambda value, field=field: _port(field, value)) for field in ("port", "admin_port")},
    **{field: (lambda value, field=field: _path(field, value)) for field in _PATHS},
    "env": _env,
    "secret_files": _secret_files,
    "writable_paths": lambda value: _folders("writable_paths", value),
    "model_path": lambda value: _folders("model_path", [value]),
    "user_id": _user_id,
    "keep_alive_seconds": _keep_alive_seconds,
    "startup_seconds": _startup_seconds,
}
