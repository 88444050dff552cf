"""The image store: digests depend on content only, and a reader never sees half an image."""

import errno
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tools.images import oci
from tools.problem import ProblemError

RUN = oci.RunConfig(entrypoint=("/app",), user="1:1")


@pytest.fixture
def store(tmp_path: Path) -> oci.Store:
    return oci.Store(tmp_path / "oci")


def image(store: oci.Store, name: str, content: bytes = b"x", key: str = "k") -> oci.Image:
    return store.add_image(name, key, [store.add_layer([oci.Entry("app", content)])], RUN, "amd64")


def test_a_layer_does_not_depend_on_order_or_time(store: oci.Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    entries = [oci.Entry("usr/bin/app", file), oci.Entry("etc/x", b"y", 0o644), oci.Entry("lib", "usr/lib")]
    first = store.add_layer(entries)
    os.utime(file, (1, 1))
    assert store.add_layer(reversed(entries)) == first


def test_a_layer_holds_entries_and_their_parents_with_modes_and_owners(store: oci.Store) -> None:
    entries = [
        oci.Entry("var/lib/eg", None, 0o700, 65532, 65532),
        oci.Entry("bin/app", b"12", 0o755),
        oci.Entry("lib", "usr/lib"),
    ]
    layer = store.add_layer(entries)
    with tarfile.open(store.path(layer.digest)) as tar:
        found = [(m.name, m.type, oct(m.mode), m.uid, m.size, m.mtime, m.linkname) for m in tar]
    assert found == [
        ("bin", tarfile.DIRTYPE, "0o755", 0, 0, 0, ""),
        ("bin/app", tarfile.REGTYPE, "0o755", 0, 2, 0, ""),
        ("lib", tarfile.SYMTYPE, "0o777", 0, 0, 0, "usr/lib"),
        ("var", tarfile.DIRTYPE, "0o755", 0, 0, 0, ""),
        ("var/lib", tarfile.DIRTYPE, "0o755", 0, 0, 0, ""),
        ("var/lib/eg", tarfile.DIRTYPE, "0o700", 65532, 0, 0, ""),
    ]
    assert store.path(layer.digest).stat().st_size == layer.size


def test_the_configuration_names_user_and_uncompressed_layers(store: oci.Store) -> None:
    made = image(store, "a:1")
    config, layer = store.blobs(made.manifest)
    assert json.loads(store.path(config.digest).read_text()) == {
        "architecture": "amd64",
        "config": {"Entrypoint": ["/app"], "Env": [f"PATH={oci.PATH}"], "User": "1:1"},
        "created": "1970-01-01T00:00:00Z",
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "modelway"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    }
    assert layer.media_type == "application/vnd.oci.image.layer.v1.tar"


def test_an_image_is_found_only_by_the_inputs_it_was_made_from(store: oci.Store) -> None:
    made = image(store, "a:1", key="one")
    assert store.find("a:1", "one") == made
    assert store.find("a:1", "two") is None
    assert store.find("a:2", "one") is None


def test_an_image_with_a_lost_or_cut_blob_is_not_found(store: oci.Store) -> None:
    made = image(store, "a:1")
    layer = store.blobs(made.manifest)[1]
    store.path(layer.digest).write_bytes(b"")
    assert store.find("a:1", "k") is None
    store.path(layer.digest).unlink()
    assert store.find("a:1", "k") is None


def test_a_failed_write_leaves_no_blob(store: oci.Store) -> None:
    image(store, "a:1")
    before = sorted(file for file in store.root.rglob("*") if file.is_file())
    with pytest.raises(FileNotFoundError):
        store.add_layer([oci.Entry("app", b"new"), oci.Entry("b", Path("/nowhere/at/all"))])
    assert sorted(file for file in store.root.rglob("*") if file.is_file()) == before


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_no_half_archive(store: oci.Store, tmp_path: Path) -> None:
    made = image(store, "a:1")

    def full(_: io.RawIOBase) -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(ProblemError):
        store.add(oci.LAYER, full)
    store.path(store.blobs(made.manifest)[1].digest).unlink()
    with pytest.raises(FileNotFoundError):
        store.archive(made, "x:1", tmp_path / "out" / "x.tar")
    assert list((tmp_path / "out").iterdir()) == []
    assert list(store.root.glob(".partial-*")) == []


def test_sweep_keeps_named_images_and_removes_the_rest(store: oci.Store) -> None:
    kept = image(store, "a:1")
    image(store, "b:1", b"old")
    replaced = image(store, "b:1", b"new")
    (store.root / ".partial-x").write_text("half")
    store.sweep()
    assert store.whole(kept)
    assert store.whole(replaced)
    assert len(list((store.root / "blobs" / "sha256").iterdir())) == 6
    assert not (store.root / ".partial-x").exists()


def test_an_archive_carries_the_name_that_containerd_gives_the_image(store: oci.Store, tmp_path: Path) -> None:
    made = image(store, "pause:3.10")
    file = tmp_path / "out" / "pause.tar"
    store.archive(made, "registry.k8s.io/pause:3.10", file)
    with tarfile.open(file) as tar:
        names = tar.getnames()
        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
    assert index["manifests"] == [
        {
            **made.manifest.plain(),
            "annotations": {
                "io.containerd.image.name": "registry.k8s.io/pause:3.10",
                "org.opencontainers.image.ref.name": "3.10",
            },
        }
    ]
    blobs = [made.manifest, *store.blobs(made.manifest)]
    assert set(names) == {
        *("blobs", "blobs/sha256", "index.json", "oci-layout"),
        *(f"blobs/sha256/{blob.digest[7:]}" for blob in blobs),
    }


def exported(folder: Path, comment: str) -> Path:
    """What `buildah push … dir:` leaves, reduced to what counts."""
    other = oci.Store(folder / "other")
    layer = other.add_layer([oci.Entry("model", b"m")])
    history = [{"created": oci.EPOCH, "created_by": "COPY model", "comment": comment}]
    config = other.add_json(oci.CONFIG, {"history": history, "rootfs": {"diff_ids": [layer.digest]}})
    target = folder / "export"
    target.mkdir()
    for blob in (layer, config):
        other.path(blob.digest).replace(target / blob.digest[7:])
    manifest = {
        "config": config.plain(),
        "layers": [layer.plain()],
        "annotations": {"org.opencontainers.image.base.digest": comment},
    }
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def test_an_adopted_image_does_not_depend_on_what_the_builders_cache_held(store: oci.Store, tmp_path: Path) -> None:
    image(store, "a:1")
    digests = set()
    for number, comment in enumerate(("FROM 5fe9fde0874f", "FROM 7894e3fd6636")):
        (tmp_path / str(number)).mkdir()
        adopted = store.adopt(exported(tmp_path / str(number), comment), "m:1", key=comment)
        assert store.find("m:1", comment) == adopted
        config = json.loads(store.path(store.blobs(adopted.manifest)[0].digest).read_text())
        assert config["history"] == [{"created": oci.EPOCH, "created_by": "COPY model"}]
        assert "annotations" not in store.manifest(adopted.manifest)
        digests.add(adopted.manifest.digest)
    assert len(digests) == 1
