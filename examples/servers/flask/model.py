"""The model of these examples: an ONNX file with its signature, as `python -m pipeline package` writes them.

The same file in each example, so that each folder stands alone.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from prometheus_client import Counter, Gauge, Histogram

NAME = os.environ.get("MODELWAY_MODEL", "example")
VERSION = os.environ.get("MODELWAY_VERSION", "v1")
# Names and labels as Modelway's own server has them: its Prometheus rules and its rollouts read these.
LABELS = {"model": NAME, "version": VERSION}
REQUESTS = Counter("modelway_requests", "Requests.", [*LABELS, "code"])
SECONDS = Histogram("modelway_request_duration_seconds", "Duration.", [*LABELS, "code"])
INFO = Gauge("modelway_model_info", "1; the model that is served.", [*LABELS, "digest"])
RUNNING = Gauge("modelway_requests_in_flight", "Requests being answered.", [*LABELS]).labels(**LABELS)


class Model:
    """Answers requests. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        content = (folder / "model.onnx").read_bytes()
        signature = json.loads((folder / "signature.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(content, options)
        self._features = [feature["name"] for feature in signature["features"]]
        self._classes = signature.get("classes")
        INFO.labels(**LABELS, digest=hashlib.sha256(content).hexdigest()).set(1)

    def respond(self, body: bytes) -> tuple[int, str]:
        """Status and JSON for the body of one request: `{"feature": number, …}` or `{"rows": [{…}, …]}`."""
        started = time.perf_counter()
        with RUNNING.track_inprogress():
            try:
                status, answer = 200, self._predict(json.loads(body))
            except (KeyError, TypeError, ValueError) as error:
                status, answer = 422, {"error": f"the body is no row of this model: {error}"}
        REQUESTS.labels(**LABELS, code=status).inc()
        SECONDS.labels(**LABELS, code=status).observe(time.perf_counter() - started)
        return status, json.dumps(answer)

    def _predict(self, body: dict[str, Any]) -> dict[str, Any]:
        many = "rows" in body
        rows = [[float(row[name]) for name in self._features] for row in (body["rows"] if many else [body])]
        matrix = np.array(rows, np.float32).reshape(len(rows), len(self._features))
        label, *rest = self._session.run(None, {self._session.get_inputs()[0].name: matrix})
        prediction = [self._classes[i] for i in label] if self._classes else label.ravel().tolist()
        answer = {"prediction": prediction if many else prediction[0], "model": NAME, "version": VERSION}
        if rest:
            answer["probability"] = rest[0].tolist() if many else rest[0][0].tolist()
        return answer


MODEL = Model(Path(os.environ.get("MODEL_FOLDER", "/model")))
