"""Which version a request meets, judged by the precedence that the Gateway API states."""

from typing import Any

import pytest
from modelway.serving.routes import Arm, RouteSpec, route_manifests
from modelway.serving.runtimes import Options, runtime_of


def arm(version: str, weight: int, **options: Any) -> Arm:
    return Arm(version, f"iris-{version}", weight, runtime_of("iris", version, Options(**options)))


def routes(*arms: Arm) -> list[dict[str, Any]]:
    return route_manifests(RouteSpec("iris", "models", "modelway", "gateway", arms, "/iris"))


def met(manifests: list[dict[str, Any]], path: str, version: str | None = None) -> tuple[list[str], str] | None:
    """Services that may answer and the path that they see; None where no route matches.

    The winner is the exact path, then the longest prefix, then the most headers
    (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule).
    """
    found = []
    for rule in [rule for manifest in manifests for rule in manifest["spec"]["rules"]]:
        for match in rule["matches"]:
            kind, value = match["path"]["type"], match["path"]["value"]
            headers = match.get("headers", [])
            fits = path == value or (kind == "PathPrefix" and path.startswith(f"{value}/"))
            if fits and all(header["value"] == version for header in headers):
                found.append(((kind == "Exact", len(value), len(headers)), rule, value))
    if not found:
        return None
    ranks = sorted(rank for rank, _, _ in found)
    assert ranks.count(ranks[-1]) == 1, f"{path} is ambiguous"
    _, rule, value = max(found, key=lambda each: each[0])
    (rewrite,) = [each["urlRewrite"]["path"] for each in rule["filters"] if each["type"] == "URLRewrite"]
    seen = rewrite.get("replaceFullPath") or rewrite["replacePrefixMatch"] + path.removeprefix(value)
    return [ref["name"] for ref in rule["backendRefs"] if ref["weight"]], seen


BOTH = ["iris-v1", "iris-v2"]
V1, V2 = ["iris-v1"], ["iris-v2"]


@pytest.mark.parametrize(
    ("path", "header", "expected"),
    [
        ("/iris/predict", None, (BOTH, "/predict")),
        ("/iris/predict", "v1", (V1, "/predict")),
        ("/iris/v2/predict", None, (V2, "/predict")),
        ("/iris/v2", None, (BOTH, "/v2")),
        ("/iris/v2/health/ready", None, (BOTH, "/v2/health/ready")),
        ("/iris/v2/models/iris/infer", None, (BOTH, "/v2/models/iris/infer")),
        ("/iris/v2/models/iris/infer", "v1", (V1, "/v2/models/iris/infer")),
        ("/iris/v2/v2/models/iris/infer", None, (V2, "/v2/models/iris/infer")),
        ("/iris/v1/v2/models/iris/infer", None, (V1, "/v2/models/iris/infer")),
        ("/iris/v1/v2/models/iris/infer", "v2", (V1, "/v2/models/iris/infer")),
        ("/iris/v1/v2", None, (V1, "/v2")),
        ("/iris/feedback", None, (BOTH, "/feedback")),
        ("/iris/v2/feedback", None, (V2, "/feedback")),
        ("/iris/v2/docs", None, (V2, "/docs")),
        ("/iris/v1/openapi.json", None, (V1, "/openapi.json")),
    ],
)
def test_a_request_meets_the_version_that_it_names(
    path: str, header: str | None, expected: tuple[list[str], str]
) -> None:
    switched = {"feedback": True, "docs": True}
    assert met(routes(arm("v1", 90, **switched), arm("v2", 10, **switched)), path, header) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/iris",
        "/iris/v1",
        "/iris/v2/repository/index",
        "/iris/v2/repository/models/iris/unload",
        "/iris/v2/logging",
        "/iris/v1/v2/systemsharedmemory/region/x/register",
        "/iris/v2/modelsx",
        "/iris/metrics",
        "/iris/v1/healthz",
        "/iris/v1/readyz",
        "/iris/docs",
        "/iris/v1/docs",
        "/iris/feedback",
        "/iris/v3/predict",
        "/other/predict",
    ],
)
@pytest.mark.parametrize("runtime", ["modelway", "mlserver", "triton"])
def test_what_is_not_named_is_not_routed(path: str, runtime: str) -> None:
    assert met(routes(arm("v1", 90, runtime=runtime), arm("v2", 10, runtime=runtime)), path) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/iris/v1/chat/completions", (BOTH, "/v1/chat/completions")),
        ("/iris/v1/models", (BOTH, "/v1/models")),
        ("/iris/v1/v1/completions", (V1, "/v1/completions")),
        ("/iris/v2/v1/completions", (V2, "/v1/completions")),
        ("/iris/predict", None),
        ("/iris/metrics", None),
        ("/iris/health", None),
    ],
)
def test_vllm_is_asked_under_v1_and_nowhere_else(path: str, expected: Any) -> None:
    assert met(routes(arm("v1", 50, runtime="vllm"), arm("v2", 50, runtime="vllm")), path) == expected


def test_the_metrics_of_a_container_with_one_port_are_not_routed() -> None:
    manifests = routes(arm("v1", 100, runtime="container", container={"port": 8080, "admin_port": 8080}))
    paths = [match["path"]["value"] for m in manifests for rule in m["spec"]["rules"] for match in rule["matches"]]
    assert paths == ["/iris/v1/predict", "/iris/predict", "/iris/predict"]


def test_only_paths_that_every_version_has_are_split() -> None:
    manifests = routes(arm("v1", 90), arm("v2", 10, runtime="container"))
    assert met(manifests, "/iris/predict") == (BOTH, "/predict")
    assert met(manifests, "/iris/v2/models/iris/infer") is None
    assert met(manifests, "/iris/v1/v2/models/iris/infer") == (V1, "/v2/models/iris/infer")
    assert met(manifests, "/iris/v2/models/iris/infer", "v1") == (V1, "/v2/models/iris/infer")


def test_the_gateway_says_whether_weight_or_the_client_chose_the_version() -> None:
    *pinned, split = routes(arm("v1", 90), arm("v2", 10))

    def said(manifest: dict[str, Any]) -> set[str]:
        filters = [each for rule in manifest["spec"]["rules"] for each in rule["filters"]]
        return {
            f"{header['name']}: {header['value']}"
            for each in filters
            for header in each.get("requestHeaderModifier", {}).get("set", [])
        }

    assert said(split) == {"x-modelway-assignment: split"}
    assert [said(route) for route in pinned] == [{"x-modelway-assignment: pinned"}] * 2
    rules = [rule for manifest in (*pinned, split) for rule in manifest["spec"]["rules"]]
    assert all(len(rule["filters"]) == 2 for rule in rules)


def test_no_route_has_more_rules_than_the_gateway_api_allows() -> None:
    arms = [arm(f"v{number}", 0, feedback=True, docs=True) for number in range(8)]
    assert max(len(manifest["spec"]["rules"]) for manifest in routes(*arms)) <= 16


def test_a_rule_that_rewrites_a_prefix_has_one_match_as_the_gateway_api_asks() -> None:
    rules = [rule for m in routes(arm("v1", 50), arm("v2", 50, runtime="triton")) for rule in m["spec"]["rules"]]
    prefixes = [rule for rule in rules if rule["filters"][0]["urlRewrite"]["path"]["type"] == "ReplacePrefixMatch"]
    assert prefixes
    assert {len(rule["matches"]) for rule in prefixes} == {1}


def test_a_slow_protocol_has_the_time_that_it_needs() -> None:
    rules = [rule for m in routes(arm("v1", 100, runtime="vllm")) for rule in m["spec"]["rules"]]
    assert {rule["timeouts"]["request"] for rule in rules} == {"300s"}
