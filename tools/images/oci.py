"""A store of container images as an OCI image layout, filled by ourselves so that digests never depend on time.

Layers are plain tar files, not compressed: they travel over the loopback device only, so compression would cost
seconds and save nothing. Format: https://github.com/opencontainers/image-spec (v1.0).
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tools.images import process
from tools.paths import cache_dir
from tools.toolchain.store import write_atomically

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
KEY = "dev.modelway.inputs"
"""Annotation: fingerprint of what the image was made from."""

LOCK = "images"
"""Name of the lock of the image store and of buildah's storage."""
_PARTIAL = ".partial-"
EPOCH = "1970-01-01T00:00:00Z"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Descriptor:
    """Points to one blob of the store."""

    media_type: str
    digest: str
    """`sha256:` and 64 hex digits."""
    size: int
    """Bytes."""

    def plain(self) -> dict[str, object]:
        """The form that stands in manifests."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    @staticmethod
    def parse(value: Mapping[str, object]) -> "Descriptor":
        """Read the form that stands in manifests."""
        return Descriptor(str(value["mediaType"]), str(value["digest"]), int(str(value["size"])))


@dataclass(frozen=True)
class Entry:
    """One file, folder or link of a layer."""

    path: str
    """In the image, without leading slash."""
    content: Path | bytes | str | None
    """A file of this machine or its bytes; text is the target of a symbolic link; None makes a folder."""
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class RunConfig:
    """How a container of the image starts."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    """`UID:GID`, numeric, so that `runAsNonRoot` can be checked; empty is root."""
    workdir: str = ""
    ports: tuple[str, ...] = ()
    environment: tuple[str, ...] = (f"PATH={PATH}",)

    def plain(self) -> dict[str, object]:
        """The `config` object of an OCI image configuration."""
        values: dict[str, object] = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "User": self.user,
            "WorkingDir": self.workdir,
            "ExposedPorts": {port: {} for port in self.ports},
            "Env": list(self.environment),
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class Image:
    """A finished image of the store."""

    name: str
    """As users name it: `envoyproxy/envoy:v1.40.0`."""
    manifest: Descriptor
    key: str
    """Fingerprint of what it was made from."""


class _HashingWriter(io.RawIOBase):
    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self.digest.update(view)
        self._target.write(view)
        self.size += len(view)
        return len(view)


@dataclass
class Store:
    """Blobs by digest below one folder, with an index of named images; the folder is a valid OCI image layout."""

    root: Path = field(default_factory=lambda: cache_dir() / "images" / "oci")

    def path(self, digest: str) -> Path:
        """Where the blob lies."""
        return self.root / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def add(self, media_type: str, write: Callable[[io.RawIOBase], None]) -> Descriptor:
        """Store what `write` writes; a reader sees whole blobs only. Raises ProblemError when the disk is full."""
        folder = self.root / "blobs" / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        with process.explained(), tempfile.NamedTemporaryFile(dir=self.root, prefix=_PARTIAL, delete=False) as file:
            partial = Path(file.name)
            try:
                writer = _HashingWriter(file)
                write(writer)
                file.flush()
                digest = f"sha256:{writer.digest.hexdigest()}"
                partial.chmod(0o644)
                partial.replace(self.path(digest))
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        return Descriptor(media_type, digest, writer.size)

    def add_json(self, media_type: str, value: object) -> Descriptor:
        """Store a document in one canonical spelling."""
        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        return self.add(media_type, lambda target: _write_all(target, data))

    def add_layer(self, entries: Iterable[Entry]) -> Descriptor:
        """Store a layer of these entries; missing parent folders are added, time stamps are zero."""
        ordered = _with_parents(entries)

        def write(target: io.RawIOBase) -> None:
            with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for entry in ordered:
                    _add_entry(tar, entry)

        return self.add(LAYER, write)

    def add_image(self, name: str, key: str, layers: Iterable[Descriptor], run: RunConfig, arch: str) -> Image:
        """Store configuration and manifest over the layers and name the image in the index."""
        stack = list(layers)
        config = self.add_json(
            CONFIG,
            {
                "created": EPOCH,
                "architecture": arch,
                "os": "linux",
                "config": run.plain(),
                "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in stack]},
                "history": [{"created": EPOCH, "created_by": "modelway"} for _ in stack],
            },
        )
        image = self._add_manifest(name, key, config, stack)
        self._write_index([*(other for other in self.images() if other.name != name), image])
        return image

    def adopt(self, folder: Path, name: str, key: str) -> Image:
        """Move an image that was exported as a `dir:` into the store, with a digest that depends on content only.

        buildah notes the image ids of the steps before in the history and in annotations, and those depend on
        what its cache held. Layers stay as they are.
        """
        document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        layers = [Descriptor.parse(item) for item in document["layers"]]
        config_file = folder / Descriptor.parse(document["config"]).digest.removeprefix("sha256:")
        config = json.loads(config_file.read_text(encoding="utf-8"))
        for step in config["history"]:
            step.pop("comment", None)
        for layer in layers:
            (folder / layer.digest.removeprefix("sha256:")).replace(self.path(layer.digest))
        image = self._add_manifest(name, key, self.add_json(CONFIG, config), layers)
        self._write_index([*(other for other in self.images() if other.name != name), image])
        return image

    def images(self) -> list[Image]:
        """All named images."""
        try:
            index = json.loads((self.root / "index.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        found = []
        for item in index["manifests"]:
            notes = item["annotations"]
            found.append(Image(notes[NAME], Descriptor.parse(item), notes.get(KEY, "")))
        return found

    def find(self, name: str, key: str) -> Image | None:
        """The image of this name made from exactly these inputs, if all its blobs are there."""
        for image in self.images():
            if image.name == name and image.key == key and self.whole(image):
                return image
        return None

    def whole(self, image: Image) -> bool:
        """Whether manifest, configuration and layers are there with their sizes."""
        try:
            blobs = [image.manifest, *self.blobs(image.manifest)]
            return all(self.path(blob.digest).stat().st_size == blob.size for blob in blobs)
        except (OSError, ValueError, KeyError):
            return False

    def manifest(self, manifest: Descriptor) -> dict[str, Any]:
        """The parsed manifest."""
        document: dict[str, Any] = json.loads(self.path(manifest.digest).read_text(encoding="utf-8"))
        return document

    def blobs(self, manifest: Descriptor) -> list[Descriptor]:
        """Configuration first, then the layers from the lowest."""
        document = self.manifest(manifest)
        items = [document["config"], *document["layers"]]
        return [Descriptor.parse(item) for item in items]

    def sweep(self) -> None:
        """Remove blobs that no named image uses, and what killed runs left."""
        kept = {blob.digest for image in self.images() for blob in (image.manifest, *self.blobs(image.manifest))}
        for file in (self.root / "blobs" / "sha256").iterdir():
            if f"sha256:{file.name}" not in kept:
                file.unlink()
        for partial in self.root.glob(f"{_PARTIAL}*"):
            partial.unlink()

    def archive(self, image: Image, name: str, target: Path) -> None:
        """Write the image as one file that `ctr images import` takes and names `name`; replaces the file as a whole.

        Raises ProblemError when the disk is full.
        """
        notes = {CONTAINERD_NAME: name, NAME: name.rpartition(":")[2]}
        index = _index([{**image.manifest.plain(), "annotations": notes}])
        blobs = [image.manifest, *self.blobs(image.manifest)]
        entries = [Entry("oci-layout", _LAYOUT, 0o644), Entry("index.json", index, 0o644)]
        entries += [Entry(f"blobs/sha256/{b.digest[7:]}", self.path(b.digest), 0o644) for b in blobs]
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{_PARTIAL}{target.name}")
        try:
            with process.explained(), tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
                for entry in _with_parents(entries):
                    _add_entry(tar, entry)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _add_manifest(self, name: str, key: str, config: Descriptor, layers: list[Descriptor]) -> Image:
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.plain(),
            "layers": [layer.plain() for layer in layers],
        }
        return Image(name, self.add_json(MANIFEST, document), key)

    def _write_index(self, images: Iterable[Image]) -> None:
        items = [
            {**image.manifest.plain(), "annotations": {NAME: image.name, KEY: image.key}}
            for image in sorted(images, key=lambda image: image.name)
        ]
        write_atomically(self.root / "oci-layout", _LAYOUT.decode())
        write_atomically(self.root / "index.json", _index(items).decode())


_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def _index(items: list[dict[str, object]]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": items}).encode()


def _write_all(target: io.RawIOBase, data: bytes) -> None:
    target.write(data)


def _with_parents(entries: Iterable[Entry]) -> list[Entry]:
    known = {entry.path: entry for entry in entries}
    for path in list(known):
        for parent in list(Path(path).parents)[:-1]:
            known.setdefault(str(parent), Entry(str(parent), None))
    return [known[path] for path in sorted(known)]


def _add_entry(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
    match entry.content:
        case None:
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        case str() as target:
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(info)
        case bytes() as data:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        case file:
            info.size = file.stat().st_size
            with file.open("rb") as content:
                tar.addfile(info, content)
