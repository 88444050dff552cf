"""The Open Inference Protocol by a client that nobody here wrote: NVIDIA's `tritonclient`, from a registry."""

import json
import math
import subprocess
from pathlib import Path

import pytest
from server_process import running
from server_testing import write_artifact

from tests.environments import environment

CLIENT = ("tritonclient[http]==2.73.0",)
SCRIPT = Path(__file__).with_name("oip_client.py")


def softmax(*values: float) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def test_tritonclient_gets_right_answers_in_json_and_binary(tmp_path: Path) -> None:
    python = environment("tritonclient", *CLIENT) / "bin" / "python"
    with running(write_artifact(tmp_path)) as server:
        command = [str(python), str(SCRIPT), f"127.0.0.1:{server.port}", "features"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["live"] is True
    assert found["ready"] == [True, True, True]
    assert found["server"] == {"name": "modelway", "version": "2", "extensions": ["binary_tensor_data"]}
    assert found["model"] == {
        "name": "sample",
        "versions": ["v1"],
        "platform": "onnx",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [
            {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
            {"name": "probability", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "id", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert set(found["answers"]) == {"True True", "True False", "False True", "False False", "columns"}
    for answer in found["answers"].values():
        assert (answer["id"], answer["prediction"], answer["ids"]) == ("mine", ["benign", "malignant"], 2)
        assert answer["probability"][0] == pytest.approx(softmax(1.5, 0, -1), abs=1e-5)
        assert answer["probability"][1] == pytest.approx(softmax(0, 2, 0.5), abs=1e-5)
    assert found["refused"] == ["422", "body.inputs.0.name: the feature 'model_config' is missing"]
