"""An OCI registry that exists already: Docker Hub, a company's own, or the one beside a local cluster."""

import base64
import json
from typing import NotRequired, TypedDict

import pulumi

from modelway._common import Manifest, labels, register, type_token


class ExistingRegistryArgs(TypedDict):
    """Inputs of `ExistingRegistry`."""

    url: str
    """Host of the registry, with a port or a path where it has one: `docker.io`, `127.0.0.1:5000`."""
    namespace: NotRequired[str]
    """Namespace that pulls from it; needed with credentials."""
    username: NotRequired[pulumi.Input[str]]
    """User that may pull. Defaults to none, for a registry that anyone may read."""
    password: NotRequired[pulumi.Input[str]]
    """Password or token of `username`; kept secret."""


class ExistingRegistry(pulumi.ComponentResource):
    """A registry that Modelway did not make, with a pull Secret where it asks for credentials."""

    url: pulumi.Output[str]
    """Host of the registry."""
    push_command: pulumi.Output[str]
    """Command that pushes an image: `docker push HOST/NAME:TAG`."""
    pull_secret: pulumi.Output[str]
    """Name of the Secret that pulls, empty without credentials."""

    def __init__(self, name: str, args: ExistingRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("ExistingRegistry"), name, {}, opts)
        _validate(name, args)
        self.url = pulumi.Output.from_input(args["url"])
        self.push_command = pulumi.Output.from_input(f"docker push {args['url']}/NAME:TAG")
        self.pull_secret = pulumi.Output.from_input("")
        if "username" in args:
            secret_name = f"{name}-pull"
            credentials = pulumi.Output.all(args["username"], args["password"])
            plain: pulumi.Output[str] = credentials.apply(lambda values: docker_config(args["url"], *values))
            config: pulumi.Output[str] = pulumi.Output.secret(plain)
            secret = register(
                f"{name}-pull-secret",
                pull_secret_manifest(secret_name, args["namespace"], config),
                pulumi.ResourceOptions(parent=self),
            )
            self.pull_secret = secret.urn.apply(lambda _: secret_name)
        self.register_outputs({"url": self.url, "pushCommand": self.push_command, "pullSecret": self.pull_secret})


def docker_config(url: str, username: str, password: str) -> str:
    """Content of `.dockerconfigjson`, base64-encoded as Secret data.

    Source: https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
    """
    # Docker Hub's credentials are looked up under this address, whatever the image is called.
    host = "https://index.docker.io/v1/" if url.split("/")[0] == "docker.io" else url.split("/")[0]
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    entry = {"username": username, "password": password, "auth": pair}
    return base64.b64encode(json.dumps({"auths": {host: entry}}).encode()).decode()


def pull_secret_manifest(name: str, namespace: str, config: pulumi.Input[str]) -> Manifest:
    """Secret that kubelets pull with."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name, "registry")},
        "data": {".dockerconfigjson": config},
    }


def _validate(name: str, args: ExistingRegistryArgs) -> None:
    where = f'ExistingRegistry("{name}")'
    if "://" in args["url"]:
        raise ValueError(f"{where}.url: has a scheme: got {args['url']!r}, allowed a host; remove it.")
    if ("username" in args) != ("password" in args):
        missing = "password" if "username" in args else "username"
        raise ValueError(f"{where}.{missing}: missing: got nothing, allowed both or neither; add {missing}.")
    if "username" in args and "namespace" not in args:
        raise ValueError(f"{where}.namespace: missing: got nothing, allowed a namespace; add it.")
