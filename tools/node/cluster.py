"""`up`, `down` and `status` of the one-node Kubernetes."""

import errno
import functools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tools import toolchain
from tools.node import addons, lifecycle, pki, readiness, traces
from tools.node.api import Api
from tools.node.configs import CONTAINERD_SOCKET, PAUSE_IMAGE
from tools.node.files import folder, write
from tools.node.layout import Layout
from tools.node.lifecycle import Supervisor
from tools.node.readiness import wait
from tools.problem import Problem, ProblemError
from tools.progress import Progress

SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
NODE_IMAGES = (PAUSE_IMAGE, addons.COREDNS_IMAGE, addons.METRICS_SERVER_IMAGE)


@dataclass(frozen=True)
class NodeStatus:
    """What the node is like now."""

    running: bool
    """Its supervisor lives."""
    ready: bool
    """The API server is ready and the node reports Ready."""
    kubeconfig: Path
    """The administrator's kubeconfig; there after the first `up`."""
    reason: str = ""
    """Why it is not ready, in a few words."""
    processes: tuple[Mapping[str, object], ...] = ()
    """Name, state, pid inside and outside, start time, restarts and last exit of each process."""


def up(progress: Progress) -> NodeStatus:
    """Start the node, or heal one that is broken, or do nothing where all is well.

    Ends when the API server, the node, CoreDNS, metrics-server and the registry are ready. Raises
    `ProblemError` with every reason against starting here, or with the part that did not become ready.
    """
    layout = Layout.current()
    try:
        return _up(layout, progress)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ProblemError(
            [Problem(str(layout.root), "the disk is full", error.strerror or "no space left", "at least 10 GiB free",
                     "free some space and run `modelway node up` again; nothing is lost")]
        ) from None  # fmt: skip


def _up(layout: Layout, progress: Progress) -> NodeStatus:
    lifecycle.refuse(layout, running=lifecycle.find_supervisor(layout) is not None)
    with lifecycle.alone(layout):
        found = lifecycle.find_supervisor(layout)
        tools = toolchain.ensure(toolchain.NODE, progress)
        programs = {name: tool.path for name, tool in tools.items()}
        path = search_path(programs)
        if found and (reason := lifecycle.outdated(layout, programs, path)):
            with progress.step(f"stopping the node: {reason}"):
                lifecycle.stop(layout)
            found = None
        if found and _complete(layout):
            progress.say("The node runs already; nothing to do.")
            return status()
        if found is None:
            with progress.step("starting the node's processes"):
                _remember(layout, path)
                found = lifecycle.start(layout, programs, path)
        _finish(layout, found, programs, progress)
    return status()


def search_path(programs: Mapping[str, Path]) -> str:
    """PATH of the node's processes: the system's own programs, then those of the toolchain.

    Not the caller's, so that the same node comes from every shell.
    """
    folders = dict.fromkeys(str(path.parent) for path in programs.values())
    return os.pathsep.join([*SYSTEM_PATH, *(folder for folder in folders if folder not in SYSTEM_PATH)])


def _finish(layout: Layout, found: Supervisor, programs: Mapping[str, Path], progress: Progress) -> None:
    """Everything after the processes' start; each part may already be done."""
    # Kubernetes' timestamps are whole seconds, rounded down.
    since = float(int(found.started_at))
    _import_images(layout, found, programs["ctr"], progress)
    with connect(layout) as api:
        wait(layout, progress, "kube-apiserver", lambda: readiness.api_ready(api), 120)
        applied = functools.partial(_apply, layout, api)
        wait(layout, progress, "bindings and add-ons", applied, 30, log="kube-apiserver")
        wait(layout, progress, "registry", lambda: readiness.registry_ready(layout.ports.registry), 30)
        wait(layout, progress, "node", lambda: readiness.node_ready(api, since), 90)
        wait(layout, progress, "CoreDNS", lambda: readiness.pods_ready(api, "k8s-app=kube-dns", since), 90)
        wait(layout, progress, "metrics-server", lambda: readiness.metrics_ready(api, since), 120)
    write(layout.run / "complete", str(found.started_at))


def _complete(layout: Layout) -> bool:
    """Whether an `up` reached its end in this run, and the cluster still is what it was then."""
    found, note = lifecycle.find_supervisor(layout), layout.run / "complete"
    if found is None or not note.exists() or note.read_text() != str(found.started_at):
        return False
    return status().ready


def _remember(layout: Layout, path: str) -> None:
    """Note what the machine looks like without a node, for the check after `down`."""
    folder(layout.root)
    lifecycle.clean(layout)
    write(layout.root / "before.json", traces.snapshot(path).dump())


def connect(layout: Layout, name: str = "admin", keys: Path | None = None) -> Api:
    """A client of the API server with one of the certificates in `keys` (default: the node's own)."""
    where = keys or layout.pki
    server = f"https://127.0.0.1:{layout.ports.api}"
    return Api(server, layout.pki / "ca.crt", where / f"{name}.crt", where / f"{name}.key")


def _apply(layout: Layout, api: Api) -> str:
    """Apply everything; the empty answer says that nothing is missing."""
    try:
        api.apply(addons.admin_binding())
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.FORBIDDEN:
            raise
        _bind_administrators(layout)
    authority, certificate, key = (
        (layout.pki / name).read_bytes() for name in ("ca.crt", "metrics-server.crt", "metrics-server.key")
    )
    for wanted in addons.objects(authority, certificate, key):
        api.apply(wanted)
    return ""


def _bind_administrators(layout: Layout) -> None:
    """In a new cluster only `system:masters` may bind anybody: be that for one request."""
    with tempfile.TemporaryDirectory(dir=layout.run) as keys:
        leaf = pki.bootstrap(layout.pki, Path(keys))
        with connect(layout, leaf.name, Path(keys)) as api:
            api.apply(addons.admin_binding())


def _import_images(layout: Layout, found: Supervisor, ctr: Path, progress: Progress) -> None:
    """Give containerd the three images that pods need before any registry is filled."""
    command = [str(ctr), "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io", "images"]

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            lifecycle.enter(layout, [*command, *arguments]), capture_output=True, text=True, check=False
        )

    # Outside, the socket's folder is seen through the supervisor's root.
    socket = Path(f"/proc/{found.pid}/root{CONTAINERD_SOCKET}")
    wait(layout, progress, "containerd", lambda: readiness.socket_ready(socket), 30)
    present = run("ls", "--quiet").stdout.split()
    if set(NODE_IMAGES) <= set(present):
        return
    from tools.images import node_archives

    archives = node_archives(progress)
    with progress.step("importing the node's images"):
        for archive in archives:
            result = run("import", str(archive))
            if result.returncode:
                raise ProblemError(
                    [Problem(str(archive), "the image cannot be imported", result.stderr.strip()[-300:],
                             "an image archive", "delete the file and run `modelway node up` again")]
                )  # fmt: skip
    if missing := sorted(set(NODE_IMAGES) - set(run("ls", "--quiet").stdout.split())):
        raise ProblemError(
            [Problem("node images", "not in the archives", ", ".join(missing), ", ".join(NODE_IMAGES),
                     "delete the folder `images` in the cache and run `modelway node up` again")]
        )  # fmt: skip


def down(progress: Progress, *, purge: bool = False) -> None:
    """Stop the node in order; its objects and images stay, unless `purge` deletes its folder too."""
    layout = Layout.current()
    lifecycle.refuse_unless_root()
    if not layout.root.exists():
        progress.say("There is no node.")
        return
    with lifecycle.alone(layout):
        with progress.step("stopping the node"):
            lifecycle.stop(layout)
        if purge:
            with progress.step("deleting the node's folder"):
                shutil.rmtree(layout.root)


def status() -> NodeStatus:
    """Look at the node without changing anything; answers within two seconds."""
    layout = Layout.current()
    found = lifecycle.find_supervisor(layout)
    if found is None:
        return NodeStatus(running=False, ready=False, kubeconfig=layout.kubeconfig, reason="it does not run")
    records = tuple(lifecycle.processes(layout, found))
    reason = ", ".join(f"{record['name']} is {record['state']}" for record in records if record["state"] != "running")
    if not reason:
        try:
            with connect(layout) as api:
                reason = readiness.api_ready(api) or readiness.node_ready(api, 0)
        except (httpx.HTTPError, OSError, json.JSONDecodeError) as error:
            reason = f"the API server does not answer: {error}"
    return NodeStatus(running=True, ready=not reason, kubeconfig=layout.kubeconfig, reason=reason, processes=records)


def left_behind(progress: Progress) -> list[str]:
    """What the last run left on the machine; empty is right."""
    layout = Layout.current()
    tools = [report.tool for report in toolchain.inspect(toolchain.NODE) if report.tool]
    path = search_path({tool.name: tool.path for tool in tools})
    begun = time.monotonic()
    found = [str(entry) for entry in lifecycle.check(layout, path)]
    progress.say(f"compared with the machine before `node up` in {time.monotonic() - begun:.1f} s")
    return found
