"""Deploys one model version into an existing cluster, from the schema in `components/schema.json`.

A Python program may also `import modelway` and use the classes themselves; this one goes through the component
host, as programs in other languages do.
"""

from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
kubeconfig = Path(config.require("kubeconfig")).expanduser().read_text(encoding="utf-8")
provider = k8s.Provider("cluster", kubeconfig=pulumi.Output.secret(kubeconfig), cluster_identifier="modelway-example")


class Component(pulumi.ComponentResource):
    """A Modelway component that runs in the component host."""

    def __init__(self, kind: str, name: str, inputs: dict[str, object], opts: pulumi.ResourceOptions) -> None:
        super().__init__(f"modelway:index:{kind}", name, inputs, opts, remote=True)


namespace = Component(
    "RestrictedNamespace",
    "example-models",
    {"name": "example-models"},
    pulumi.ResourceOptions(providers=[provider]),
)
server = Component(
    "ModelServer",
    "example-v1",
    {
        "model": "example",
        "version": "v1",
        "namespace": "example-models",
        "image": config.require("image"),
        "replicas": 1,
    },
    pulumi.ResourceOptions(providers=[provider], depends_on=[namespace]),
)
