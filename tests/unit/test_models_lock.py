"""`modelway models`: what the lock pins, what it refuses, and what is said when an alias moved on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra import cli, cli_models, evaluation, registry_lock, registry_resolving
from infra.engine import workspace
from infra.registry_lock import Lock, LockedModel, locked
from infra.settings import load
from pipeline import attestation, signing
from tools.problem import ProblemError

URI = "models:/iris@champion"
IMAGE = "registry.example/server@sha256:" + "a" * 64


class Ground:
    """A checkout with one stack `trial`, and a folder as its registry."""

    def __init__(self, root: Path) -> None:
        self.root, self.shelf, self.stacks = root, root / "shelf", root / "stacks"
        self.shelf.mkdir()
        self.stacks.mkdir()
        self.config(URI)

    def config(self, *uris: str, **changes: Any) -> None:
        versions = [
            {"name": f"v{index}", "model": uri, "weight": 100 if index == 1 else 0}
            for index, uri in enumerate(uris, start=1)
        ]
        config = {
            "modelway:cluster": {"provider": "node"},
            "modelway:images": {"modelServer": IMAGE},
            "modelway:modelRegistry": {"kind": "folder", "path": str(self.shelf)},
            "modelway:models": [{"name": "iris", "versions": versions or [{"name": "v1", "image": IMAGE}]}],
        }
        content = {name: value for name, value in {**config, **changes}.items() if value is not None}
        (self.stacks / "Pulumi.trial.yaml").write_text(json.dumps({"config": content}))

    def register(self, version: str, content: bytes = b"model", **aliases: str) -> str:
        """A version of iris; returns the sha256 of its manifest."""
        folder = self.shelf / "iris" / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(content)
        record = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        manifest = json.dumps({"format": 1, "name": "iris", "files": {"model.onnx": record}}).encode()
        (folder / "manifest.json").write_bytes(manifest)
        (self.shelf / "iris" / "aliases.json").write_text(json.dumps(aliases or {"champion": version}))
        return hashlib.sha256(manifest).hexdigest()

    @property
    def lock(self) -> Path:
        return self.stacks / "models.trial.lock.json"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    made = Ground(tmp_path)
    project = workspace.StackFiles("trial", tmp_path / "Pulumi.yaml", tmp_path / "stacks" / "Pulumi.trial.yaml")
    monkeypatch.setattr(workspace, "stack_files", lambda _name: project)
    for module in (registry_resolving, evaluation):
        monkeypatch.setattr(module, "accepted_dir", lambda: tmp_path / "stacks" / "evaluations")
    return made


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, ["models", *arguments])
    if isinstance(result.exception, ProblemError):
        return 1, result.stdout, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_an_alias_is_pinned_to_version_and_sha256_in_a_file_that_reads_well(ground: Ground) -> None:
    sha256 = ground.register("3")
    assert run("lock", "trial") == (
        0,
        f"{URI}: version 3, sha256 {sha256}\n",
        "models.trial.lock.json is written: commit it.\n",
    )
    size = 5 + (ground.shelf / "iris" / "3" / "manifest.json").stat().st_size
    assert ground.lock.read_text().splitlines() == [
        "{",
        '  "format": 1,',
        '  "models": {',
        '    "models:/iris@champion": {',
        f'      "bytes": {size},',
        f'      "registry": "folder file://{ground.shelf}",',
        f'      "sha256": "{sha256}",',
        f'      "source": "file://{ground.shelf}/iris/3",',
        '      "version": "3"',
        "    }",
        "  }",
        "}",
    ]


def test_the_same_registry_gives_the_same_bytes_in_any_order(ground: Ground) -> None:
    ground.register("2")
    ground.register("3", b"other", champion="3", latest="3")
    ground.config(URI, "models:/iris/2", "models:/iris@latest")
    run("lock", "trial")
    first = ground.lock.read_bytes()
    ground.config("models:/iris@latest", "models:/iris/2", URI)
    assert run("lock", "trial") == (0, "", "models.trial.lock.json is up to date.\n")
    assert ground.lock.read_bytes() == first
    assert list(registry_lock.read(ground.lock).models) == ["models:/iris/2", URI, "models:/iris@latest"]


def test_an_alias_that_moves_on_moves_the_lock_only_when_it_is_asked_to(ground: Ground) -> None:
    ground.register("3")
    run("lock", "trial")
    before = ground.lock.read_text()
    sha256 = ground.register("4", b"newer")
    line = f"{URI}: version 3 to 4, sha256 {sha256}\n"
    assert run("lock", "trial", "--check") == (1, line, "")
    assert ground.lock.read_text() == before
    assert run("lock", "trial")[:2] == (0, line)
    assert run("lock", "trial", "--check") == (0, "", "models.trial.lock.json is up to date.\n")


def test_what_the_config_names_no_more_leaves_the_lock_without_a_registry(ground: Ground) -> None:
    ground.register("3")
    run("lock", "trial")
    ground.config(**{"modelway:modelRegistry": None})
    assert run("lock", "trial")[:2] == (0, f"{URI}: no longer in the config\n")
    assert registry_lock.read(ground.lock) == Lock()


def test_an_alias_that_resolves_to_nothing_is_refused_with_what_there_is(ground: Ground) -> None:
    ground.register("3", latest="3")
    assert run("lock", "trial") == (
        1,
        "",
        f"modelway:models iris.v1.model: resolves to nothing in folder file://{ground.shelf}: got 'models:/iris@champion', "
        "allowed models:/iris@latest, models:/iris/3; set the alias in the registry, or correct the config.",
    )
    ground.config("models:/glass@champion")
    assert "allowed a model that is registered: iris; set" in run("lock", "trial")[2]
    assert not ground.lock.exists()


def test_a_tampered_artifact_is_refused_and_every_one_is_named(ground: Ground) -> None:
    ground.register("3")
    ground.register("4", b"other", champion="3", latest="4")
    ground.config(URI, "models:/iris@latest")
    (ground.shelf / "iris" / "3" / "model.onnx").write_bytes(b"evil")
    (ground.shelf / "iris" / "4" / "model.onnx").unlink()
    _, _, said = run("lock", "trial")
    right, other = (hashlib.sha256(content).hexdigest() for content in (b"model", b"other"))
    evil = hashlib.sha256(b"evil").hexdigest()
    assert said.splitlines() == [
        f"modelway:models iris.v1.model: iris 3 is not the artifact that was packaged: got model.onnx with sha256 {evil}, "
        f"allowed sha256 {right} as manifest.json says; register the packaged artifact as a new version.",
        "modelway:models iris.v2.model: iris 4 is not the artifact that was packaged: got no model.onnx, "
        f"allowed sha256 {other} as manifest.json says; register the packaged artifact as a new version.",
    ]
    assert not ground.lock.exists()


def test_a_version_that_was_replaced_since_it_was_locked_is_refused(ground: Ground) -> None:
    before = ground.register("3")
    run("lock", "trial")
    after = ground.register("3", b"replaced")
    assert run("lock", "trial") == (
        1,
        "",
        f"modelway:models iris.v1.model: iris 3 changed in the registry since it was locked: got sha256 {after}, "
        f"allowed sha256 {before}; find out who changed it; a new model is a new version.",
    )


@pytest.mark.parametrize(
    "manifest", [b"{}", b"not JSON", b'{"files": {"model.onnx": {"sha256": "short", "bytes": 1}}}']
)
def test_a_manifest_that_is_none_is_refused(ground: Ground, manifest: bytes) -> None:
    ground.register("3")
    (ground.shelf / "iris" / "3" / "manifest.json").write_bytes(manifest)
    assert "iris 3 is not the artifact that was packaged: got another manifest.json, allowed" in run("lock", "trial")[2]


def test_a_stack_without_a_registry_and_a_registry_that_is_gone_are_refused(ground: Ground) -> None:
    ground.config(URI, **{"modelway:modelRegistry": None})
    assert run("lock", "trial")[2] == (
        "modelway:modelRegistry: missing: got nothing, allowed a kind with its place: folder, mlflow or wandb; add it as "
        "docs/registries.md says."
    )
    ground.config(URI)
    ground.shelf.rmdir()
    for command in ("lock", "list"):
        _, _, said = run(command, "trial")
        assert said.startswith(f"folder file://{ground.shelf}: cannot be asked: got {ground.shelf}: no such ")
        assert said.endswith("allowed an answer; check modelway:modelRegistry, the network and your credentials.")


def test_the_report_beside_an_artifact_goes_where_preview_looks(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_IMAGES_LOCK", str(tmp_path / "images.lock.json"))
    line = signing.create(tmp_path / "key.pem")
    sha256 = ground.register("3")
    report = {"accepted": True, "reasons": [], "rules": {}, "checks": {}, "held_out_sha256": "b", "champion_sha256": ""}
    envelope = attestation.sign(attestation.statement({"manifest.json": sha256}, report), tmp_path / "key.pem")
    (ground.shelf / "iris" / "3" / attestation.FILE).write_bytes(envelope)
    said = run("lock", "trial")[2]
    assert said.splitlines()[1] == f"stacks/evaluations/{sha256}.dsse.json is written: commit it."
    assert run("lock", "trial")[2] == "models.trial.lock.json is up to date.\n"
    ground.config(URI, **{"modelway:evaluation": {"publicKeys": [line]}})
    settings = cli_models._written("trial")[1]
    assert evaluation.report_problems(settings, {("iris", "v1"): sha256}) == []
    assert len(evaluation.report_problems(settings, {("iris", "v1"): "c" * 64})) == 1


def test_list_shows_versions_aliases_and_what_is_locked(ground: Ground) -> None:
    ground.register("3")
    run("lock", "trial")
    ground.register("4", champion="4", stable="3")
    code, out, _ = run("list", "trial", "--json")
    assert code == 0
    assert [(each["version"], each["aliases"], each["locked"]) for each in json.loads(out)] == [
        ("4", ["champion"], []),
        ("3", ["stable"], [URI]),
    ]
    assert [line.split() for line in run("list", "trial")[1].splitlines()[1:]] == [
        ["iris", "4", "champion"],
        ["iris", "3", "stable", URI],
    ]


def test_preview_says_on_request_which_alias_moved_on(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ground.register("3")
    run("lock", "trial")
    files, settings = cli_models._written("trial")

    class Work:
        pass

    work: Any = Work()
    work.files, work.settings = files, settings

    def said() -> str:
        cli_models.say_moved(work)
        return capsys.readouterr().err

    assert said() == f"No alias of the lock has moved on in folder file://{ground.shelf}.\n"
    ground.register("4")
    assert said() == f"{URI} stands for version 4 now, the lock has 3: `modelway models lock trial` takes it over.\n"
    ground.register("4", latest="4")
    assert said().startswith(f"{URI} stands for nothing any more, the lock has 3: ")
    (ground.shelf / "iris" / "aliases.json").write_text("[]")
    assert "cannot be asked: got " in said()


def test_what_is_not_in_the_lock_or_differs_from_it_is_refused_in_preview() -> None:
    model = LockedModel(version="3", sha256="a" * 64, source="s3://b/iris/3", bytes=1, registry="mlflow")
    lock = Lock(models={URI: model})
    assert locked("where", URI, None, lock, "trial") == locked("where", URI, "a" * 64, lock, "trial") == model
    with pytest.raises(ProblemError) as caught:
        locked("modelway:models iris.v1.model", "models:/iris@latest", None, lock, "trial")
    assert str(caught.value) == (
        "modelway:models iris.v1.model: is not in the models lock: got 'models:/iris@latest', allowed an alias or version "
        "that models.trial.lock.json pins; run `modelway models lock trial`."
    )
    with pytest.raises(ProblemError) as caught:
        locked("modelway:models iris.v1.model", URI, "b" * 64, lock, "trial")
    assert str(caught.value).startswith(
        f"modelway:models iris.v1.model: differs from the models lock: got sha256 {'b' * 64}, allowed sha256 {'a' * 64} "
    )


def test_preview_refuses_an_alias_that_the_lock_of_the_stack_does_not_have() -> None:
    raw = {
        "modelway:cluster": {"provider": "node"},
        "modelway:images": {"modelServer": IMAGE},
        "modelway:models": [{"name": "iris", "versions": [{"name": "v1", "model": URI}]}],
    }
    with pytest.raises(ProblemError) as caught:
        load(raw, "trial")
    assert str(caught.value) == (
        f"modelway:models iris.v1.model: is not in the models lock: got '{URI}', allowed an alias or version that "
        "models.trial.lock.json pins; run `modelway models lock trial`."
    )


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 2, "models": {}}', '{"format": 1, "models": {"models:/a@b": {"version": "1"}}}', "{} {}"],
)
def test_a_file_that_is_no_lock_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "models.trial.lock.json"
    file.write_text(content)
    with pytest.raises(
        ProblemError, match=r"^models\.trial\.lock\.json: no models lock: got .*run `modelway models lock`"
    ):
        registry_lock.read(file)


def test_help_says_what_each_command_does() -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "lock" in out
    assert "list" in out
    for command in ("lock", "list"):
        assert run(command, "--help")[0] == 0
