"""Asks a model server by NVIDIA's client, in the client's own environment: `oip_client.py ADDRESS TENSOR`.

Prints what it got as JSON: probabilities and classes by kind of request.
"""

import json
import sys

import numpy as np
import tritonclient.http as client_library  # type: ignore[import-not-found]
from tritonclient.utils import InferenceServerException  # type: ignore[import-not-found]

ROWS = np.array([[1.5, 0.0, -1.0], [0.0, 2.0, 0.5]], dtype=np.float32)
FEATURES = ["mean radius", "model_config", "höhe"]


def main(address: str, tensor: str) -> None:
    """One line of JSON."""
    client = client_library.InferenceServerClient(address)
    found = {
        "live": client.is_server_live(),
        "ready": [client.is_server_ready(), client.is_model_ready("sample"), client.is_model_ready("sample", "v1")],
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("sample", "v1"),
        "answers": {},
    }
    for binary_in in (True, False):
        for binary_out in (True, False):
            one = client_library.InferInput(tensor, list(ROWS.shape), "FP32")
            one.set_data_from_numpy(ROWS, binary_data=binary_in)
            outputs = [
                client_library.InferRequestedOutput(name, binary_data=binary_out)
                for name in ("probability", "prediction", "id")
            ]
            found["answers"][f"{binary_in} {binary_out}"] = _ask(client, [one], outputs)
    columns = []
    for position, name in enumerate(FEATURES):
        column = client_library.InferInput(name, [2, 1], "FP64")
        column.set_data_from_numpy(ROWS[:, position : position + 1].astype(np.float64), binary_data=position > 0)
        columns.append(column)
    found["answers"]["columns"] = _ask(client, columns, None)
    try:
        client.infer("sample", columns[:1])
    except InferenceServerException as error:
        found["refused"] = [error.status(), error.message()]
    print(json.dumps(found))


def _ask(client: object, inputs: list[object], outputs: list[object] | None) -> dict[str, object]:
    answer = client.infer("sample", inputs, outputs=outputs, request_id="mine")  # type: ignore[attr-defined]
    labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("prediction").tolist()]
    return {
        "id": answer.get_response()["id"],
        "prediction": labels,
        "probability": answer.as_numpy("probability").tolist(),
        "ids": len(set(answer.as_numpy("id").tolist())),
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
