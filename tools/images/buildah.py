"""Builds with buildah: without a daemon, as root, everything it keeps in the cache folder."""

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tools.images import base, containers, oci, process
from tools.images.pip_settings import build_settings
from tools.images.registry import Registry, split
from tools.progress import Progress, Step
from tools.toolchain import Tool, ensure
from tools.toolchain.store import locked

_FREE_GIGABYTES = 3.0
_LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$")
_IMAGE_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_ROOT_FIX = "run the command as root, or start Docker, which needs none"
_FIX = "read the reason, correct the cause and run the command again"
_PUSH_FIX = "check that the registry runs (`modelway node up` starts the node's) and that you are logged in to it"


class Buildah:
    """buildah as builder."""

    name = "buildah"

    def build(
        self,
        context: Path,
        name: str,
        build_args: Mapping[str, str],
        progress: Progress,
        dockerfile: Path | None = None,
    ) -> str:
        """See `tools.images.build`."""
        process.require_root(f"image {name}", _ROOT_FIX)
        process.require_space(_FREE_GIGABYTES, "building images")
        tool = ensure(("buildah",), progress)["buildah"]
        with locked(oci.LOCK, progress):
            values = dict(build_args)
            if "BASE" not in values:
                values["BASE"] = os.environ.get("MODELWAY_BASE_IMAGE") or _base(tool, progress)
            argv = ["bud", "--layers", "--timestamp", "0", "--network", "host", "--tag", f"localhost/{name}"]
            argv += ["--file", str(dockerfile or context / "Dockerfile")]
            for key, value in values.items():
                argv += ["--build-arg", f"{key}={value}"]
            with progress.step(f"image {name} (buildah)") as step, build_settings() as settings:
                for key, file in settings.secrets.items():
                    argv += ["--secret", f"id={key},src={file}"]
                for path, folder in settings.folders.items():
                    argv += ["--volume", f"{folder}:{path}:ro"]
                argv.append(str(context))
                containers.buildah(tool, argv, what=f"image {name}", fix=_FIX, log="build", step=step)
        return f"localhost/{name}"

    def push(self, image: str, repository: str, progress: Progress) -> str:
        """See `tools.images.push`."""
        process.require_root(f"push to {repository}", _ROOT_FIX)
        tool = ensure(("buildah",), progress)["buildah"]
        name, tag = split(repository)
        store = oci.Store()
        with locked(oci.LOCK, progress), progress.step(f"pushing {name}:{tag} (buildah)") as step:
            exported = _export(tool, image, store, step)
            host, _, path = name.partition("/")
            if not _LOOPBACK.match(host):
                return f"{name}@{_push_remote(exported, store, name, tag, progress, step)}"
            with closing(Registry(host)) as registry:
                pushed = registry.push(store, replace(exported, name=f"{path}:{tag}"))
            step.update(exported.manifest.digest)
            return pushed


def _export(tool: Tool, image: str, store: oci.Store, step: Step) -> oci.Image:
    """The built image in the store, under the key of its id in buildah's storage."""
    key = _image_id(tool, image)
    if known := store.find(image, key):
        return known
    folder = containers.home() / "export"
    shutil.rmtree(folder, ignore_errors=True)
    argv = ["push", "--disable-compression", image, f"dir:{folder}"]
    what = f"image {image.removeprefix('localhost/')}"
    containers.buildah(tool, argv, what=what, fix=_FIX, log="export", step=step)
    exported = store.adopt(folder, image, key)
    shutil.rmtree(folder)
    store.sweep()
    return exported


def _image_id(tool: Tool, reference: str) -> str:
    """Id of an image in buildah's storage; empty when there is none."""
    argv = ["images", "--no-trunc", "--format", "{{.ID}}", "--filter", f"reference={reference}"]
    known = containers.buildah(tool, argv, what=reference, fix=_FIX, log="images")
    return _last_id(known)


def _last_id(lines: list[str]) -> str:
    """The last line that is an image id: warnings may stand around it."""
    found = [match.group(1) for line in lines if (match := _IMAGE_ID.fullmatch(line))]
    return found[-1] if found else ""


def _push_remote(image: oci.Image, store: oci.Store, name: str, tag: str, progress: Progress, step: Step) -> str:
    """Push compressed, with the user's credentials; returns the digest."""
    tool = ensure(("skopeo",), progress)["skopeo"]
    digest = containers.home() / "digest"
    argv = ["copy", "--digestfile", str(digest), f"oci:{store.root}:{image.name}", f"docker://{name}:{tag}"]
    containers.skopeo(tool, argv, what=f"push to {name}", fix=_PUSH_FIX, log="push", step=step)
    return digest.read_text(encoding="utf-8").strip()


def _base(tool: Tool, progress: Progress) -> str:
    """The base image in buildah's storage, made and imported if needed."""
    store = oci.Store()
    image = base.base_image(store, progress)
    reference = f"localhost/{base.NAME}"
    wanted = store.blobs(image.manifest)[0].digest.removeprefix("sha256:")
    if _image_id(tool, reference) != wanted:
        with progress.step(f"importing {base.NAME} into buildah's storage") as step:
            # Not `buildah pull`: it makes a name of the path, and refuses a folder that starts with a dot.
            argv = ["copy", f"oci:{store.root}:{base.NAME}", f"containers-storage:{reference}"]
            skopeo = ensure(("skopeo",), progress)["skopeo"]
            containers.skopeo(skopeo, argv, what=reference, fix=_FIX, log="import", step=step)
    return reference
