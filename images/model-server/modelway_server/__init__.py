"""Serves one ONNX model over HTTP: predictions on one port, health and metrics on another."""

import os

__version__ = "0.1.0"

# ONNX Runtime reports its use to its maker from 1.29 on, unless this is set before it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
