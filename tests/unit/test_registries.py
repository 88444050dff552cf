"""Registries: what each answers, and what they do when they do not."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest

from infra.registries import Registered, RegistryError
from infra.registries.folder import FolderRegistry
from infra.registries.mlflow import MlflowRegistry
from infra.registries.wandb import WandbRegistry
from infra.settings import load
from tools.problem import ProblemError

IMAGE = "registry.example/iris@sha256:" + "a" * 64


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with two models: `iris` in versions 9 and 10, `empty` with none."""
    for version in ("9", "10"):
        (tmp_path / "iris" / version).mkdir(parents=True)
        (tmp_path / "iris" / version / "manifest.json").write_text(version)
    (tmp_path / "iris" / "draft").mkdir()
    (tmp_path / "iris" / "aliases.json").write_text('{"champion": "9", "latest": "10", "lost": "11", "best": "9"}')
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_folder_lists_models_and_the_newest_version_first(shelf: Path) -> None:
    registry = FolderRegistry(str(shelf), None)
    assert registry.label == f"folder file://{shelf}"
    assert registry.names() == ["iris"]
    assert registry.versions("iris") == [
        Registered("iris", "10", ("latest",), f"file://{shelf}/iris/10"),
        Registered("iris", "9", ("best", "champion"), f"file://{shelf}/iris/9"),
    ]
    assert registry.versions("empty") == registry.versions("none") == []


def test_a_folder_resolves_aliases_and_versions_to_where_pods_fetch(shelf: Path) -> None:
    registry = FolderRegistry(str(shelf), "s3://bucket/models/")
    assert registry.find("iris", None, "champion") == registry.find("iris", "9", None)
    found = registry.find("iris", "10", None)
    assert found is not None
    assert found.source == "s3://bucket/models/iris/10"
    assert registry.read(found, "manifest.json") == b"10"
    assert registry.read(found, "none.json") is None
    for name, version, alias in [("iris", "11", None), ("iris", None, "lost"), ("iris", None, "no"), ("no", "1", None)]:
        assert registry.find(name, version, alias) is None


def test_nothing_leads_out_of_the_folder(shelf: Path) -> None:
    registry = FolderRegistry(str(shelf / "iris"), None)
    assert registry.find("..", "iris", None) is None
    inside = Registered("9", "..", (), "")
    assert registry.read(inside, "../../iris/10/manifest.json") is None


def test_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="none: no such file or directory"):
        FolderRegistry(str(tmp_path / "none"), None).names()
    with pytest.raises(RegistryError, match="none: no such folder"):
        FolderRegistry(str(tmp_path / "none"), None).find("iris", "1", None)
    (tmp_path / "iris").mkdir()
    (tmp_path / "iris" / "aliases.json").write_text('{"champion": 3}')
    with pytest.raises(RegistryError, match=r"aliases\.json: no map of aliases to versions"):
        FolderRegistry(str(tmp_path), None).find("iris", None, "champion")


def mlflow(handler: Callable[[httpx.Request], httpx.Response]) -> MlflowRegistry:
    return MlflowRegistry("https://mlflow.example/", httpx.MockTransport(handler))


def test_mlflow_gets_its_own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization", ""))
        return httpx.Response(200, json={"registered_models": [{"name": "iris"}]})

    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    assert mlflow(handler).names() == ["iris"]
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted")
    mlflow(handler).names()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "planted")
    mlflow(handler).names()
    assert seen == ["", "Basic bWU6cGxhbnRlZA==", "Bearer planted"]


def test_mlflow_is_asked_page_by_page() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        token = request.url.params.get("page_token")
        name, rest = ("a", {}) if token == "2" else ("b", {"next_page_token": "2"})
        return httpx.Response(200, json={"registered_models": [{"name": name}], **rest})

    assert mlflow(handler).names() == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (httpx.Response(500, text="oops"), "https://mlflow.example answers 500 (Internal Server Error)"),
        (httpx.Response(403, json={"error_code": "PERMISSION_DENIED"}), "answers 403 (PERMISSION_DENIED)"),
        (httpx.Response(404, text="no such page"), "https://mlflow.example answers 404 (Not Found)"),
        (httpx.Response(200, text="<html>"), "answers registered-models/alias with no JSON; is it an MLflow server?"),
        (None, "https://mlflow.example does not answer (ConnectError)"),
    ],
)
def test_a_server_that_is_not_there_or_is_no_mlflow_says_so(answer: httpx.Response | None, sentence: str) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        if answer is None:
            raise httpx.ConnectError("refused")
        return answer

    with pytest.raises(RegistryError) as caught:
        mlflow(handler).find("iris", None, "champion")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("kept", "fetched"),
    [
        ("s3://bucket/1/model/", "s3://bucket/1/model"),
        ("mlflow-artifacts:/1/a b/model", "https://mlflow.example/api/2.0/mlflow-artifacts/artifacts/1/a%20b/model"),
        ("/srv/mlruns/1/model", "file:///srv/mlruns/1/model"),
        ("dbfs:/1/model", "dbfs:/1/model"),
    ],
)
def test_pods_fetch_where_mlflow_keeps_the_files_or_at_its_proxy(kept: str, fetched: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("get-download-uri"):
            return httpx.Response(200, json={"artifact_uri": kept})
        return httpx.Response(200, json={"model_version": {"name": "iris", "version": "3", "source": "models:/m-1"}})

    found = mlflow(handler).find("iris", "3", None)
    assert found == Registered("iris", "3", (), fetched)


class FakeError(Exception):
    """`wandb.errors.Error`."""


class FakeApi:
    """The part of `wandb.Api` that the adapter uses, by the signatures of wandb 0.31."""

    broken = False

    def __init__(self) -> None:
        refs = {"manifest.json": "s3://bucket/iris/v1/manifest.json", "model.onnx": "s3://bucket/iris/v1/model.onnx"}
        kept = {"manifest.json": None}
        self.iris = {
            version: SimpleNamespace(
                version=version,
                aliases=[version, *aliases],
                qualified_name=f"me/models/iris:{version}",
                manifest=SimpleNamespace(entries={path: SimpleNamespace(ref=ref) for path, ref in entries.items()}),
                get_entry=self._entry,
            )
            for version, aliases, entries in (("v9", [], kept), ("v10", ["latest", "champion"], refs))
        }

    def _entry(self, path: str) -> Any:
        def download(root: str) -> str:
            file = Path(root) / path
            file.write_text("content")
            return str(file)

        return SimpleNamespace(download=download)

    def _named(self, path: str) -> Any:
        prefix, _, name = path.partition(":")
        found = [each for each in self.iris.values() if name in each.aliases]
        return found[0] if prefix == "me/models/iris" and found else None

    def artifact_collections(self, project_name: str, type_name: str) -> list[Any]:
        if self.broken:
            raise FakeError("could not connect\nand more")
        assert (project_name, type_name) == ("me/models", "model")
        return [SimpleNamespace(name="iris"), SimpleNamespace(name="glass")]

    def artifact_collection_exists(self, name: str, type: str) -> bool:  # noqa: A002 - as wandb spells it
        return (name, type) == ("me/models/iris", "model")

    def artifacts(self, type_name: str, name: str) -> list[Any]:
        assert (type_name, name) == ("model", "me/models/iris")
        return list(self.iris.values())

    def artifact_exists(self, name: str, type: str | None = None) -> bool:  # noqa: A002 - as wandb spells it
        return type == "model" and self._named(name) is not None

    def artifact(self, name: str, type: str | None = None) -> Any:  # noqa: A002 - as wandb spells it
        assert type == "model"
        return self._named(name)


@pytest.fixture
def fake_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("wandb")
    vars(module).update(Api=FakeApi, errors=SimpleNamespace(Error=FakeError))
    monkeypatch.setitem(sys.modules, "wandb", module)


@pytest.mark.usefixtures("fake_wandb")
def test_wandb_lists_and_resolves_artifacts_of_type_model() -> None:
    registry = WandbRegistry("me/models")
    newest = Registered("iris", "v10", ("champion", "latest"), "s3://bucket/iris/v1")
    assert registry.names() == ["glass", "iris"]
    assert registry.versions("iris") == [newest, Registered("iris", "v9", (), "wandb-artifact:///me/models/iris:v9")]
    assert registry.versions("none") == []
    assert registry.find("iris", None, "champion") == registry.find("iris", "v10", None) == newest
    assert registry.find("iris", "champion", None) is None
    assert registry.find("iris", None, "no") is None
    assert registry.read(newest, "manifest.json") == b"content"
    assert registry.read(newest, "none") is None


@pytest.mark.usefixtures("fake_wandb")
def test_wandb_that_does_not_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeApi, "broken", True)
    with pytest.raises(RegistryError, match=r"^wandb does not answer \(could not connect\)$"):
        WandbRegistry("me/models").names()


def test_wandb_that_is_not_installed_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ProblemError, match="wandb is not installed: got no package wandb, allowed wandb"):
        WandbRegistry("me/models")


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ({"url": "https://m.example"}, "modelRegistry.kind: missing: got only url, allowed folder, mlflow, wandb; set kind."),
        ({"kind": "mlflow"}, "modelRegistry.url: missing with kind mlflow: got nothing, allowed the address of the server; set"),
        ({"kind": "folder"}, "modelRegistry.path: missing with kind folder: got nothing, allowed a folder; set path."),
        ({"kind": "wandb"}, "modelRegistry.project: missing with kind wandb: got nothing, allowed ENTITY/PROJECT; set"),
        ({"kind": "wandb", "project": "me"}, "modelRegistry.project: no project: got 'me', allowed ENTITY/PROJECT; correct it."),
        (
            {"kind": "mlflow", "url": "https://m.example", "path": "/srv"},
            "modelRegistry.path: not used with kind mlflow: got '/srv', allowed url; remove path.",
        ),
        (
            {"kind": "mlflow", "url": "m.example"},
            "modelRegistry.url: no address for this kind: got 'm.example', allowed http://… or https://…; correct it.",
        ),
        (
            {"kind": "folder", "path": "/srv", "url": "ftp://m.example"},
            "modelRegistry.url: no address for this kind: got 'ftp://m.example', allowed s3://… or gs://… or http://… or https://… or file:///…;",
        ),
        ({"kind": "dvc"}, "modelRegistry.kind: unknown value: got 'dvc', allowed folder, mlflow, wandb; remove or correct it."),
    ],
)  # fmt: skip
def test_a_registry_that_the_config_does_not_describe_is_refused(registry: dict[str, str], expected: str) -> None:
    raw = {
        "modelway:cluster": {"provider": "node"},
        "modelway:models": [{"name": "iris", "versions": [{"name": "v1", "image": IMAGE}]}],
        "modelway:modelRegistry": registry,
    }
    with pytest.raises(ProblemError) as caught:
        load(raw, "test")
    (problem,) = caught.value.problems
    assert expected in str(problem)
