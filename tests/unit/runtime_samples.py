"""A version of every runtime, with everything that the runtime takes."""

from dataclasses import replace

from modelway.serving.objects import Autoscaling, ServerSpec
from modelway.serving.runtimes import Options, runtime_of

IMAGE = "registry.example/x@sha256:" + "a" * 64
FULL: dict[str, Options] = {
    "modelway": Options(allow_pickle=True, feedback=True, feedback_outcomes=("revenue",), docs=True),
    "container": Options(
        "container",
        {
            "port": 5000,
            "admin_port": 5001,
            "command": ["serve"],
            "args": ["--fast"],
            "env": {"LOG_LEVEL": "info"},
            "secret_files": {"HF_TOKEN_PATH": {"secret": "hub", "key": "token"}},
            "writable_paths": ["/cache"],
            "open_inference": True,
        },
        gpus=1,
    ),
    "mlserver": Options("mlserver", {"env": {"A": "b"}}),
    "triton": Options("triton", {"args": ["--log-verbose=1"]}, gpus=1),
    "vllm": Options("vllm", gpus=2),
}
"""Every runtime with everything that it takes."""


def foreign(name: str) -> ServerSpec:
    """The version whose name is that of its runtime."""
    runtime = replace(runtime_of("iris", name, FULL[name]), feedback_key_secret="k" if name == "modelway" else None)
    own = {"runtime": runtime, "autoscaling": Autoscaling(2, 5)}
    return ServerSpec("iris", name, "modelway-models", IMAGE, "modelway-gateway", "modelway-monitoring", **own)
