"""The Open Inference Protocol V2 over REST: tensors in JSON or binary, health and metadata.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md, with the binary
tensor data extension that Triton, MLServer and KServe share.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway_server.call import JSON, Call, Endpoint, Reply, check_coding, check_json, read_body
from modelway_server.errors import ApiError
from modelway_server.requests import refusal_of
from modelway_server.runtimes import Output, Rows
from modelway_server.service import Phase, Service
from modelway_server.signature import FLOAT32_MAX, Signature

HEADER_LENGTH = b"inference-header-content-length"
OCTETS = b"application/octet-stream"
MAX_TENSORS = 10_000

DATATYPES = {
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
}  # fmt: skip
"""Types of numbers that an input may have, and their bytes."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RequestInput(_Document):
    """One tensor of a request."""

    name: str
    """The model's input tensor for `[rows, features]`, or a feature for `[rows]` or `[rows, 1]`."""
    shape: Annotated[list[Annotated[int, Field(ge=0, strict=True)]], Field(min_length=1, max_length=2)]
    """Rows, then columns."""
    datatype: str
    """`FP32`, `FP64`, `INT64` or another type of numbers."""
    parameters: dict[str, Any] = {}
    """`binary_data_size`: the values are that many bytes behind the JSON."""
    data: Annotated[list[Number] | list[list[Number]], Field(union_mode="left_to_right")] | None = None
    """The values in row-major order, flat or nested."""


class RequestOutput(_Document):
    """One output that a request asks for."""

    name: str
    """`prediction`, `probability` or `id`."""
    parameters: dict[str, Any] = {}
    """`binary_data`: the values come behind the JSON."""


class InferRequest(_Document):
    """Body of a request for inference."""

    id: Annotated[str, Field(max_length=256)] | None = None
    """Sent back with the answer."""
    parameters: dict[str, Any] = {}
    """`binary_data_output`: all outputs come behind the JSON."""
    inputs: Annotated[list[RequestInput], Field(min_length=1, max_length=MAX_TENSORS)]
    """One tensor with all features, or one tensor per feature."""
    outputs: Annotated[list[RequestOutput], Field(max_length=3)] | None = None
    """Outputs to send, in this order. Defaults to all."""


class ResponseOutput(BaseModel):
    """One tensor of an answer."""

    name: str
    """`prediction`, `probability` (FP32, `[rows, classes]`) or `id` (BYTES)."""
    shape: list[int]
    """Rows, then columns."""
    datatype: str
    """Of `prediction`: BYTES, INT64 or BOOL for classes, FP32 for a regression."""
    data: list[Any]
    """The values in row-major order, flat."""


class InferAnswer(BaseModel):
    """Body of an answer."""

    model_name: str
    """Name of the model."""
    model_version: str
    """Version that answered."""
    id: str | None = None
    """The request's."""
    outputs: list[ResponseOutput]
    """The outputs that were asked for."""


class _Tensors:
    """Between tensors and the model's rows."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self.input = getattr(signature.model, "input", "input")
        self.names = [feature.name for feature in signature.features]
        self.classes = signature.classes
        self._positions = {name: position for position, name in enumerate(self.names)}
        self._max_rows = max_rows

    @property
    def prediction_type(self) -> str:
        """Datatype of the output `prediction`."""
        if self.classes is None:
            return "FP32"
        kinds = {type(label) for label in self.classes}
        return {int: "INT64", bool: "BOOL"}.get(kinds.pop(), "BYTES") if len(kinds) == 1 else "BYTES"

    def rows(self, inputs: Sequence[RequestInput], blob: memoryview) -> Rows:
        """The model's rows; `blob` holds the values of binary tensors, one after another."""
        arrays = []
        for position, tensor in enumerate(inputs):
            size = tensor.parameters.get("binary_data_size")
            if size is None:
                if tensor.data is None:
                    raise _refused(["inputs", position, "data"], "the values are missing")
                arrays.append(self._from_json(position, tensor))
            elif type(size) is not int or not 0 <= size <= len(blob) or tensor.data is not None:
                raise _refused(
                    ["inputs", position, "parameters"], "binary_data_size is not the size of the bytes that follow"
                )
            else:
                arrays.append(self._from_bytes(position, tensor, blob[:size]))
                blob = blob[size:]
        if len(blob):
            raise ApiError(400, f"{len(blob)} bytes follow the last tensor")
        rows = self._joined(inputs, arrays)
        if not 1 <= len(rows) <= self._max_rows:
            raise _refused(["inputs", 0, "shape"], f"should have 1 to {self._max_rows} rows")
        return rows

    def _from_json(self, position: int, tensor: RequestInput) -> NDArray[Any]:
        if tensor.datatype not in DATATYPES:
            raise _refused(["inputs", position, "datatype"], f"should be one of {', '.join(DATATYPES)}")
        try:
            values = np.array(tensor.data, dtype=np.float64)
        except ValueError:
            raise _refused(["inputs", position, "data"], "the rows are not of one length") from None
        return self._shaped(position, tensor, values)

    def _from_bytes(self, position: int, tensor: RequestInput, blob: memoryview) -> NDArray[Any]:
        kind = DATATYPES.get(tensor.datatype)
        if kind is None:
            raise _refused(["inputs", position, "datatype"], f"should be one of {', '.join(DATATYPES)}")
        if len(blob) % np.dtype(kind).itemsize:
            raise _refused(["inputs", position, "parameters"], "binary_data_size is no multiple of the type's size")
        return self._shaped(position, tensor, np.frombuffer(blob, kind))

    def _shaped(self, position: int, tensor: RequestInput, values: NDArray[Any]) -> NDArray[Any]:
        shape = tensor.shape
        if values.size != shape[0] * (shape[1] if len(shape) == 2 else 1):
            raise _refused(["inputs", position, "data"], f"{values.size} values do not fill the shape {shape}")
        # Four bytes hold nothing finite beyond FP32. The comparison is false for NaN as well.
        fits = np.isfinite(values) if values.itemsize <= 4 else np.abs(values) <= FLOAT32_MAX
        if not fits.all():
            raise _refused(["inputs", position, "data"], "every value should be finite and fit FP32")
        return values.reshape(shape).astype(np.float32, copy=False)

    def _joined(self, inputs: Sequence[RequestInput], arrays: Sequence[NDArray[np.float32]]) -> Rows:
        width = len(self.names)
        if len(inputs) == 1 and inputs[0].name == self.input:
            if arrays[0].ndim != 2 or arrays[0].shape[1] != width:
                raise _refused(["inputs", 0, "shape"], f"should be [rows, {width}]")
            return arrays[0]
        rows = np.empty((arrays[0].shape[0], width), dtype=np.float32)
        missing = dict(self._positions)
        for position, (tensor, array) in enumerate(zip(inputs, arrays, strict=True)):
            column = missing.pop(tensor.name, None)
            if column is None:
                raise _refused(["inputs", position, "name"], f"should be {self.input!r} alone, or each feature once")
            if array.shape not in ((len(rows),), (len(rows), 1)):
                raise _refused(
                    ["inputs", position, "shape"], f"should be [{len(rows)}] or [{len(rows)}, 1], as the first input's"
                )
            rows[:, column] = array.reshape(-1)
        if missing:
            raise _refused(["inputs", 0, "name"], f"the feature {next(iter(missing))!r} is missing")
        return rows

    def outputs(self, output: Output, ids: list[str]) -> dict[str, tuple[str, list[int], list[Any]]]:
        """Datatype, shape and flat values by name."""
        count, kind = len(ids), self.prediction_type
        found = {"prediction": (kind, [count], list(output.prediction))}
        if kind == "BYTES":
            found["prediction"] = (kind, [count], [str(label) for label in output.prediction])
        if output.probability is not None:
            width = len(output.probability[0])
            found["probability"] = ("FP32", [count, width], [value for row in output.probability for value in row])
        found["id"] = ("BYTES", [count], list(ids))
        return found


def infer_endpoint(service: Service) -> Endpoint:
    """`POST /v2/models/NAME/infer`."""
    settings = service.settings
    tensors = _Tensors(service.model.signature, settings.max_rows)

    async def infer(call: Call) -> Reply:
        length = call.head.get(HEADER_LENGTH)
        if length is None:
            check_json(call.head)
        else:
            check_coding(call.head)
        body = await read_body(call, settings)
        header = len(body) if length is None else _header_length(length, len(body))
        request = _parse(body[:header])
        asked = _asked(request, list(_outputs_of(tensors)))
        rows = tensors.rows(request.inputs, memoryview(body)[header:])
        output = await service.predict(rows, call.has_company())
        call.rows, call.ids = rows, service.issue_ids(call.head, output.prediction)
        call.prediction = output.prediction[0]
        answer: dict[str, Any] = {"model_name": service.name, "model_version": service.version}
        if request.id is not None:
            answer["id"] = request.id
        return _reply(answer, asked, tensors.outputs(output, call.ids))

    return infer


def metadata_endpoints(service: Service) -> dict[tuple[str, str], Endpoint]:
    """Health and metadata by method and path, for the served model."""
    tensors = _Tensors(service.model.signature, service.settings.max_rows)
    model = f"/v2/models/{service.name}"
    # `version` is that of the protocol: which server this is concerns nobody.
    server = orjson.dumps({"name": "modelway", "version": "2", "extensions": ["binary_tensor_data"]})
    about = orjson.dumps(
        {
            "name": service.name,
            "versions": [service.version],
            "platform": service.model.format,
            "inputs": [{"name": tensors.input, "datatype": "FP32", "shape": [-1, len(tensors.names)]}],
            "outputs": [
                {"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in _outputs_of(tensors).items()
            ],
        }
    )

    def fixed(body: bytes) -> Endpoint:
        async def answer(_call: Call) -> Reply:
            return Reply(body)

        return answer

    async def ready(_call: Call) -> Reply:
        serving = service.phase is Phase.SERVING
        return Reply(orjson.dumps({"name": service.name, "ready": serving}), JSON, 200 if serving else 503)

    paths = {"/v2": fixed(server), "/v2/health/live": fixed(b'{"live":true}'), "/v2/health/ready": ready}
    for path in (model, f"{model}/versions/{service.version}"):
        paths[path], paths[f"{path}/ready"] = fixed(about), ready
    return {("GET", path): endpoint for path, endpoint in paths.items()}


def _outputs_of(tensors: _Tensors) -> dict[str, tuple[str, list[int]]]:
    found = {"prediction": (tensors.prediction_type, [-1])}
    if tensors.classes is not None:
        found["probability"] = ("FP32", [-1, len(tensors.classes)])
    return {**found, "id": ("BYTES", [-1])}


def _header_length(value: bytes, size: int) -> int:
    if not value.isdigit() or len(value) > 10 or int(value) > size:
        raise ApiError(400, "the inference-header-content-length is not the length of the JSON in the body")
    return int(value)


def _parse(header: bytes) -> InferRequest:
    try:
        return InferRequest.model_validate_json(header)
    except ValidationError as error:
        raise refusal_of(error) from None


def _asked(request: InferRequest, names: Sequence[str]) -> dict[str, bool]:
    """Names of the outputs to send, and whether as bytes."""
    binary = request.parameters.get("binary_data_output") is True
    if request.outputs is None:
        return dict.fromkeys(names, binary)
    asked = {}
    for position, output in enumerate(request.outputs):
        if output.name not in names:
            raise _refused(["outputs", position, "name"], f"should be one of {', '.join(names)}")
        if output.parameters.get("classification"):
            raise _refused(["outputs", position, "parameters"], "classification is not possible here")
        asked[output.name] = output.parameters.get("binary_data", binary) is True
    return asked


def _reply(answer: dict[str, Any], asked: dict[str, bool], found: dict[str, tuple[str, list[int], list[Any]]]) -> Reply:
    outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in asked.items():
        kind, shape, values = found[name]
        output: dict[str, Any] = {"name": name, "datatype": kind, "shape": shape}
        if binary:
            blobs.append(_to_bytes(kind, values))
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = values
        outputs.append(output)
    header = orjson.dumps({**answer, "outputs": outputs})
    if not blobs:
        return Reply(header)
    return Reply(b"".join([header, *blobs]), OCTETS, 200, ((HEADER_LENGTH, b"%d" % len(header)),))


def _to_bytes(kind: str, values: list[Any]) -> bytes:
    if kind == "BYTES":
        # Each with its length before it, as four bytes.
        texts = [text.encode() for text in values]
        return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))
    return np.array(values, dtype={"BOOL": "?", **DATATYPES}[kind]).tobytes()


def _refused(where: list[str | int], message: str) -> ApiError:
    loc = ["body", *where]
    sentence = f"{'.'.join(map(str, loc))}: {message}"
    return ApiError(422, sentence, [{"loc": loc, "msg": message, "type": "value_error"}])
