"""What a stack says about a cluster and a registry in a cloud, in the terms of the components."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from infra.config_cluster import EksSettings, GkeSettings, Provider
from infra.config_schema import Environment, RegistryProvider, Settings
from infra.misfits import dotted, spelling
from tools.problem import Problem

if TYPE_CHECKING:
    # Importing the components costs seconds, and the command line reads every stack.
    from modelway.cluster.eks.arguments import EksClusterArgs
    from modelway.cluster.findings import Findings
    from modelway.cluster.gke.arguments import GkeClusterArgs
    from modelway.registry.artifact_registry_arguments import ArtifactRegistryArgs
    from modelway.registry.ecr_arguments import EcrRegistryArgs

CLUSTER, REGISTRY = "modelway:cluster", "modelway:registry"
OF_PROVIDER = {
    RegistryProvider.EXISTING: ("url", "username", "password"),
    RegistryProvider.ECR: ("push_role_arn", "repositories", "prefix"),
    RegistryProvider.ARTIFACT_REGISTRY: ("push_service_account", "repository"),
}
"""Keys of `modelway:registry` by its provider."""
BESIDE = {RegistryProvider.ECR: Provider.EKS, RegistryProvider.ARTIFACT_REGISTRY: Provider.GKE}
"""The cluster that pulls from a registry of the stack by its own identity."""
_RENAMED = {"api_access": "access"}
_DNS_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def cluster_name(settings: Settings) -> str:
    """Name of the stack's cluster in its cloud."""
    named = getattr(settings.cluster, "name", None)
    return str(named or "modelway")


def eks_args(settings: Settings) -> "EksClusterArgs":
    """Arguments of `EksCluster`."""
    return cast("EksClusterArgs", _cluster_args(settings))


def gke_args(settings: Settings) -> "GkeClusterArgs":
    """Arguments of `GkeCluster`."""
    return cast("GkeClusterArgs", _cluster_args(settings))


def _cluster_args(settings: Settings) -> dict[str, Any]:
    said = settings.cluster.model_dump(exclude={"provider"}, exclude_none=True)
    args = {**said, "name": cluster_name(settings), "production": settings.environment is Environment.PRODUCTION}
    if "access" in args:
        args["api_access"] = args.pop("access")
    return args


def ecr_args(settings: Settings, cluster: EksSettings) -> "EcrRegistryArgs":
    """Arguments of `EcrRegistry` but the roles that pull."""
    said = settings.registry
    args: dict[str, Any] = {
        "region": cluster.region,
        "repositories": [model.name for model in settings.models] if said.repositories is None else said.repositories,
        "pull_role_arns": [],
        "push_role_arn": said.push_role_arn or "",
        "production": settings.environment is Environment.PRODUCTION,
        "tags": cluster.tags or {},
    }
    if said.prefix is not None:
        args["prefix"] = said.prefix
    return cast("EcrRegistryArgs", args)


def artifact_registry_args(settings: Settings, cluster: GkeSettings) -> "ArtifactRegistryArgs":
    """Arguments of `ArtifactRegistry` but the service accounts that pull."""
    said = settings.registry
    args: dict[str, Any] = {
        "project": cluster.project,
        "region": cluster.region,
        "pull_service_accounts": [],
        "push_service_account": said.push_service_account or "",
        "production": settings.environment is Environment.PRODUCTION,
        "labels": cluster.labels or {},
    }
    if said.repository is not None:
        args["repository"] = said.repository
    return cast("ArtifactRegistryArgs", args)


def record_name(settings: Settings) -> str:
    """DNS name that external-dns keeps for the gateway: that of its address, where the stack names zones."""
    address = (settings.gateway.address or "").partition(":")[0]
    zones = getattr(settings.cluster, "dns_zone_ids", None)
    return address if zones and _DNS_NAME.fullmatch(address) else ""


def cloud_problems(settings: Settings) -> list[Problem]:
    """What the components would refuse in a cloud, and a registry that does not fit its cluster."""
    return [*_cluster_problems(settings), *_registry_problems(settings)]


def of_cluster(findings: "Findings") -> list[Problem]:
    """What a component of a cluster found, in the stack's words."""
    from modelway.cluster.eks import arguments as eks
    from modelway.cluster.gke import arguments as gke

    kinds: tuple[type, ...] = (
        *(eks.EksClusterArgs, eks.EksNetworkArgs, eks.EksNodePoolArgs),
        *(gke.GkeClusterArgs, gke.GkeNetworkArgs, gke.GkeNodePoolArgs, gke.MaintenanceWindowArgs),
    )
    return list(told(CLUSTER, findings, {name for kind in kinds for name in kind.__annotations__}))


def _cluster_problems(settings: Settings) -> Iterator[Problem]:
    if isinstance(settings.cluster, EksSettings):
        from modelway.cluster.eks.validation import check as check_eks

        yield from of_cluster(check_eks("cluster", eks_args(settings)))
    if isinstance(settings.cluster, GkeSettings):
        from modelway.cluster.gke.validation import check as check_gke

        yield from of_cluster(check_gke("cluster", gke_args(settings)))
    if settings.cluster.provider.is_cloud and not settings.gateway.address:
        allowed = "the host under which clients reach the load balancer"
        yield Problem("modelway:gateway.address", "missing", "nothing", allowed, "set address")
    elif settings.cluster.provider.is_cloud and ":" in (settings.gateway.address or ""):
        got, allowed = repr(settings.gateway.address), "a host; the load balancer listens on 80 and 443"
        yield Problem("modelway:gateway.address", "has a port", got, allowed, "remove the port")


def _registry_problems(settings: Settings) -> Iterator[Problem]:
    registry, cluster = settings.registry, settings.cluster
    for provider, keys in OF_PROVIDER.items():
        for key in keys:
            if provider is not registry.provider and getattr(registry, key) is not None:
                name, what = dotted(key), f"a setting of provider {provider}"
                got = f"{name} with provider {registry.provider}"
                yield Problem(f"{REGISTRY}.{name}", what, got, f"only with {provider}", f"remove {name}")
    fitting = BESIDE.get(registry.provider)
    if fitting is not None and cluster.provider is not fitting:
        what = f"no registry for a cluster of provider {cluster.provider}"
        own = [made for made, beside in BESIDE.items() if beside is cluster.provider]
        yield Problem(
            f"{REGISTRY}.provider", what, registry.provider, ", ".join([*own, "existing"]), "change one of them"
        )
        return
    if cluster.provider.is_cloud and registry.provider is RegistryProvider.EXISTING and registry.url is None:
        own_kind = next(made for made, beside in BESIDE.items() if beside is cluster.provider)
        allowed = f"provider {own_kind}, or the url of a registry"
        yield Problem(REGISTRY, "missing for a cluster in a cloud", "nothing", allowed, f"set provider: {own_kind}")
    yield from _made_registry(settings)


def _made_registry(settings: Settings) -> Iterator[Problem]:
    if isinstance(settings.cluster, EksSettings) and settings.registry.provider is RegistryProvider.ECR:
        from modelway.registry.ecr_arguments import EcrRegistryArgs
        from modelway.registry.ecr_arguments import check as check_ecr

        found = check_ecr("registry", ecr_args(settings, settings.cluster))
        yield from told(REGISTRY, found, {*EcrRegistryArgs.__annotations__}, ("region",))
    elif isinstance(settings.cluster, GkeSettings) and settings.registry.provider is RegistryProvider.ARTIFACT_REGISTRY:
        from modelway.registry.artifact_registry_arguments import ArtifactRegistryArgs
        from modelway.registry.artifact_registry_arguments import check as check_artifact_registry

        found = check_artifact_registry("registry", artifact_registry_args(settings, settings.cluster))
        yield from told(REGISTRY, found, {*ArtifactRegistryArgs.__annotations__}, ("region", "project", "labels"))


def told(where: str, findings: "Findings", names: set[str], said: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Findings of a component in the stack's words, less those on arguments that the cluster `said` already."""
    spelled = spelling({*names, *_RENAMED})
    for each in findings.found:
        if each.argument in said:
            continue
        argument, *words = (spelled.sub(_spelled, text) for text in each)
        what, got, allowed, fix = words
        yield Problem(f"{where}.{argument}", what, got, allowed, fix.removesuffix("."))


def _spelled(found: re.Match[str]) -> str:
    return _RENAMED.get(found[0], dotted(found[0]))
