"""A custom runtime of MLServer for the same ONNX file; runs in MLServer's own environment."""

import os
from pathlib import Path

import onnxruntime  # type: ignore[import-not-found,unused-ignore]
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class OnnxModel(MLModel):  # type: ignore[misc]
    """The model of `BENCH_FOLDER`."""

    async def load(self) -> bool:
        """Open the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(os.environ["BENCH_FOLDER"]) / "onnx" / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(file), options)
        self._input = self._session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request, or a batch of them."""
        labels, probability = self._session.run(None, {self._input: NumpyCodec.decode_input(payload.inputs[0])})
        outputs = [NumpyCodec.encode_output("prediction", labels), NumpyCodec.encode_output("probability", probability)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
