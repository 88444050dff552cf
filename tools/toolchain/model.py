"""What the toolchain finds and makes: tools, and the ways to get one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.problem import Problem

Origin = Literal["PATH", "downloaded", "built", "unpacked", "stand-in"]


@dataclass(frozen=True)
class Tool:
    """One program that can be run now."""

    name: str
    path: Path
    """The executable; for `cni-plugins` the folder of executables."""
    version: str
    """Without a leading `v`; `unknown` where the program does not say."""
    origin: Origin
    """`PATH`: installed on the machine. The others lie in the cache folder (official plugins: in Pulumi's)."""


@dataclass(frozen=True)
class ToolReport:
    """What `doctor` prints about one tool; nothing was downloaded or built to find it out."""

    name: str
    pinned: str
    """The version that Modelway would get by itself; empty where the distribution decides."""
    tool: Tool | None
    """None: not on this machine yet."""
    problem: Problem | None
    """What stops Modelway from getting or using it; None: found, or it comes by itself when needed."""
    fix: str
    """What to do when it is missing."""


@dataclass(frozen=True)
class Release:
    """An official download, checked against the sha256 that its publisher states."""

    url: str
    checksums_url: str
    """A file that holds the bare sha256, or lines `sha256  file name`."""
    members: str
    """Empty: the file is the program. `folder/*`: all files of that folder of the archive. Else one file of it."""


@dataclass(frozen=True)
class Plugin:
    """An official Pulumi resource plugin, installed by the Pulumi CLI into Pulumi's own folder."""

    resource: str
    version: str


@dataclass(frozen=True)
class GoBuild:
    """A program that is compiled from one of the module graphs in `modules/`."""

    module: str
    package: str
    ldflags: tuple[str, ...]
    tags: tuple[str, ...] = ()
    overlaid: str = ""
    """Dependency that the files in `overlay/` of the module graph are laid over."""


@dataclass(frozen=True)
class Wheel:
    """A program inside a PyPI wheel."""

    distribution: str
    member: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Debian:
    """A program of a set of Debian packages that are unpacked into the cache and never installed."""

    set_name: str
    program: str
    """Path below the root of the unpacked packages, without leading slash."""


@dataclass(frozen=True)
class StandIn:
    """A small replacement of ours for what no registry has, run by this Python."""

    module: str


@dataclass(frozen=True)
class Spec:
    """How one tool is recognised on a machine, and the ways to get it, in the order of the fields."""

    name: str
    version: str
    fix: str
    program: str = ""
    """Name of the executable where it differs from `name`."""
    version_arguments: tuple[str, ...] = ("--version",)
    """Arguments that make it print its version; empty where it has none and would start to serve."""
    installed: Literal["any", "same-minor", "never"] = "any"
    """Which installed version is used: `same-minor` for parts that must match each other,
    `never` for what goes into a container image and must not depend on the machine."""
    minimum: str = ""
    folder: str = ""
    """Folder below `bin/` of the cache where it differs from `NAME-VERSION`."""
    release: Release | None = None
    plugin: Plugin | None = None
    debian: Debian | None = None
    wheel: Wheel | None = None
    go: GoBuild | None = None
    stand_in: StandIn | None = None

    @property
    def executable(self) -> str:
        """File name of the program."""
        return self.program or self.name

    @property
    def cache_folder(self) -> str:
        """Folder below `bin/` of the cache."""
        return self.folder or f"{self.name}-{self.version}"
