"""What the server is compared with: the application of the usual tutorial, twice, and one that does nothing."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, create_model

FOLDER = Path(os.environ["BENCH_FOLDER"])
NAMES = (FOLDER / "names.txt").read_text().splitlines()
CLASSES = ["benign", "malignant"]

Row: type[BaseModel] = create_model(
    "Row",
    **{f"f{index}": (float, ...) for index in range(len(NAMES))},  # type: ignore[call-overload]
)
"""Names without spaces, so that they are attributes as in a tutorial."""


class Answer(BaseModel):
    """Body of the answer."""

    prediction: str
    probability: list[float]


def fastapi_async() -> FastAPI:
    """`async def` and ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(FOLDER / "onnx" / "model.onnx"), options)
    name = session.get_inputs()[0].name
    app = FastAPI()

    @app.post("/predict", response_model=Answer)
    async def predict(row: Row) -> Any:  # type: ignore[valid-type]
        values = np.array([list(row.__dict__.values())], dtype=np.float32)
        labels, probability = session.run(None, {name: values})
        return Answer(prediction=CLASSES[labels[0]], probability=probability[0].tolist())

    return app


def fastapi_def() -> FastAPI:
    """`def` and scikit-learn from a joblib file."""
    import joblib  # type: ignore[import-untyped]

    model = joblib.load(FOLDER / "model.joblib")
    app = FastAPI()

    @app.post("/predict", response_model=Answer)
    def predict(row: Row) -> Any:  # type: ignore[valid-type]
        probability = model.predict_proba(np.array([list(row.__dict__.values())], dtype=np.float32))
        return Answer(prediction=CLASSES[int(probability[0].argmax())], probability=probability[0].tolist())

    return app


def nothing() -> Any:
    """The ceiling: uvicorn with an application that reads nothing and computes nothing."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app
