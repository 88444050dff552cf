"""The node ground's images: what is in them, that they are made and pushed once, and that Debian gives one digest."""

import json
import os
import stat
import tarfile
import time
from collections.abc import Sequence
from io import RawIOBase
from pathlib import Path

import pytest

from tools.images import base, oci, pause, process, system
from tools.images.__main__ import main
from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import Tool
from tools.toolchain.catalog import ALERTING, IMAGES, SCALING

CERT_MANAGER = ("controller", "webhook", "cainjector", "startupapicheck")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Own cache and state; the programs are small files."""
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MODELWAY_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "bin").mkdir()

    def ensure(names: Sequence[str], _: Progress) -> dict[str, Tool]:
        assert set(names) <= {*IMAGES, *SCALING, *ALERTING}
        for name in names:
            if not (tmp_path / "bin" / name).exists():
                (tmp_path / "bin" / name).write_text(f"program {name}")
        return {name: Tool(name, tmp_path / "bin" / name, "1", "built") for name in names}

    monkeypatch.setattr(system, "ensure", ensure)
    program = tmp_path / "bin" / "pause"
    program.write_text("program pause")
    monkeypatch.setattr(pause, "program", lambda _: Tool("pause", program, pause.VERSION, "built"))
    return tmp_path


@pytest.fixture
def foundation() -> oci.Image:
    """A base image with the three things that others take from it."""
    store = oci.Store()
    folder = "usr/lib/x86_64-linux-gnu"
    entries = [
        oci.Entry("etc/ssl/certs/ca-certificates.crt", b"certificates", 0o644),
        oci.Entry(f"{folder}/libc.so.6", b"libc"),
        oci.Entry(f"{folder}/ld-linux-x86-64.so.2", b"loader"),
        oci.Entry("usr/lib64/ld-linux-x86-64.so.2", f"../{folder}/ld-linux-x86-64.so.2"),
        oci.Entry(f"{folder}/libssl.so.3", b"not needed"),
        oci.Entry("usr/share/gdb/libc.so.6", b"not a library"),
    ]
    return store.add_image(base.NAME, base.key(), [store.add_layer(entries)], oci.RunConfig(), base.architecture())


class FakeRegistry:
    """Keeps digests by repository and tag."""

    def __init__(self, host: str) -> None:
        self.host = host

    pushed: dict[str, str]
    answers = True

    def close(self) -> None:
        pass

    def digest(self, repository: str, tag: str) -> str | None:
        if not self.answers:
            raise ProblemError([])
        return self.pushed.get(f"{repository}:{tag}")

    def known(self, image: oci.Image) -> str | None:
        same = self.pushed.get(image.name) == image.manifest.digest
        return f"{self.host}/{image.name}@{image.manifest.digest}" if same else None

    def push(self, _: oci.Store, image: oci.Image) -> str:
        assert image.name not in self.pushed
        self.pushed[image.name] = image.manifest.digest
        return f"{self.host}/{image.name}@{image.manifest.digest}"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> type[FakeRegistry]:
    class Fresh(FakeRegistry):
        pushed: dict[str, str] = {}  # noqa: RUF012 - one per test

    monkeypatch.setattr(system, "Registry", Fresh)
    return Fresh


def content(name: str) -> dict[str, str]:
    """Files of an image: text, or `-> TARGET` of a link."""
    store = oci.Store()
    (image,) = [image for image in store.images() if image.name == name]
    found = {}
    for layer in store.blobs(image.manifest)[1:]:
        with tarfile.open(store.path(layer.digest)) as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                if source:
                    found[member.name] = source.read().decode()
                elif member.issym():
                    found[member.name] = f"-> {member.linkname}"
    return found


IDENTITY = {"etc/passwd", "etc/group", "etc/nsswitch.conf"}


@pytest.mark.usefixtures("foundation", "registry")
def test_each_image_holds_its_program_and_nothing_it_does_not_need() -> None:
    system.system_images(Progress())
    envoy = content("envoyproxy/envoy:v1.40.0")
    assert envoy["usr/local/bin/envoy"] == "program envoy"
    assert envoy["lib64"] == "-> usr/lib64"
    assert set(envoy) == IDENTITY | {
        *("usr/local/bin/envoy", "lib", "lib64", "etc/ssl/certs/ca-certificates.crt"),
        *("usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        "usr/lib64/ld-linux-x86-64.so.2",
    }
    gateway = content("envoyproxy/gateway:v1.9.1")
    assert set(gateway) == IDENTITY | {"usr/local/bin/envoy-gateway", "etc/ssl/certs/ca-certificates.crt"}
    prometheus = content(system.PROMETHEUS.name)
    assert {prometheus["bin/prometheus"], prometheus["bin/promtool"]} == {"program prometheus", "program promtool"}


def test_no_image_runs_as_root_and_every_user_is_a_number() -> None:
    recipes = [*system.NODE.values(), *system.PUSHED]
    users = {recipe.name.partition(":")[0]: recipe.run.user for recipe in recipes}
    assert users == {
        "pause": "65535:65535",
        "coredns": "65532:65532",
        "metrics-server": "65534:65534",
        "envoyproxy/gateway": "65532:65532",
        "envoyproxy/envoy": "65532:65532",
        **{f"jetstack/cert-manager-{command}": "65532:65532" for command in CERT_MANAGER},
        "prom/prometheus": "65534:65534",
    }


def test_the_nodes_archives_have_the_names_of_the_manifests_and_need_no_base_image() -> None:
    archives = system.node_archives(Progress())
    names = []
    for archive in archives:
        with tarfile.open(archive) as tar:
            index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
        names.append(index["manifests"][0]["annotations"]["io.containerd.image.name"])
    assert names == [
        "registry.k8s.io/pause:3.10",
        "registry.k8s.io/coredns/coredns:v1.13.1",
        "registry.k8s.io/metrics-server/metrics-server:v0.9.0",
    ]


def test_an_archive_is_written_once_and_replaced_when_its_program_changes(machine: Path) -> None:
    first = system.node_archives(Progress())
    stamps = [archive.stat().st_mtime_ns for archive in first]
    assert system.node_archives(Progress()) == first
    assert [archive.stat().st_mtime_ns for archive in first] == stamps
    (machine / "bin/coredns").write_text("program coredns, newer")
    second = system.node_archives(Progress())
    assert [old == new for old, new in zip(first, second, strict=True)] == [True, False, True]
    assert sorted((machine / "cache/images/archives").iterdir()) == sorted(second)


@pytest.mark.usefixtures("foundation")
def test_a_second_run_makes_and_pushes_nothing(machine: Path, registry: type[FakeRegistry]) -> None:
    first = system.system_images(Progress())
    pushed = dict(registry.pushed)
    blobs = {file: file.stat().st_mtime_ns for file in (machine / "cache/images/oci/blobs").rglob("*")}
    assert system.system_images(Progress()) == first
    assert registry.pushed == pushed
    assert {file: file.stat().st_mtime_ns for file in (machine / "cache/images/oci/blobs").rglob("*")} == blobs


@pytest.mark.usefixtures("foundation")
def test_the_program_finds_every_reference_by_its_public_name(machine: Path, registry: type[FakeRegistry]) -> None:
    references = system.system_images(Progress())
    assert set(references) == {
        *("envoyproxy/gateway:v1.9.1", "envoyproxy/envoy:v1.40.0", "prom/prometheus:v3.13.1"),
        *(f"jetstack/cert-manager-{command}:v1.21.2" for command in CERT_MANAGER),
        "modelway/python:3.11",
    }
    assert json.loads((machine / "state/node/images.json").read_text()) == references
    for name, reference in references.items():
        assert reference.endswith(f"@{registry.pushed[name]}")


@pytest.mark.usefixtures("foundation", "registry")
def test_alertmanager_is_built_only_where_a_stack_has_receivers() -> None:
    name = system.ALERTMANAGER.name
    assert name not in system.system_images(Progress())
    assert name in system.system_images(Progress(), alerting=True)
    assert {"bin/alertmanager", "bin/amtool"} <= set(content(name))


@pytest.mark.usefixtures("foundation")
def test_keda_is_built_only_where_a_stack_scales_by_more_than_cpu(registry: type[FakeRegistry]) -> None:
    own = {"kedacore/keda:2.21.0": "keda", "kedacore/keda-metrics-apiserver:2.21.0": "keda-adapter"}
    assert not set(own) & set(system.system_images(Progress()))
    assert set(own) <= set(system.system_images(Progress(), scaling=True))
    assert set(own) <= set(registry.pushed)
    for name, program in own.items():
        assert set(content(name)) == IDENTITY | {program}
    assert {recipe.run.user for recipe in system.KEDA} == {"65532:65532"}


def test_a_silent_registry_costs_no_build(registry: type[FakeRegistry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "answers", False)
    monkeypatch.setattr(base, "base_image", lambda *_: pytest.fail("built before asking"))
    with pytest.raises(ProblemError):
        system.system_images(Progress())


def debian(root: Path, day: int) -> None:
    """A tree as debootstrap leaves it on some day."""
    for folder in ("etc", "usr/lib", "usr/share/doc", "var/log", "dev", "tmp"):
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/shadow").write_text(f"root:*:{day}:0:99999:7:::\ndaemon:*:{day}:0:99999:7:::\n")
    (root / "etc/hostname").write_text(f"host{day}")
    (root / "var/log/dpkg.log").write_text(f"{day}")
    (root / "usr/share/doc/readme").write_text("long")
    (root / "usr/lib/module.py").write_text("x = 1")
    os.utime(root / "usr/lib/module.py", (1_600_000_000, 1_600_000_000))
    (root / "usr/lib/generated").write_text("made by a script")
    os.link(root / "usr/lib/module.py", root / "usr/lib/same.py")


def test_the_base_does_not_depend_on_the_day_it_is_made(tmp_path: Path) -> None:
    started = time.time() - 1
    layers = []
    for day in (20000, 20001):
        debian(tmp_path / str(day), day)
        store = oci.Store(tmp_path / f"store{day}")

        def pack(target: RawIOBase, root: Path = tmp_path / str(day)) -> None:
            base._pack(root, started, target)

        layers.append(store.add(oci.LAYER, pack))
    assert layers[0] == layers[1]
    with tarfile.open(store.path(layers[1].digest)) as tar:
        members = {member.name: member for member in tar}
        shadow = tar.extractfile("etc/shadow").read().decode()  # type: ignore[union-attr]
    assert shadow == "root:*::0:99999:7:::\ndaemon:*::0:99999:7:::\n"
    assert (members["usr/lib/module.py"].mtime, members["usr/lib/generated"].mtime) == (1_600_000_000, 0)
    assert members["usr/lib/same.py"].islnk()
    assert members["usr/local/bin/python"].linkname == "/usr/bin/python3"
    assert set(members) == {
        *("bin", "dev", "etc", "etc/shadow", "tmp", "usr", "usr/lib", "usr/lib/generated", "usr/lib/module.py"),
        *("usr/lib/same.py", "usr/local/bin/python", "usr/share", "usr/share/doc", "var", "var/log"),
    }


def test_a_base_that_is_there_is_not_made_again(foundation: oci.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("made again"))
    assert base.base_image(oci.Store(), Progress()) == foundation


def test_what_a_killed_run_left_goes_and_the_builders_environment_stays_out(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = machine / "cache/images/work/left/root"
    left.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(base, "ensure", lambda names, _: {names[0]: Tool(names[0], Path("/d"), "1", "PATH")})
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    seen: dict[str, str] = {}

    def run(argv: Sequence[str], *, environment: dict[str, str], **_: object) -> list[str]:
        assert not left.exists()
        root = Path(argv[-2])
        assert stat.S_IMODE(root.stat().st_mode) == 0o755
        (root / "etc").mkdir()
        seen.update(
            {name: value for name, value in environment.items() if name in ("PYTHONDONTWRITEBYTECODE", "https_proxy")}
        )
        return []

    monkeypatch.setattr(process, "run", run)
    image = base.base_image(oci.Store(), Progress())
    assert oci.Store().find(base.NAME, base.key()) == image
    assert seen == {"https_proxy": "http://proxy.example"}
    assert list((machine / "cache/images/work").iterdir()) == []


def test_the_base_without_root_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ProblemError) as caught:
        base.base_image(oci.Store(), Progress())
    assert str(caught.value) == (
        "base image modelway/python:3.11: it needs root: got user id 1000, allowed user id 0; run the command as root, "
        "or where Docker answers, which needs no base image."
    )


@pytest.mark.usefixtures("foundation")
def test_the_list_shows_what_is_made_without_a_registry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_REGISTRY_PORT", "1")
    assert main(["list"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("modelway/python:3.11 ")
    assert line.endswith("registry does not answer")


def test_a_problem_ends_the_command_line_with_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["base"]) == 1
    assert "it needs root" in capsys.readouterr().err
