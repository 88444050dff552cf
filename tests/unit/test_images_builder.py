"""Which builder builds, what it is told, and that no secret stands in its arguments."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.images import base, buildah, builder, containers, oci, pip_settings, process
from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import Tool

PLANTED = "planted-token"
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty cache, no Docker, pip behind an index with a password, a folder with a Dockerfile."""
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("MODELWAY_BUILDER", "MODELWAY_BASE_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pip_settings, "pip_values", lambda: {"index-url": f"https://u:{PLANTED}@example.org/simple"})
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def docker(machine: Path, script: str) -> None:
    (machine / "bin").mkdir()
    (machine / "bin/docker").write_text(f"#!/bin/sh\n{script}\n")
    (machine / "bin/docker").chmod(0o755)


def test_docker_builds_where_it_answers_and_buildah_elsewhere(machine: Path) -> None:
    assert builder.builder().name == "buildah"
    docker(machine, "echo 28.0")
    assert builder.builder().name == "docker"


def test_a_docker_client_without_a_daemon_does_not_count(machine: Path) -> None:
    docker(machine, "echo Client; echo Cannot connect >&2; exit 1")
    assert builder.builder().name == "buildah"


def test_the_user_decides_which_builder(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(machine, "echo 28.0")
    monkeypatch.setenv("MODELWAY_BUILDER", "buildah")
    assert builder.builder().name == "buildah"


def test_docker_asked_for_but_silent_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_BUILDER", "docker")
    with pytest.raises(ProblemError) as caught:
        builder.builder()
    assert str(caught.value) == (
        "MODELWAY_BUILDER: Docker is asked for but does not answer: got no answer to `docker info`, allowed a running "
        "Docker daemon; start Docker, or unset MODELWAY_BUILDER to build with buildah."
    )


def test_an_unknown_builder_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_BUILDER", "kaniko")
    with pytest.raises(ProblemError) as caught:
        builder.builder()
    assert str(caught.value) == (
        "MODELWAY_BUILDER: there is no such builder: got 'kaniko', allowed docker, buildah; set it to docker or "
        "buildah, or unset it."
    )


def test_a_folder_without_dockerfile_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        builder.build(tmp_path, "x:1", {}, Progress())
    assert str(caught.value) == (
        f"{tmp_path}/Dockerfile: the Dockerfile is missing: got no such file, allowed a Dockerfile; correct the path."
    )


def test_buildah_without_root_is_one_sentence(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ProblemError) as caught:
        builder.build(machine / "context", "x:1", {}, Progress())
    assert str(caught.value) == (
        "image x:1: it needs root: got user id 1000, allowed user id 0; run the command as root, or start Docker, "
        "which needs none."
    )


class Recorded:
    """Stands for every program that a builder would run."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.pip_conf = ""
        self.answers: dict[str, list[str]] = {}

    def __call__(self, argv: Sequence[str], **_: object) -> list[str]:
        words = [str(word) for word in argv]
        self.commands.append(words)
        for word in words:
            if word.startswith("id=pip.conf,src="):
                self.pip_conf = Path(word.partition("src=")[2]).read_text()
        return next((answer for key, answer in self.answers.items() if key in words), [])


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorder = Recorded()
    monkeypatch.setattr(process, "run", recorder)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(process, "require_space", lambda *_: None)
    tools = {name: Tool(name, Path(f"/tools/{name}"), "1", "PATH") for name in ("buildah", "skopeo")}
    monkeypatch.setattr(buildah, "ensure", lambda names, _: {name: tools[name] for name in names})
    return recorder


def test_buildah_is_told_base_arguments_and_secrets_and_repeatable_time(machine: Path, recorded: Recorded) -> None:
    image = builder.build(machine / "context", "m:v1", {"BASE": "b:1", "NAME": "m"}, Progress())
    assert image == "localhost/m:v1"
    (command,) = recorded.commands
    home = containers.home()
    argv = command[command.index("/tools/buildah") :]
    secret = argv[argv.index("--secret") + 1]
    assert argv == [
        *("/tools/buildah", "--root", f"{home}/storage", "--runroot", f"{home}/run"),
        *("--registries-conf", f"{home}/registries.conf", "bud", "--signature-policy", f"{home}/policy.json"),
        *("--layers", "--timestamp", "0", "--network", "host", "--tag", "localhost/m:v1"),
        *("--file", f"{machine}/context/Dockerfile", "--build-arg", "BASE=b:1", "--build-arg", "NAME=m"),
        *("--secret", secret, f"{machine}/context"),
    ]
    assert PLANTED in recorded.pip_conf
    assert PLANTED not in " ".join(command)


def test_buildahs_own_folders_lie_in_the_cache(machine: Path, recorded: Recorded) -> None:
    builder.build(machine / "context", "m:v1", {"BASE": "b:1"}, Progress())
    (command,) = recorded.commands
    binds = command[command.index("sh", command.index("-c")) + 1 : command.index("--")]
    assert binds == [f"{containers.home()}/var-lib", "/var/lib"]
    assert f'graphroot = "{machine}/cache/images/buildah/storage"' in (containers.home() / "storage.conf").read_text()


def test_the_base_is_imported_once(machine: Path, recorded: Recorded) -> None:
    store = oci.Store()
    layer = store.add_layer([oci.Entry("bin/sh", b"")])
    image = store.add_image(base.NAME, base.key(), [layer], oci.RunConfig(), base.architecture())
    config = store.blobs(image.manifest)[0].digest
    builder.build(machine / "context", "m:v1", {}, Progress())
    images, imported, build = recorded.commands
    # A folder that starts with a dot, as ~/.cache does, is no part of a name that buildah accepts.
    assert imported[-2:] == [f"oci:{store.root}:{base.NAME}", f"containers-storage:localhost/{base.NAME}"]
    assert "images" in images
    assert "bud" in build
    assert f"BASE=localhost/{base.NAME}" in recorded.commands[-1]
    recorded.commands.clear()
    recorded.answers = {"images": ["a warning", config]}
    builder.build(machine / "context", "m:v1", {}, Progress())
    commands = [command[command.index("--registries-conf") + 2] for command in recorded.commands]
    assert commands == ["images", "bud"]


def test_another_base_image_needs_no_debian(machine: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_BASE_IMAGE", "registry.example/python@sha256:1")
    builder.build(machine / "context", "m:v1", {}, Progress())
    (command,) = recorded.commands
    assert "BASE=registry.example/python@sha256:1" in command


def test_docker_is_told_secrets_and_not_their_content(
    machine: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(machine, "echo 28.0")
    monkeypatch.setenv("HTTPS_PROXY", f"http://u:{PLANTED}@proxy.example")
    for name in ("HTTP_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert builder.build(machine / "context", "m:v1", {"BASE": "b:1"}, Progress()) == "m:v1"
    (command,) = recorded.commands
    secret = command[command.index("--secret") + 1]
    assert command == [
        *("docker", "build", "--provenance=false", "--tag", "m:v1", "--file", f"{machine}/context/Dockerfile"),
        *("--build-arg", "SOURCE_DATE_EPOCH=0", "--build-arg", "BASE=b:1", "--build-arg", "HTTPS_PROXY"),
        *("--secret", secret, f"{machine}/context"),
    ]
    assert PLANTED in recorded.pip_conf


def test_docker_keeps_the_base_by_the_digest_it_first_met(machine: Path, recorded: Recorded) -> None:
    docker(machine, "echo 28.0")
    recorded.answers = {"inspect": [json.dumps([f"python@{DIGEST}"])]}
    for _ in range(2):
        builder.build(machine / "context", "m:v1", {}, Progress())
    verbs = [command[1] for command in recorded.commands]
    assert verbs == ["pull", "image", "build", "build"]
    assert f"BASE=python@{DIGEST}" in recorded.commands[-1]


def test_docker_pushes_by_digest(machine: Path, recorded: Recorded) -> None:
    docker(machine, "echo 28.0")
    recorded.answers = {"inspect": [json.dumps([f"other@{DIGEST}", f"127.0.0.1:5000/m@{DIGEST}"])]}
    assert builder.push("m:v1", "127.0.0.1:5000/m:v1", Progress()) == f"127.0.0.1:5000/m@{DIGEST}"
    assert recorded.commands[:2] == [
        ["docker", "tag", "m:v1", "127.0.0.1:5000/m:v1"],
        ["docker", "push", "127.0.0.1:5000/m:v1"],
    ]


def test_docker_without_a_digest_is_one_sentence(machine: Path, recorded: Recorded) -> None:
    docker(machine, "echo 28.0")
    recorded.answers = {"inspect": ["null"]}
    with pytest.raises(ProblemError) as caught:
        builder.push("m:v1", "127.0.0.1:5000/m:v1", Progress())
    assert str(caught.value) == (
        "127.0.0.1:5000/m:v1: Docker states no digest for it: got [], allowed 127.0.0.1:5000/m@sha256:…; push it again."
    )


def test_an_image_that_the_store_has_is_not_exported_again_and_goes_to_a_remote_registry_over_tls(
    recorded: Recorded,
) -> None:
    store = oci.Store()
    image_id = "b" * 64
    store.add_image("localhost/m:v1", image_id, [store.add_layer([oci.Entry("m", b"")])], oci.RunConfig(), "amd64")
    recorded.answers = {"images": [image_id]}
    (containers.home()).mkdir(parents=True)
    (containers.home() / "digest").write_text(DIGEST)
    assert builder.push("localhost/m:v1", "docker.io/me/m:v1", Progress()) == f"docker.io/me/m@{DIGEST}"
    home = containers.home()
    commands = [command[command.index("--") + 1 :] for command in recorded.commands]
    assert commands[0][-5:] == ["--no-trunc", "--format", "{{.ID}}", "--filter", "reference=localhost/m:v1"]
    assert commands[1] == [
        *("/tools/skopeo", "--policy", f"{home}/policy.json", "--tmpdir", str(home / "tmp")),
        *("copy", "--digestfile", f"{containers.home()}/digest", f"oci:{store.root}:localhost/m:v1"),
        "docker://docker.io/me/m:v1",
    ]
    assert len(commands) == 2
