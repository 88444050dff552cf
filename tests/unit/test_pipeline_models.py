"""Tables of several kinds go through train, evaluate and package, and the server then answers as scikit-learn does."""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from modelway_server.app import create_app
from modelway_server.main import create_service
from modelway_server.service import Phase
from modelway_server.settings import load as load_settings
from sklearn import datasets

from pipeline import artifact, data, evaluation, formats, store, training
from pipeline.packaging import Target, write_package
from pipeline.provenance import REFERENCE
from tools.progress import Progress

CASES = {
    "breast-cancer v1": ("classification", "logistic-regression", "onnx"),
    "breast-cancer v2": ("classification", "gradient-boosting", "onnx"),
    "iris": ("classification", "gradient-boosting", "onnx"),
    "wine": ("classification", "logistic-regression", "onnx"),
    "diabetes": ("regression", "linear", "onnx"),
    "diabetes-trees": ("regression", "gradient-boosting", "onnx"),
    "breast-cancer xgboost": ("classification", "xgboost", "xgboost"),
    "wine xgboost": ("classification", "xgboost", "xgboost"),
    "diabetes xgboost": ("regression", "xgboost", "xgboost"),
    "breast-cancer lightgbm": ("classification", "lightgbm", "lightgbm"),
    "wine lightgbm": ("classification", "lightgbm", "lightgbm"),
    "diabetes lightgbm": ("regression", "lightgbm", "lightgbm"),
    "wine skops": ("classification", "hist-gradient-boosting", "skops"),
    "diabetes skops": ("regression", "gradient-boosting", "skops"),
    "wine pickle": ("classification", "logistic-regression", "pickle"),
    "diabetes pickle": ("regression", "gradient-boosting", "pickle"),
}


def table_of(case: str, folder: Path) -> data.Table:
    if case.startswith("breast-cancer"):
        return data.read_example()
    loaders = {"iris": datasets.load_iris, "wine": datasets.load_wine}
    name = case.partition(" ")[0]
    bunch = loaders.get(name, datasets.load_diabetes)(as_frame=True)
    frame = bunch.frame
    if name == "wine":
        frame = frame.assign(target=bunch.target_names[bunch.target])
    file = folder / f"{case}.csv"
    frame.to_csv(file, index=False)
    return data.read(file, "target", CASES[case][0])


@dataclass(frozen=True)
class Trained:
    table: data.Table
    family: str
    format: str
    folder: Path
    model: store.TrainedModel


@pytest.fixture(scope="session", params=list(CASES))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    table, (_, family, model_format) = table_of(request.param, folder), CASES[request.param]
    training.train(table, folder / "model", family)
    return Trained(table, family, model_format, folder / "model", store.load(folder / "model", "--model"))


def package(trained: Trained, folder: Path, model: Path | None = None) -> Path:
    write_package(
        model or trained.folder, Target("sample", "v1", "registry", format=trained.format), folder, Progress()
    )
    return folder


def serve(directory: Path, bodies: list[Any]) -> list[dict[str, Any]]:
    service = create_service(load_settings({"MODELWAY_MODEL_DIR": str(directory), "MODELWAY_ALLOW_PICKLE": "true"}))
    service.phase = Phase.SERVING

    async def ask() -> list[dict[str, Any]]:
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return [(await client.post("/predict", json=body)).json() for body in bodies]

    return asyncio.run(ask())


def test_served_predictions_are_those_of_the_trained_model(trained: Trained, tmp_path: Path) -> None:
    evaluation.evaluate(trained.folder, trained.folder, model_format=trained.format)
    package(trained, tmp_path)
    expected = json.loads((tmp_path / REFERENCE).read_text())
    model = trained.model
    many, *single = serve(tmp_path / "artifact", [{"rows": expected["rows"]}, *expected["rows"][:5]])
    if model.facts.task == "classification":
        assert many["prediction"] == expected["prediction"]
        assert [row["prediction"] for row in single] == expected["prediction"][:5]
        np.testing.assert_allclose(many["probability"], expected["probability"], rtol=0, atol=1e-5)
        assert np.shape(many["probability"]) == (len(model.held_out_rows), len(model.facts.classes or ()))
    else:
        np.testing.assert_allclose(many["prediction"], expected["prediction"], rtol=1e-5)
        assert (expected["probability"], "probability" in many) == (None, False)
        assert [row["prediction"] for row in single] == pytest.approx(many["prediction"][:5], rel=1e-6)
    assert expected["prediction"] == labels(model)


def labels(model: store.TrainedModel) -> list[Any]:
    predicted = model.predict(model.held_out_rows)
    return predicted.tolist() if model.facts.classes is None else [model.facts.classes[int(i)] for i in predicted]


def test_the_same_table_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    training.train(trained.table, tmp_path / "model", trained.family)
    first = package(trained, tmp_path / "first")
    second = package(trained, tmp_path / "second", tmp_path / "model")
    # A skops archive and a pickle hold addresses in memory.
    model_files = [] if trained.format in ("skops", "pickle") else [formats.find(trained.format).file]
    for name in (*model_files, artifact.SIGNATURE, artifact.DRIFT_REFERENCE):
        assert (first / "artifact" / name).read_bytes() == (second / "artifact" / name).read_bytes(), name
    assert (first / REFERENCE).read_bytes() == (second / REFERENCE).read_bytes()


def test_the_manifest_lists_every_file_by_its_digest(trained: Trained, tmp_path: Path) -> None:
    folder = package(trained, tmp_path) / "artifact"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["name"], manifest["version"]) == ("sample", "v1")
    assert sorted(manifest["files"]) == sorted(file.name for file in folder.iterdir() if file.name != "manifest.json")
    for name, record in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert record == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_the_signature_has_the_training_ranges(trained: Trained, tmp_path: Path) -> None:
    folder = package(trained, tmp_path) / "artifact"
    rows = trained.model.training_rows
    signature = json.loads((folder / "signature.json").read_text())
    assert [feature["minimum"] for feature in signature["features"]] == rows.min(axis=0).tolist()
    assert [feature["maximum"] for feature in signature["features"]] == rows.max(axis=0).tolist()
