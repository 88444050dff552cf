"""What a model may not say about its routes, refused with one sentence by the stack and by the component."""

from typing import Any

import pytest
from modelway.serving.routes_args import route_spec
from pydantic.alias_generators import to_camel

from infra.routes import route_args, weight_of
from infra.settings import load
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
PLAIN = [{"name": "v1", "weight": 100}, {"name": "v2", "weight": 0}]
DARK = [{"name": "v1"}, {"name": "v2", "shadow": True, "weight": 5}]
LONG = "a" * 60
RESERVED = "docs, experiment, feedback, judge, models, predict, split, unknown"


def stack(versions: Any, gateway: Any = None, **model: Any) -> dict[str, Any]:
    entries = [{"image": DIGEST, **version} for version in versions]
    return {
        "modelway:cluster": {"provider": "node"},
        "modelway:gateway": gateway or {},
        "modelway:models": [{"name": "iris", "versions": entries, **model}],
    }


def component(versions: Any, **model: Any) -> Any:
    entries = [{"image": DIGEST, **version} for version in versions]
    return {"versions": entries, "namespace": "models", "gateway_url": "http://g", **model}


CASES: list[tuple[Any, dict[str, Any], str, str]] = [
    (
        DARK,
        {},
        "modelway:models iris.v2.weight: set together with shadow: got 5, allowed one of the two; remove weight, or "
        "shadow.",
        'ModelService("iris").versions v2.weight: set together with shadow: got 5, allowed one of the two; remove '
        "weight, or shadow.",
    ),
    (
        [{"name": "v1", "shadow": True}],
        {},
        "modelway:models iris.versions: nobody answers: got shadows only, v1, allowed one version that is no shadow; "
        "remove shadow of one.",
        'ModelService("iris").versions: nobody answers: got shadows only, v1, allowed one version that is no shadow; '
        "remove shadow of one.",
    ),
    (
        PLAIN,
        {"aliases": {"champion": "v9"}},
        "modelway:models iris.aliases: names no version: got 'champion: v9', allowed v1, v2; name one of these.",
        "ModelService(\"iris\").aliases: names no version: got 'champion: v9', allowed v1, v2; name one of these.",
    ),
    (
        PLAIN,
        {"aliases": {"latest": "champion", "champion": "v1"}},
        "modelway:models iris.aliases: names no version: got 'latest: champion', allowed v1, v2; name one of these.",
        "ModelService(\"iris\").aliases: names no version: got 'latest: champion', allowed v1, v2; name one of these.",
    ),
    (
        PLAIN,
        {"aliases": {"v2": "v1"}},
        "modelway:models iris.aliases: is a version already: got 'v2', allowed a name of its own; rename the alias.",
        "ModelService(\"iris\").aliases: is a version already: got 'v2', allowed a name of its own; rename the alias.",
    ),
    (
        PLAIN,
        {"aliases": {f"name-{number}": "v1" for number in range(9)}},
        "modelway:models iris.aliases: too many: got 9, allowed at most 8; remove some.",
        'ModelService("iris").aliases: too many: got 9, allowed at most 8; remove some.',
    ),
    (
        PLAIN,
        {"aliases": {LONG: "v1"}},
        f"modelway:models iris.aliases {LONG}: names too long together: got 65 characters, allowed at most 63 for "
        "MODEL-ALIAS; shorten one of them.",
        f"ModelService(\"iris\").aliases name: not a DNS label: got 'iris-{LONG}', allowed lower-case letters, digits "
        "and '-', a letter first, no '-' last, at most 63 characters; rename it.",
    ),
    (
        PLAIN,
        {"aliases": {"split": "v1"}},
        "modelway:models[0].aliases.split: reserved name: got 'split', allowed any DNS label but "
        f"{RESERVED}; rename it.",
        f"ModelService(\"iris\").aliases name: reserved: got 'split', allowed any DNS label but {RESERVED}; rename the "
        "alias.",
    ),
    (
        PLAIN,
        {"sticky": {}},
        "modelway:models iris.sticky: not one key: got nothing, allowed header or cookie; set exactly one of them.",
        'ModelService("iris").sticky: not one key: got nothing, allowed header or cookie; set exactly one of them.',
    ),
    (
        PLAIN,
        {"sticky": {"header": "x-user-id", "cookie": "uid"}},
        "modelway:models iris.sticky: not one key: got header and cookie, allowed header or cookie; set exactly one of "
        "them.",
        'ModelService("iris").sticky: not one key: got header and cookie, allowed header or cookie; set exactly one of '
        "them.",
    ),
    (
        PLAIN,
        {"sticky": {"header": "x user"}},
        "modelway:models iris.sticky.header: no name of a header: got 'x user', allowed letters, digits and '-', at "
        "most 64; correct it.",
        "ModelService(\"iris\").sticky.header: no name of a header: got 'x user', allowed letters, digits and '-', at "
        "most 64; correct it.",
    ),
    (
        PLAIN,
        {"sticky": {"header": "X-Model-Version"}},
        "modelway:models iris.sticky.header: names no user, since it pins a version: got 'X-Model-Version', allowed a "
        "header that names the same user each time; name another header.",
        "ModelService(\"iris\").sticky.header: names no user, since it pins a version: got 'X-Model-Version', allowed a "
        "header that names the same user each time; name another header.",
    ),
    (
        PLAIN,
        {"sticky": {"cookie": "user id"}},
        "modelway:models iris.sticky.cookie: no name of a cookie: got 'user id', allowed letters, digits, '_', '.' and "
        "'-', at most 64; correct it.",
        "ModelService(\"iris\").sticky.cookie: no name of a cookie: got 'user id', allowed letters, digits, '_', '.' "
        "and '-', at most 64; correct it.",
    ),
]


@pytest.mark.parametrize(("versions", "model", "sentence", "said_by_component"), CASES)
def test_wrong_routes_are_refused_with_one_sentence(
    versions: Any, model: dict[str, Any], sentence: str, said_by_component: str
) -> None:
    with pytest.raises(ProblemError) as refused:
        load(stack(versions, **model), "test")
    assert [str(problem) for problem in refused.value.problems] == [sentence]
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        route_spec("iris", component(versions, **model))
    assert str(caught.value) == said_by_component


ONE = [{"name": "v1"}]
INGRESS = {"class_name": "nginx", "namespace": "ingress-nginx"}
INGRESS_CASES: list[tuple[Any, dict[str, Any], str]] = [
    (PLAIN, {}, "versions: Ingress has one server for a path: got v1, v2, allowed one version; keep one version"),
    (ONE, {"aliases": {"champion": "v1"}}, "aliases: not known to Ingress: got aliases, allowed only without ingress"),
    (ONE, {"docs": True}, "docs: not known to Ingress: got docs, allowed only without ingress; remove docs"),
    (ONE, {"limits": {"timeout_seconds": 5}}, "limits: not known to Ingress: got limits, allowed only without ingress"),
    (ONE, {"access": "internal"}, "access: not known to Ingress: got internal, allowed public; change access"),
    (ONE, {"host": None}, "host: missing with ingress: got nothing, allowed a host of its own; set host"),
    (ONE, {"path_prefix": "/iris"}, "path_prefix: Ingress rewrites no path: got '/iris', allowed '/'; set path_prefix"),
    (
        [{"name": "v1", "runtime": "container", "container": {"predict_path": "/invocations"}}],
        {},
        "versions: Ingress rewrites no path: got /predict as /invocations, allowed one path for both; let the server",
    ),
]


@pytest.mark.parametrize(("versions", "changes", "sentence"), INGRESS_CASES)
def test_what_a_plain_ingress_cannot_say_is_refused(versions: Any, changes: dict[str, Any], sentence: str) -> None:
    said = {"ingress": INGRESS, "host": "iris.example", "path_prefix": "/", **changes}
    said = {name: value for name, value in said.items() if value is not None}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        route_spec("iris", component(versions, **said))
    assert str(caught.value).startswith(f'ModelService("iris").{sentence}')
    spelled = {to_camel(name): camel(value) for name, value in said.items()}
    raw = [{name: camel(value) for name, value in version.items()} for version in versions]
    with pytest.raises(ProblemError) as refused:
        load(stack(raw, **spelled), "test")
    found = [str(problem) for problem in refused.value.problems]
    wanted = sentence.replace("path_prefix", "pathPrefix").replace("predict_path", "predictPath")
    assert [each for each in found if each.startswith(f"modelway:models iris.{wanted}")] != []


def camel(value: Any) -> Any:
    return {to_camel(name): each for name, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["gateway_class", "gateway_name"])
def test_two_controllers_for_one_route_are_refused(name: str) -> None:
    both = {"ingress": INGRESS, "host": "iris.example", "path_prefix": "/", name: "modelway"}
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        route_spec("iris", component(ONE, **both))
    assert str(caught.value) == (
        f'ModelService("iris").{name}: two controllers for one route: got {name} and ingress, allowed one of the two; '
        f"remove {name}, or remove ingress."
    )


def test_a_key_that_the_gateway_takes_away_is_no_users_key() -> None:
    auth = {"access": "keyed", "auth": {"header": "x-team-key"}, "sticky": {"header": "X-Team-Key"}}
    with pytest.raises(ValueError, match="names no user, since the gateway takes it away, and keys are replaced"):
        route_spec("iris", component(PLAIN, **auth))
    gateway = {"auth": {"header": "x-team-key"}}
    with pytest.raises(ProblemError, match=r"iris\.sticky\.header: names no user, since the gateway takes it away"):
        load(stack(PLAIN, gateway, access="keyed", sticky={"header": "x-team-key"}), "test")


def test_another_gateway_class_knows_no_sticky_users() -> None:
    sentence = "sticky: not known to gateway class other: got a key, allowed only with class modelway; remove sticky."
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        route_spec("iris", component(PLAIN, gateway_class="other", sticky={"cookie": "uid"}))
    assert str(caught.value) == f'ModelService("iris").{sentence}'
    with pytest.raises(ProblemError) as refused:
        load(stack(PLAIN, {"className": "other"}, sticky={"cookie": "uid"}), "test")
    assert [str(problem) for problem in refused.value.problems] == [f"modelway:models iris.{sentence}"]


def test_an_alias_may_not_take_the_name_of_another_models_objects() -> None:
    raw = stack(PLAIN, aliases={"b-v1": "v1"})
    raw["modelway:models"].append({"name": "iris-b", "versions": [{"name": "v1", "image": DIGEST}]})
    with pytest.raises(ProblemError) as refused:
        load(raw, "test")
    assert [str(problem) for problem in refused.value.problems] == [
        "modelway:models iris-b: two objects of one name: got iris-b-v1 of iris and of iris-b, allowed different "
        "MODEL-VERSION; rename one model or version."
    ]


def test_weights_are_those_of_versions_that_are_no_shadows() -> None:
    settings = load(stack([{"name": "v1"}, {"name": "v2", "shadow": True}]), "test")
    (model,) = settings.models
    assert [weight_of(model, version) for version in model.versions] == [100, 0]
    spec = route_spec("iris", component([{"name": "v1"}, {"name": "v2", "shadow": True}]))
    assert [(arm.version, arm.weight, arm.shadow) for arm in spec.arms] == [("v1", 100, False), ("v2", 0, True)]


def test_the_component_is_told_what_the_stack_says() -> None:
    said = {"sticky": {"cookie": "uid"}, "aliases": {"champion": "v1"}}
    settings = load(stack(PLAIN, **said), "test")
    assert route_args(settings, settings.models[0]) == {**said, "gateway_class": "modelway"}
    plain = load(stack(PLAIN), "test")
    assert route_args(plain, plain.models[0]) == {"gateway_class": "modelway"}
