"""From a table to a served model: train → evaluate → package. Knows no cluster and no column."""

import os

# ONNX Runtime reports its use to its maker from 1.29 on, unless this is set before it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
