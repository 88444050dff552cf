"""Feedback and drift over real processes: replicas that end, several workers, gauges that are shown once."""

import hashlib
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from server_process import Running, running
from server_testing import CLASSES, NAMES, write_artifact

ROW = dict(zip(NAMES, (2.0, 0.0, 0.0), strict=True))
ROWS = 600


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classifier with a reference of rows as they are below: the first feature 2, the others 0."""
    folder = write_artifact(tmp_path_factory.mktemp("watched"))
    bins = {"edges": [-1.0, 1.0], "missing": 0}
    features = {name: bins | {"counts": [0, 0, 100] if name == NAMES[0] else [0, 100, 0]} for name in NAMES}
    reference = {
        "format": 1,
        "features": features,
        "prediction": {"classes": CLASSES, "counts": [100, 0, 0, 0]},
    }
    content = json.dumps(reference).encode()
    (folder / "reference.json").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["reference.json"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("secret") / "keys"
    file.write_text(bytes(range(32)).hex() + "\n")
    return str(file)


def post(server: Running, path: str, body: object) -> httpx.Response:
    """Answer over a connection of its own, so by any of the workers."""
    return httpx.post(server.url + path, json=body, trust_env=False)


def samples(server: Running, name: str) -> list[tuple[dict[str, str], float]]:
    """Samples that are not zero, without the labels `model` and `version`."""
    return [
        ({key: value for key, value in sample.labels.items() if key not in ("model", "version")}, sample.value)
        for family in text_string_to_metric_families(server.metrics())
        for sample in family.samples
        if sample.name == name and sample.value
    ]


def test_another_replica_scores_a_prediction_whose_replica_was_killed(artifact: Path, key_file: str) -> None:
    settings = {"MODELWAY_FEEDBACK_KEY_FILE": key_file, "MODELWAY_FEEDBACK_OUTCOMES": "clicked"}
    with running(artifact, **settings) as other:
        with running(artifact, **settings) as first:
            answer = post(first, "/predict", {"rows": [ROW, ROW]}).json()
            first.process.send_signal(signal.SIGKILL)
            first.process.wait()
        assert answer["prediction"] == ["benign", "benign"]
        one, two = answer["id"]
        scored = post(other, "/feedback", {"id": one, "truth": "benign", "outcome": {"clicked": 1}})
        assert (scored.status_code, scored.json()) == (200, {"accepted": 1, "refused": []})
        assert post(other, "/feedback", {"id": one, "truth": "benign"}).status_code == 409
        assert post(other, "/feedback", {"id": two, "truth": "malignant"}).status_code == 200
        assert post(other, "/feedback", {"id": two[::-1], "truth": "benign"}).status_code == 403
        assert samples(other, "modelway_feedback_truth_total") == [
            ({"prediction": "benign", "truth": "benign", "correct": "true"}, 1),
            ({"prediction": "benign", "truth": "malignant", "correct": "false"}, 1),
        ]
        assert samples(other, "modelway_feedback_outcome_sum") == [({"name": "clicked", "sign": "positive"}, 1)]
        results = {labels["result"]: value for labels, value in samples(other, "modelway_feedback_total")}
        assert results == {"accepted": 2, "repeated": 1, "forged": 1}


def test_without_a_key_file_there_is_no_feedback_and_ids_are_plain(artifact: Path) -> None:
    with running(artifact) as server:
        assert len(post(server, "/predict", ROW).json()["id"]) == 32
        assert post(server, "/feedback", {"id": "a", "truth": "benign"}).status_code == 404
        assert "modelway_feedback" not in server.metrics()


def test_workers_of_one_pod_accept_a_prediction_once(artifact: Path, key_file: str) -> None:
    with running(artifact, MODELWAY_FEEDBACK_KEY_FILE=key_file, MODELWAY_WORKERS="2") as server:
        one = post(server, "/predict", ROW).json()["id"]
        codes = Counter(post(server, "/feedback", {"id": one, "truth": "benign"}).status_code for _ in range(30))
        assert codes == {200: 1, 409: 29}
        results = {labels["result"]: value for labels, value in samples(server, "modelway_feedback_total")}
        assert results == {"accepted": 1, "repeated": 29}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_drift_of_all_workers_is_shown_once(artifact: Path, workers: str) -> None:
    turned: dict[str, Any] = ROW | {NAMES[0]: 0.0, NAMES[1]: 2.0}
    with running(artifact, MODELWAY_WORKERS=workers) as server:
        for _ in range(ROWS // 50):
            assert post(server, "/predict", {"rows": [turned] * 50}).status_code == 200

        server.wait_for(f'modelway_prediction_bin_total{{bin="malignant",model="sample",version="v1"}} {ROWS}.0')
        bins = {(labels["feature"], labels["bin"]): n for labels, n in samples(server, "modelway_feature_bin_total")}
        assert bins == {(NAMES[0], "01"): ROWS, (NAMES[1], "02"): ROWS, (NAMES[2], "01"): ROWS}
        drift = samples(server, "modelway_feature_drift_ks")
        assert drift == [({"feature": NAMES[0]}, 1.0), ({"feature": NAMES[1]}, 1.0)]
        shown = samples(server, "modelway_prediction_drift_psi")
        assert len(shown) == 1
        assert shown[0][1] > 0.25
