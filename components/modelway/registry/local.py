"""A registry beside a kind cluster, in Docker on this machine."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_command as command

from modelway._common import as_int, type_token
from modelway.cluster.kind_config import REGISTRY_DIRECTORY

# Pushing an image needs the registry before the cluster exists, so a container that runs already is taken over.
CREATE = f"""set -eu
docker container inspect "$CONTAINER" >/dev/null 2>&1 ||
  docker run --detach --restart always --publish "127.0.0.1:$PORT:5000" --name "$CONTAINER" "$IMAGE"
docker network connect kind "$CONTAINER" 2>/dev/null || docker network inspect kind | grep -q "\\"$CONTAINER\\""
for node in $(kind get nodes --name "$CLUSTER"); do
  docker exec "$node" mkdir -p "{REGISTRY_DIRECTORY}/127.0.0.1:$PORT"
  printf '[host."http://%s:5000"]\\n' "$CONTAINER" |
    docker exec -i "$node" cp /dev/stdin "{REGISTRY_DIRECTORY}/127.0.0.1:$PORT/hosts.toml"
done
"""
DELETE = 'docker rm --force --volumes "$CONTAINER"'


class LocalRegistryArgs(TypedDict):
    """Inputs of `LocalRegistry`."""

    cluster: pulumi.Input[str]
    """Name of the kind cluster that pulls from it."""
    port: NotRequired[int]
    """Port on 127.0.0.1. Defaults to 5000."""
    image: NotRequired[str]
    """Image of the registry. Defaults to `docker.io/library/registry:2`."""


class LocalRegistry(pulumi.ComponentResource):
    """A registry container on 127.0.0.1 that a kind cluster pulls from; needs `kind` and a Docker engine."""

    url: pulumi.Output[str]
    """Host and port of the registry."""
    push_command: pulumi.Output[str]
    """Command that pushes an image."""
    pull_secret: pulumi.Output[str]
    """Always empty: nothing outside this machine reaches the registry."""

    def __init__(self, name: str, args: LocalRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("LocalRegistry"), name, {}, opts)
        port = as_int(args.get("port"), 5000)
        if not 1 <= port <= 65535:
            raise ValueError(f'LocalRegistry("{name}").port: got {port}, allowed 1 to 65535; change it.')
        container = command.local.Command(
            f"{name}-container",
            create=CREATE,
            delete=DELETE,
            environment={
                "CONTAINER": "modelway-registry",
                "PORT": str(port),
                "IMAGE": args.get("image", "docker.io/library/registry:2"),
                "CLUSTER": args["cluster"],
            },
            triggers=[args["cluster"], port],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.url = container.id.apply(lambda _: f"127.0.0.1:{port}")
        self.push_command = pulumi.Output.concat("docker push ", self.url, "/NAME:TAG")
        self.pull_secret = pulumi.Output.from_input("")
        self.register_outputs({"url": self.url, "pushCommand": self.push_command, "pullSecret": self.pull_secret})
