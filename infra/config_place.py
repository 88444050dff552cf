"""Rules of the stack config about the cluster and the registry, whatever their provider."""

from collections.abc import Iterator

from infra.config_schema import Environment, Provider, Settings
from tools.problem import Problem

CLUSTER, REGISTRY = "modelway:cluster", "modelway:registry"
WAYS = {"kubeconfig": ("context", "identifier"), "eks": ("region",), "gke": ("project", "region")}
"""How an existing cluster is named, and what may (`kubeconfig`) or must (the others) be said with it."""


def place_problems(settings: Settings, stack: str) -> list[Problem]:
    """Keys that the provider does not read, and what it misses."""
    cluster = settings.existing
    if cluster.provider is Provider.EXISTING:
        return [*_existing(settings), *_registry(settings)]
    return [*_unused(settings), *_production(settings, stack), *_registry(settings)]


def _existing(settings: Settings) -> Iterator[Problem]:
    cluster = settings.existing
    said = [way for way in WAYS if getattr(cluster, way) is not None]
    if not said:
        allowed, fix = "the path of a kubeconfig, or eks or gke with the name of a cluster", "set kubeconfig"
        yield Problem(f"{CLUSTER}.kubeconfig", "missing", "nothing", allowed, fix)
    if len(said) > 1:
        yield Problem(CLUSTER, "several clusters", " and ".join(said), "one of them", "remove the others")
    if said in (["eks"], ["gke"]):
        way = said[0]
        for key in WAYS[way]:
            if getattr(cluster, key) is None:
                yield Problem(f"{CLUSTER}.{key}", f"missing for {way}", "nothing", "a value", f"set {key}")
    known = {key for way in said for key in WAYS[way]}
    for key in ("context", "identifier", "project", "region"):
        if said and key not in known and getattr(cluster, key) is not None:
            owners = [way for way, keys in WAYS.items() if key in keys]
            got = f"{key} with {' and '.join(said)}"
            yield Problem(f"{CLUSTER}.{key}", "not used", got, f"only with {' or '.join(owners)}", f"remove {key}")
    if not settings.gateway.address:
        yield Problem("modelway:gateway.address", "missing", "nothing", "host and port that clients use", "set address")


def _unused(settings: Settings) -> Iterator[Problem]:
    cluster = settings.existing
    keys = ["kubeconfig", "context", "eks", "gke", "region", "project"]
    if cluster.provider is Provider.NODE:
        keys.insert(2, "identifier")
    for key in keys:
        if getattr(cluster, key):
            what, got = f"not used with provider {cluster.provider}", repr(getattr(cluster, key))
            yield Problem(f"{CLUSTER}.{key}", what, got, "only with provider existing", f"remove {key}")


def _production(settings: Settings, stack: str) -> Iterator[Problem]:
    provider = settings.cluster.provider
    if provider.is_local and settings.environment is Environment.PRODUCTION:
        what, fix = "one machine in a production stack", f"change environment or cluster of stack {stack}"
        yield Problem(f"{CLUSTER}.provider", what, str(provider), "a real cluster", fix)


def _registry(settings: Settings) -> Iterator[Problem]:
    registry = settings.registry
    if settings.cluster.provider is Provider.KIND and registry.url:
        what, allowed = "not used with provider kind", "nothing, kind has a registry of its own"
        yield Problem(f"{REGISTRY}.url", what, repr(registry.url), allowed, "remove modelway:registry")
    needed = {"url": registry.url, "username": registry.username, "password": registry.password}
    if registry.username or registry.password:
        for key, value in needed.items():
            if value is None:
                yield Problem(f"{REGISTRY}.{key}", "missing", "nothing", "url, username and password", f"set {key}")
