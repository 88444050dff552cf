"""The edge on the real gateway: whatever serves the model, strangers meet the same answers."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.cluster import edge
from tests.cluster.edge import INSIDE, OUTSIDE, SERVERS, Issuer, assert_error, until, write_keys
from tests.cluster.load import Load
from tests.cluster.stack import Stack

pytestmark = pytest.mark.cluster

KEY = {**INSIDE, "x-api-key": "planted-new"}
OTHER = {**INSIDE, "x-api-key": "planted-other"}
ISSUER, STRANGER = Issuer(), Issuer()
PROBE = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"content-type": "application/json"})
with urllib.request.urlopen(request, timeout=20) as answer: print(json.load(answer)["version"])
"""


@pytest.fixture(scope="module")
def model(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The model `guarded`; afterwards the stack is as it was."""
    yield edge.guarded_model(stack, tmp_path_factory.mktemp("servers"))
    stack.modelway("up", "node")


@pytest.fixture(scope="module")
def row(stack: Stack) -> dict[str, Any]:
    """A row that every server answers."""
    content: dict[str, Any] = stack.reference("v1")["rows"][0]
    return content


@pytest.fixture(scope="module")
def keyed(stack: Stack, model: dict[str, Any], row: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the model with two clients, one of which has a second key; an internal model is beside it."""
    inside = {
        "name": "inside",
        "access": "internal",
        "versions": [{"name": "v1", "image": stack.lock()["breast-cancer:v1"], "replicas": 1}],
    }
    project = tmp_path_factory.mktemp("keys") / "project"
    split = stack.up_with(model, project, inside, gateway={**edge.GATEWAY, "auth": {}})[0]
    write_keys(stack, acme_1="planted-old", acme_2="planted-new", other_1="planted-other")
    base = split.removesuffix("/predict")
    for key in ("planted-old", "planted-new", "planted-other"):
        until(f"{base}/own/predict", row, {**INSIDE, "x-api-key": key}, 200)
    return base


@pytest.mark.parametrize("server", SERVERS)
def test_only_a_key_opens(keyed: str, row: Any, server: str) -> None:
    def ask(**headers: str) -> httpx.Response:
        return httpx.post(f"{keyed}/{server}/predict", json=row, headers={**INSIDE, **headers}, trust_env=False)

    assert_error(ask(), 401)
    assert_error(ask(**{"x-api-key": "planted-wrong", "x-request-id": "mine"}), 401, "mine")
    assert_error(ask(**{"x-api-key": ""}), 401)
    assert_error(ask(**{"x-modelway-client": "acme"}), 401)
    for key in ("planted-old", "planted-new", "planted-other"):
        answer = ask(**{"x-api-key": key})
        assert (answer.status_code, answer.json()["version"]) == (200, server)
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("server", SERVERS)
def test_who_asks_too_fast_waits_and_others_do_not(
    keyed: str, row: Any, server: str, figure: Callable[[str], None]
) -> None:
    path = f"{keyed}/{server}/predict"
    old = {**INSIDE, "x-api-key": "planted-old"}
    until(path, row, KEY, 200)
    with Load(path, row, rate=10, headers=OTHER) as others:
        # Both keys of the client count together.
        rate = edge.served_rate(path, row, KEY, old, seconds=5)
    figure(f"{server}: {rate.per_second:.1f} of {edge.PER_CLIENT} requests per second served, others {others.answers}")
    assert set(rate.answers) == {200, 429}
    assert abs(rate.per_second - edge.PER_CLIENT) <= 0.05 * edge.PER_CLIENT
    assert_error(rate.refusal, 429)
    assert rate.refusal.headers["retry-after"] == "1"
    assert others.failures == []
    assert others.sent >= 40


@pytest.mark.parametrize("server", SERVERS)
def test_all_clients_together_have_a_limit(keyed: str, row: Any, server: str, figure: Callable[[str], None]) -> None:
    path = f"{keyed}/{server}/predict"
    with ThreadPoolExecutor() as threads:
        # What was saved up is used up after the first second.
        for seconds in (1, 5):
            found = threads.map(partial(edge.served_rate, path, row, seconds=seconds), (KEY, OTHER))
            rates = list(found)
    together = sum(rate.per_second for rate in rates)
    figure(f"{server}: two clients together {together:.1f} of {edge.OVERALL} requests per second served")
    assert abs(together - edge.OVERALL) <= 0.05 * edge.OVERALL


@pytest.mark.parametrize("server", SERVERS)
def test_a_body_beyond_the_limit_is_refused(keyed: str, row: Any, server: str) -> None:
    path, headers = f"{keyed}/{server}/predict", {**OTHER, "content-type": "application/json"}
    whole = b" " * (edge.BODY_BYTES + 1)
    chunks = (whole[start : start + 10_000] for start in range(0, len(whole), 10_000))
    for body in (whole, chunks):
        assert_error(httpx.post(path, content=body, headers=headers, trust_env=False), 413)
    text = json.dumps(row).encode()
    largest = text + b" " * (edge.BODY_BYTES - len(text))
    assert httpx.post(path, content=largest, headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize("server", SERVERS)
def test_addresses_elsewhere_are_refused_whatever_they_claim(keyed: str, row: Any, server: str) -> None:
    path = f"{keyed}/{server}/predict"
    assert_error(httpx.post(path, json=row, headers={**OTHER, **OUTSIDE}, trust_env=False), 403)
    assert_error(httpx.post(path, json=row, headers={"x-api-key": "planted-other"}, trust_env=False), 403)


@pytest.mark.parametrize("server", SERVERS)
def test_slow_clients_are_let_go(keyed: str, server: str) -> None:
    path = httpx.URL(f"{keyed}/{server}/predict").path
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.9\r\nx-api-key: planted-other\r\n"
    seconds, said = edge.dripped(head.encode() + b"x-slow: ", 20)
    assert b" 408 " in said
    assert 2 <= seconds <= 3 + 3
    body = "content-type: application/json\r\ncontent-length: 9999\r\n\r\n"
    seconds, said = edge.dripped((head + body).encode(), 20)
    assert b" 408 " in said
    assert b'"request_id":"' in said
    assert 5 <= seconds <= 6 + 3


def test_errors_without_a_route_look_the_same(stack: Stack, keyed: str) -> None:
    del keyed
    answer = httpx.get(f"{stack.gateway}/nothing", headers={"x-request-id": 'a"b'}, trust_env=False)
    assert_error(answer, 404, 'a"b')
    malformed = httpx.get(f"{stack.gateway}/guarded%2fpredict", headers={"x-request-id": "mine"}, trust_env=False)
    assert (malformed.status_code, set(malformed.json())) == (400, {"error", "request_id"})
    large = httpx.get(f"{stack.gateway}/guarded", headers={"x-large": "a" * 70_000}, trust_env=False)
    assert (large.status_code, set(large.json())) == (431, {"error", "request_id"})


def test_pages_of_a_named_origin_may_ask(keyed: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    answers = [
        httpx.options(
            f"{keyed}/own/predict", headers={**INSIDE, **asked, "origin": f"https://{name}.example"}, trust_env=False
        )
        for name in ("app", "evil")
    ]
    assert answers[0].status_code == 200
    assert answers[0].headers["access-control-allow-origin"] == "https://app.example"
    assert "x-api-key" in answers[0].headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in answers[1].headers


def test_the_log_names_the_client_whatever_it_claims_and_no_key(stack: Stack, keyed: str, row: Any) -> None:
    name = f"claimed-{time.time_ns()}"
    claims = {**KEY, "x-modelway-client": "somebody", "x-request-id": name}
    until(f"{keyed}/own/predict", row, claims, 200)
    selector = "gateway.envoyproxy.io/owning-gateway-name=modelway"
    lines: list[dict[str, Any]] = []
    deadline = time.monotonic() + edge.READY_SECONDS
    # Envoy writes its log some seconds later and tells nobody.
    while not lines and time.monotonic() < deadline:
        log = stack.kubectl("logs", "-n", "modelway-gateway", "-l", selector, "-c", "envoy", "--tail=-1")
        lines = [json.loads(line) for line in log.splitlines() if name in line]
    assert {line["client"] for line in lines} == {"acme"}
    assert "planted-" not in log


def test_an_internal_model_is_met_by_pods_only(stack: Stack, keyed: str, row: Any) -> None:
    del keyed
    outside = httpx.post(f"{stack.gateway}/inside/predict", json=row, headers=INSIDE, trust_env=False)
    assert_error(outside, 404)
    image = stack.lock()["breast-cancer:v1"]
    address = "http://modelway-internal.modelway-gateway.svc.cluster.local/inside/predict"
    command = ("run", "probe", f"--image={image}", "--restart=Never", "--command", "--", "python", "-c", PROBE)
    stack.kubectl(*command, address, json.dumps(row))
    try:
        stack.kubectl("wait", "pod/probe", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        assert stack.kubectl("logs", "pod/probe").strip() == "v1"
    finally:
        stack.kubectl("delete", "pod/probe", "--wait=false")


def test_a_revoked_key_is_refused_everywhere(stack: Stack, keyed: str, row: Any, figure: Callable[[str], None]) -> None:
    old = {**INSIDE, "x-api-key": "planted-old"}
    begin = time.monotonic()
    write_keys(stack, acme_1=None)
    for server in SERVERS:
        until(f"{keyed}/{server}/predict", row, old, 401)
    figure(f"a revoked key was refused everywhere after {time.monotonic() - begin:.1f} s")
    assert httpx.post(f"{keyed}/own/predict", json=row, headers=OTHER, trust_env=False).status_code == 200


@pytest.fixture(scope="module")
def tokens(stack: Stack, model: dict[str, Any], row: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of the model, whose clients have tokens of `ISSUER` for `models`."""
    jwt = {"issuer": ISSUER.name, "audiences": ["models"], "jwks": ISSUER.jwks()}
    project = tmp_path_factory.mktemp("tokens") / "project"
    gateway = {**edge.GATEWAY, "auth": {"method": "jwt", "jwt": jwt}}
    base = stack.up_with(model, project, gateway=gateway)[0].removesuffix("/predict")
    until(f"{base}/own/predict", row, {**INSIDE, "authorization": f"Bearer {ISSUER.token()}"}, 200)
    return base


@pytest.mark.parametrize("server", SERVERS)
def test_only_a_good_token_opens(tokens: str, row: Any, server: str) -> None:
    good = ISSUER.token()
    path = f"{tokens}/{server}/predict"

    def ask(token: str, where: str = path) -> httpx.Response:
        headers = {**INSIDE, "authorization": f"Bearer {token}"}
        return httpx.post(where, json=row, headers=headers, trust_env=False)

    refused = {
        "expired": ISSUER.token(exp=int(time.time()) - 3600),
        "not yet": ISSUER.token(nbf=int(time.time()) + 3600),
        "alg=none": edge.unsigned(good),
        "other audience": ISSUER.token(aud="others"),
        "no audience": ISSUER.token(aud=None),
        "wrong issuer": ISSUER.token(iss="https://evil.example"),
        "of a stranger": STRANGER.token(),
        "changed": good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"),
        "no token": "planted",
    }
    statuses = {name: ask(token).status_code for name, token in refused.items()}
    # Envoy says 403 of a good token that is for somebody else.
    assert statuses == {name: 403 if "audience" in name else 401 for name in refused}
    assert_error(ask(refused["expired"]), 401)
    assert_error(httpx.post(path, json=row, headers=INSIDE, trust_env=False), 401)
    assert_error(httpx.post(f"{path}?access_token={good}", json=row, headers=INSIDE, trust_env=False), 401)
    assert_error(ask(ISSUER.token(sub=None)), 403)
    assert (ask(good).status_code, ask(good).json()["version"]) == (200, server)


def test_each_client_has_a_limit_of_its_own(tokens: str, row: Any) -> None:
    path = f"{tokens}/own/predict"
    headers = {**INSIDE, "authorization": f"Bearer {ISSUER.token(sub='busy')}"}
    rate = edge.served_rate(path, row, headers, seconds=5)
    assert abs(rate.per_second - edge.PER_CLIENT) <= 0.05 * edge.PER_CLIENT
    calm = {**INSIDE, "authorization": f"Bearer {ISSUER.token(sub='calm')}"}
    assert httpx.post(path, json=row, headers=calm, trust_env=False).status_code == 200
