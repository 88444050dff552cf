"""Which version a request meets, judged by the precedence that the Gateway API states."""

import re
from typing import Any

import pytest
from modelway.gateway.policy import Sticky
from modelway.serving.model_service import policy_manifests
from modelway.serving.routes import Arm, RouteSpec, lent, route_manifests, split_route, unknown_sentence
from modelway.serving.runtimes import Options, runtime_of

UNKNOWN: tuple[list[str], str] = ([], "404")
"""What is answered by the gateway itself."""


def arm(version: str, weight: int, shadow: bool = False, **options: Any) -> Arm:
    return Arm(version, f"iris-{version}", weight, runtime_of("iris", version, Options(**options)), shadow)


def spec(*arms: Arm, **more: Any) -> RouteSpec:
    return RouteSpec("iris", "models", "modelway", "gateway", arms, **{"path_prefix": "/iris", **more})


def routes(*arms: Arm, **more: Any) -> list[dict[str, Any]]:
    """The HTTPRoutes only."""
    return [each for each in route_manifests(spec(*arms, **more)) if each["kind"] == "HTTPRoute"]


def met(manifests: list[dict[str, Any]], path: str, version: str | None = None) -> tuple[list[str], str] | None:
    """Services that may answer and the path that they see; None where no route matches.

    The winner is the exact path, then the longest prefix, then the most headers
    (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule), then the most exact ones (Envoy Gateway).
    """
    found = []
    for rule in [rule for manifest in manifests for rule in manifest["spec"]["rules"]]:
        for match in rule["matches"]:
            kind, value = match["path"]["type"], match["path"]["value"]
            headers = match.get("headers", [])
            fits = path == value or (kind == "PathPrefix" and path.startswith(f"{value.rstrip('/')}/"))
            if fits and all(header_fits(header, version) for header in headers):
                exact = [header for header in headers if header["type"] == "Exact"]
                found.append(((kind == "Exact", len(value), len(headers), len(exact)), rule, value))
    if not found:
        return None
    ranks = sorted(rank for rank, _, _ in found)
    assert ranks.count(ranks[-1]) == 1, f"{path} is ambiguous"
    _, rule, value = max(found, key=lambda each: each[0])
    if rule["filters"][0]["type"] == "ExtensionRef":
        return UNKNOWN
    (rewrite,) = [each["urlRewrite"]["path"] for each in rule["filters"] if each["type"] == "URLRewrite"]
    seen = rewrite.get("replaceFullPath") or rewrite["replacePrefixMatch"] + path.removeprefix(value)
    return [ref["name"] for ref in rule["backendRefs"] if ref["weight"]], seen


def header_fits(header: dict[str, str], version: str | None) -> bool:
    assert header["name"] == "x-model-version"
    if version is None:
        return False
    return version == header["value"] if header["type"] == "Exact" else bool(re.fullmatch(header["value"], version))


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
    ],
)
@pytest.mark.parametrize("runtime", ["modelway", "mlserver", "triton"])
def test_what_is_not_named_is_not_routed(path: str, runtime: str) -> None:
    assert met(routes(arm("v1", 90, runtime=runtime), arm("v2", 10, runtime=runtime)), path) == UNKNOWN


@pytest.mark.parametrize("path", ["/other/predict", "/irises/predict", "/"])
def test_what_is_beside_the_model_is_not_answered_in_its_name(path: str) -> None:
    assert met(routes(arm("v1", 90), arm("v2", 10)), path) is None


@pytest.mark.parametrize("path", ["/iris/predict", "/iris/v2", "/iris/v2/models/iris/infer", "/iris/v2/health/ready"])
@pytest.mark.parametrize("version", ["v3", "", "v1,v1", "V1", "split"])
def test_a_header_that_names_no_version_never_meets_the_split(path: str, version: str) -> None:
    assert met(routes(arm("v1", 90), arm("v2", 10)), path, version) == UNKNOWN


def test_a_path_outranks_a_header() -> None:
    assert met(routes(arm("v1", 90), arm("v2", 10)), "/iris/v1/predict", "v9") == (V1, "/predict")


def test_a_model_that_owns_its_host_answers_for_everything_there() -> None:
    manifests = routes(arm("v1", 100), path_prefix="", host="iris.example")
    assert met(manifests, "/predict") == (V1, "/predict")
    assert met(manifests, "/v9/predict") == UNKNOWN
    assert {tuple(manifest["spec"]["hostnames"]) for manifest in manifests} == {("iris.example",)}


def test_the_answer_to_what_is_unknown_lists_versions_and_aliases() -> None:
    arms = (arm("v1", 100), arm("v2", 0), arm("v3", 0, shadow=True))
    start = "nothing is served under this path or version; versions of iris: v1, v2, v3"
    assert unknown_sentence(spec(*arms)) == start
    named = spec(*arms, aliases={"champion": "v1", "latest": "v2"})
    assert unknown_sentence(named) == f"{start}, aliases: champion, latest"
    (answer,) = [each for each in route_manifests(named) if each["kind"] == "HTTPRouteFilter"]
    body = {"type": "Inline", "inline": unknown_sentence(named)}
    assert answer["spec"] == {"directResponse": {"statusCode": 404, "body": body}}


def test_another_gateway_class_gets_standard_objects_only() -> None:
    manifests = route_manifests(spec(arm("v1", 100), gateway_class="other"))
    assert [each["metadata"]["name"] for each in manifests] == ["iris-v1", "iris-split"]
    assert {each["kind"] for each in manifests} == {"HTTPRoute"}
    filters = [each["type"] for m in manifests for rule in m["spec"]["rules"] for each in rule["filters"]]
    assert set(filters) == {"URLRewrite", "RequestHeaderModifier"}


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/iris/champion/predict", None),
        ("/iris/predict", "champion"),
        ("/iris/champion/v2/models/iris/infer", None),
        ("/iris/v2/models/iris/infer", "champion"),
        ("/iris/champion/docs", None),
    ],
)
def test_an_alias_meets_its_version_wherever_the_version_is_met(path: str, header: str | None) -> None:
    arms = (arm("v1", 90, docs=True), arm("v2", 10, docs=True))
    upstream = path.removeprefix("/iris").removeprefix("/champion")
    assert met(routes(*arms, aliases={"champion": "v1"}), path, header) == (V1, upstream)
    assert met(routes(*arms, aliases={"champion": "v2"}), path, header) == (V2, upstream)


def split_rules(*arms: Arm, **more: Any) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = split_route(spec(*arms, **more))["spec"]["rules"]
    return rules


SET_AGAIN = {
    "type": "RequestHeaderModifier",
    "requestHeaderModifier": {"set": [{"name": "x-modelway-assignment", "value": "split"}]},
}


@pytest.mark.parametrize("sticky", [None, Sticky(header="x-user-id")])
def test_every_backend_of_the_split_has_a_filter_and_no_other_backend_has(sticky: Sticky | None) -> None:
    for manifest in routes(arm("v1", 90), arm("v2", 10), arm("v3", 0), sticky=sticky):
        for rule in manifest["spec"]["rules"]:
            refs = rule.get("backendRefs", [])
            split = manifest["metadata"]["name"] == "iris-split"
            assert [ref.get("filters") for ref in refs] == ([[SET_AGAIN]] * 3 if split else [None] * len(refs))


@pytest.mark.parametrize("weights", [(100, 0), (99, 1), (90, 10), (50, 50), (0, 100)])
@pytest.mark.parametrize("sticky", [None, Sticky(cookie="uid")])
def test_a_step_changes_nothing_of_the_split_but_weights(weights: tuple[int, int], sticky: Sticky | None) -> None:
    def without_weights(rules: list[dict[str, Any]]) -> list[tuple[Any, list[dict[str, Any]]]]:
        plain = [[{k: v for k, v in ref.items() if k != "weight"} for ref in rule["backendRefs"]] for rule in rules]
        return [({**rule, "backendRefs": None}, refs) for rule, refs in zip(rules, plain, strict=True)]

    moved = split_rules(arm("v1", weights[0]), arm("v2", weights[1]), sticky=sticky)
    assert without_weights(moved) == without_weights(split_rules(arm("v1", 100), arm("v2", 0), sticky=sticky))
    assert {tuple(ref["weight"] for ref in rule["backendRefs"]) for rule in moved} == {weights}


@pytest.mark.parametrize(
    "weights", [(100, 0), (0, 100), (90, 10), (0, 1, 99), (100, 0, 0), (13, 0, 87), (100, *[0] * 7)]
)
def test_no_place_of_the_split_is_empty_and_every_version_has_its_share(weights: tuple[int, ...]) -> None:
    plain = split_route(spec(*(arm(f"v{number}", weight) for number, weight in enumerate(weights))))
    for before, after in zip(plain["spec"]["rules"], lent(plain)["spec"]["rules"], strict=True):
        shares = dict.fromkeys((ref["name"] for ref in before["backendRefs"]), 0)
        for own, ref in zip(before["backendRefs"], after["backendRefs"], strict=True):
            assert ref["weight"] > 0
            assert ref == {**own, "name": ref["name"], "weight": ref["weight"]}
            assert ref["name"] == own["name"] or own["weight"] == 0
            shares[ref["name"]] += ref["weight"]
        assert shares == {ref["name"]: ref["weight"] for ref in before["backendRefs"]}
        assert {**before, "backendRefs": None} == {**after, "backendRefs": None}


def places(weights: tuple[int, ...]) -> list[str]:
    """Who answers each remainder of the hash."""
    route = lent(split_route(spec(*(arm(f"v{number}", weight) for number, weight in enumerate(weights)))))
    return [ref["name"] for ref in route["spec"]["rules"][0]["backendRefs"] for _ in range(ref["weight"])]


@pytest.mark.parametrize(("before", "after"), [((100, 0), (99, 1)), ((99, 1), (90, 10)), ((50, 50), (0, 100))])
def test_a_step_moves_users_one_way_and_no_more_than_it_must(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    moved = [(old, new) for old, new in zip(places(before), places(after), strict=True) if old != new]
    assert moved == [("iris-v0", "iris-v1")] * (after[1] - before[1])


@pytest.mark.parametrize(
    ("sticky", "hashed"),
    [
        (Sticky(header="x-user-id"), {"type": "Headers", "headers": [{"name": "x-user-id"}]}),
        (Sticky(cookie="uid"), {"type": "Cookie", "cookie": {"name": "uid"}}),
    ],
)
def test_the_key_is_hashed_and_the_idle_timeout_of_the_gateway_is_kept(sticky: Sticky, hashed: Any) -> None:
    policy = policy_manifests(spec(arm("v1", 100), sticky=sticky))["traffic-policy"]["spec"]
    assert policy["loadBalancer"] == {"type": "ConsistentHash", "consistentHash": hashed}
    assert policy["timeout"] == {"http": {"connectionIdleTimeout": "30s"}}
    assert policy_manifests(spec(arm("v1", 100))) == {}


def test_shadows_get_copies_of_predictions_and_no_share() -> None:
    arms = (arm("v1", 90, feedback=True), arm("v2", 0, shadow=True, feedback=True), arm("v3", 10, feedback=True))
    rules = split_rules(*arms)
    assert {tuple(ref["name"] for ref in rule["backendRefs"]) for rule in rules} == {("iris-v1", "iris-v3")}
    copies = {
        rule["matches"][0]["path"]["value"]: [
            each["requestMirror"]["backendRef"]["name"] for each in rule["filters"] if each["type"] == "RequestMirror"
        ]
        for rule in rules
    }
    assert copies == {
        "/iris/predict": ["iris-v2"],
        "/iris/v2": ["iris-v2"],
        "/iris/v2/health": ["iris-v2"],
        "/iris/v2/models": ["iris-v2"],
        # A copy would count the same truth twice.
        "/iris/feedback": [],
    }


def test_a_shadow_is_met_where_it_is_named_and_copied_nowhere_else() -> None:
    manifests = routes(arm("v1", 100), arm("v2", 0, shadow=True))
    assert met(manifests, "/iris/v2/predict") == (V2, "/predict")
    assert met(manifests, "/iris/predict", "v2") == (V2, "/predict")
    assert met(manifests, "/iris/predict") == (V1, "/predict")
    pinned = [m for m in manifests if m["metadata"]["name"] != "iris-split"]
    types = [each["type"] for m in pinned for rule in m["spec"]["rules"] for each in rule["filters"]]
    assert "RequestMirror" not in types


def test_a_shadow_without_a_path_of_the_split_gets_no_copy_of_it_and_takes_it_from_nobody() -> None:
    rules = split_rules(arm("v1", 100), arm("v2", 0, shadow=True, runtime="container"))
    copied = [rule["matches"][0]["path"]["value"] for rule in rules if len(rule["filters"]) == 3]
    assert copied == ["/iris/predict"]
    assert len(rules) == 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/iris/v1/chat/completions", (BOTH, "/v1/chat/completions")),
        ("/iris/v1/models", (BOTH, "/v1/models")),
        ("/iris/v1/v1/completions", (V1, "/v1/completions")),
        ("/iris/v2/v1/completions", (V2, "/v1/completions")),
        ("/iris/predict", UNKNOWN),
        ("/iris/metrics", UNKNOWN),
        ("/iris/health", UNKNOWN),
    ],
)
def test_vllm_is_asked_under_v1_and_nowhere_else(path: str, expected: Any) -> None:
    assert met(routes(arm("v1", 50, runtime="vllm"), arm("v2", 50, runtime="vllm")), path) == expected


def test_the_metrics_of_a_container_with_one_port_are_not_routed() -> None:
    manifests = routes(arm("v1", 100, runtime="container", container={"port": 8080, "admin_port": 8080}))
    paths = [match["path"]["value"] for m in manifests for rule in m["spec"]["rules"] for match in rule["matches"]]
    assert paths == ["/iris/v1/predict", "/iris/predict", "/iris/predict", "/iris", "/iris/predict"]


def test_only_paths_that_every_version_has_are_split() -> None:
    manifests = routes(arm("v1", 90), arm("v2", 10, runtime="container"))
    assert met(manifests, "/iris/predict") == (BOTH, "/predict")
    assert met(manifests, "/iris/v2/models/iris/infer") == UNKNOWN
    assert met(manifests, "/iris/v1/v2/models/iris/infer") == (V1, "/v2/models/iris/infer")
    assert met(manifests, "/iris/v2/models/iris/infer", "v1") == (V1, "/v2/models/iris/infer")


def test_the_gateway_says_whether_weight_or_the_client_chose_the_version() -> None:
    *pinned, split, unknown = routes(arm("v1", 90), arm("v2", 10))

    def said(manifest: dict[str, Any]) -> set[str]:
        filters = [each for rule in manifest["spec"]["rules"] for each in rule["filters"]]
        return {
            f"{header['name']}: {header['value']}"
            for each in filters
            for header in each.get("requestHeaderModifier", {}).get("set", [])
        }

    assert said(split) == {"x-modelway-assignment: split"}
    assert [said(route) for route in pinned] == [{"x-modelway-assignment: pinned"}] * 2
    assert "backendRefs" not in unknown["spec"]["rules"][0]
    rules = [rule for manifest in (*pinned, split) for rule in manifest["spec"]["rules"]]
    assert all(len(rule["filters"]) == 2 for rule in rules)


def test_no_route_has_more_rules_than_the_gateway_api_allows() -> None:
    arms = [arm(f"v{number}", 0, feedback=True, docs=True) for number in range(8)]
    aliases = {f"name-{number}": "v0" for number in range(8)}
    assert max(len(manifest["spec"]["rules"]) for manifest in routes(*arms, aliases=aliases)) <= 16


def test_a_rule_that_rewrites_a_prefix_has_one_match_as_the_gateway_api_asks() -> None:
    rules = [rule for m in routes(arm("v1", 50), arm("v2", 50, runtime="triton")) for rule in m["spec"]["rules"]]
    rewrites = [rule for rule in rules if rule["filters"][0]["type"] == "URLRewrite"]
    prefixes = [rule for rule in rewrites if rule["filters"][0]["urlRewrite"]["path"]["type"] == "ReplacePrefixMatch"]
    assert prefixes
    assert {len(rule["matches"]) for rule in prefixes} == {1}


def test_a_slow_protocol_has_the_time_that_it_needs() -> None:
    rules = [rule for m in routes(arm("v1", 100, runtime="vllm")) for rule in m["spec"]["rules"]]
    assert {rule["timeouts"]["request"] for rule in rules if "timeouts" in rule} == {"300s"}
