"""Which version a request meets on the real gateway: by weight, by user, by name, or not at all."""

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.cluster.edge import assert_error
from tests.cluster.load import Load
from tests.cluster.outside import OutsideLoad
from tests.cluster.split import (
    GATEWAY,
    MODELS,
    PROXIES,
    assigned,
    forwarded,
    pods,
    settled,
    versions_of,
    weigh,
)
from tests.cluster.stack import FULL, Stack

pytestmark = pytest.mark.cluster

USERS = 10_000 if FULL else 2_000
POINTS = 1.0 if FULL else 2.7
"""Four standard deviations of a share of 10 % for 2,000 users, and 3.3 for 10,000: which users there are is fixed, and
so is what becomes of them."""
KEYLESS, KEYLESS_POINTS = (10_000, 1.5) if FULL else (2_000, 3.4)
"""Five standard deviations: chance is drawn anew in each run."""
KEYS = [{"x-user-id": f"{number}"} for number in range(USERS)]
FEW_KEYS = KEYS[:400]
PINNED = 1_000
CYCLES = 10 if FULL else 2
HOLD_SECONDS = 4.0
RATE, LEAST = (100, 200) if FULL else (50, 20)
"""Requests per second, and how many of each version a cycle has to have at least."""
READY_SECONDS = 60.0
UNKNOWN = "nothing is served under this path or version; versions of users: v1, v2, v3, aliases: champion, latest"
RECORDER = """
import base64, json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
VERSION = os.environ["MODELWAY_VERSION"]
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(b"{}")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        seen = {"path": self.path, "body": base64.b64encode(body).decode(), "headers": dict(self.headers.items())}
        print(json.dumps(seen), flush=True)
        self.answer(json.dumps({"version": VERSION}).encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-modelway-version", VERSION)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
Thread(target=ThreadingHTTPServer(("", 9090), Handler).serve_forever, daemon=True).start()
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
"""Says what it was sent, and who it is."""


def models(stack: Stack, **weights: int) -> list[dict[str, Any]]:
    """One model that goes by a header and one by a cookie, and one whose servers record what they get."""
    one, two = stack.lock()["breast-cancer:v1"], stack.lock()["breast-cancer:v2"]
    recorder = {"image": one, "runtime": "container", "container": {"command": ["python", "-c", RECORDER]}}
    both: list[dict[str, Any]] = [
        {"name": "v1", "image": one, "replicas": 1},
        {"name": "v2", "image": two, "replicas": 1},
    ]
    shared = [{**version, "weight": weights[version["name"]]} for version in both]
    shadow = {"name": "v3", "image": one, "replicas": 1, "shadow": True}
    return [
        {
            "name": "users",
            "sticky": {"header": "x-user-id"},
            "aliases": {"champion": "v1", "latest": "v2"},
            "versions": [*shared, shadow],
        },
        {"name": "jar", "sticky": {"cookie": "uid"}, "versions": [{**version, "weight": 50} for version in both]},
        {
            "name": "copied",
            "versions": [
                {**recorder, "name": "live", "replicas": 1},
                {**recorder, "name": "dark", "replicas": 1, "shadow": True},
            ],
        },
    ]


@pytest.fixture(scope="module")
def row(stack: Stack) -> dict[str, Any]:
    """A row that both models answer."""
    content: dict[str, Any] = stack.reference("v1")["rows"][0]
    return content


Up = Callable[..., str]


@pytest.fixture(scope="module")
def up(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Takes the weights of `users`, and settings of the gateway, deploys and gives the base of all URLs; afterwards the
    stack is as it was."""

    def deployed(gateway: Mapping[str, Any] | None = None, **weights: int) -> str:
        first, *others = models(stack, **weights)
        stack.up_with(first, tmp_path_factory.mktemp("split") / "project", *others, gateway=gateway)
        return stack.gateway

    yield deployed
    stack.modelway("up", "node")


@pytest.fixture(scope="module")
def url(up: Up) -> str:
    """Base of all URLs, with `users` at 90 to 10."""
    return up(v1=90, v2=10)


@pytest.fixture(scope="module")
def at_90(url: str, row: Any) -> list[str]:
    """The version of every user at 90 to 10."""
    return versions_of(f"{url}/users/predict", row, KEYS)


def test_users_are_split_as_the_weights_say(at_90: list[str], figure: Callable[[str], None]) -> None:
    share = 100 * at_90.count("v2") / USERS
    figure(f"split at 90/10, {USERS} users, first try: {share:.2f} % at v2")
    assert set(at_90) == {"v1", "v2"}
    assert abs(share - 10) <= POINTS


def test_requests_without_a_key_are_split_at_random(url: str, row: Any, figure: Callable[[str], None]) -> None:
    met = versions_of(f"{url}/users/predict", row, [{}] * KEYLESS)
    share = 100 * met.count("v2") / KEYLESS
    figure(f"split at 90/10, {KEYLESS} requests without a key: {share:.2f} % at v2")
    assert abs(share - 10) <= KEYLESS_POINTS


def test_a_cookie_is_a_key_among_others(url: str, row: Any) -> None:
    cookies = [{"cookie": f"theme=dark; uid={number}"} for number in range(len(FEW_KEYS))]
    others = [{"cookie": f"uid={number}; theme=light; seen={number}"} for number in range(len(FEW_KEYS))]
    met = versions_of(f"{url}/jar/predict", row, cookies)
    assert set(met) == {"v1", "v2"}
    assert versions_of(f"{url}/jar/predict", row, others) == met


def test_a_user_meets_one_pod_and_users_meet_all(stack: Stack, url: str, row: Any, at_90: list[str]) -> None:
    stack.kubectl("scale", "deployment/users-v1", "-n", MODELS, "--replicas=3")
    stack.kubectl("rollout", "status", "-n", MODELS, "deployment/users-v1", "--timeout=120s")
    assert versions_of(f"{url}/users/predict", row, KEYS) == at_90
    everyone = assigned(stack, "users", "v1")
    assert len(everyone) == 3
    assert min(each["split"] for each in everyone.values()) > 0

    one = KEYS[at_90.index("v1")]
    assert set(versions_of(f"{url}/users/predict", row, [one] * 200)) == {"v1"}
    later = assigned(stack, "users", "v1")
    assert sorted(later[pod]["split"] - everyone[pod]["split"] for pod in everyone) == [0, 0, 200]


def test_users_keep_their_version_while_a_pod_is_deleted(stack: Stack, url: str, row: Any, at_90: list[str]) -> None:
    one, *_ = pods(stack, MODELS, "app.kubernetes.io/name=users,app.kubernetes.io/version=v1")
    stack.kubectl("delete", "pod", "-n", MODELS, one, "--wait=false")
    assert versions_of(f"{url}/users/predict", row, KEYS) == at_90
    stack.kubectl("wait", "pod", "-n", MODELS, one, "--for=delete", "--timeout=120s")
    assert versions_of(f"{url}/users/predict", row, FEW_KEYS) == at_90[: len(FEW_KEYS)]
    stack.kubectl("scale", "deployment/users-v1", "-n", MODELS, "--replicas=1")
    stack.kubectl("rollout", "status", "-n", MODELS, "deployment/users-v1", "--timeout=120s")


def test_users_keep_their_version_after_the_proxy_is_replaced(
    stack: Stack, url: str, row: Any, at_90: list[str]
) -> None:
    (old,) = pods(stack, GATEWAY, PROXIES)
    stack.kubectl("delete", "pod", "-n", GATEWAY, old, "--wait=false")
    stack.kubectl("wait", "pod", "-n", GATEWAY, old, "--for=delete", "--timeout=180s")
    stack.kubectl("wait", "pod", "-n", GATEWAY, "-l", PROXIES, "--for=condition=Ready", "--timeout=120s")
    answers(f"{url}/users/predict", row)
    assert versions_of(f"{url}/users/predict", row, KEYS) == at_90


def answers(path: str, row: Any) -> None:
    """Ask until there is an answer: the node port learns of a new proxy soon, and tells nobody."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if httpx.post(path, json=row, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            assert time.monotonic() < deadline


def test_a_second_proxy_chooses_the_same_versions(stack: Stack, up: Up, row: Any, at_90: list[str]) -> None:
    url = up({"replicas": 2}, v1=90, v2=10)
    both = pods(stack, GATEWAY, PROXIES)
    assert len(both) == 2
    for proxy in both:
        with forwarded(stack, GATEWAY, proxy, 10080) as alone:
            assert versions_of(f"{alone}/users/predict", row, FEW_KEYS) == at_90[: len(FEW_KEYS)]
    assert versions_of(f"{url}/users/predict", row, KEYS) == at_90


def test_a_step_moves_users_from_the_old_version_only(
    up: Up, row: Any, at_90: list[str], figure: Callable[[str], None]
) -> None:
    url = up(v1=50, v2=50)
    met = versions_of(f"{url}/users/predict", row, KEYS)
    moved = {(old, new) for old, new in zip(at_90, met, strict=True) if old != new}
    figure(f"step 10 to 50: {sum(a != b for a, b in zip(at_90, met, strict=True))} of {USERS} users moved, {moved}")
    assert moved == {("v1", "v2")}
    assert abs(100 * met.count("v2") / USERS - 50) <= 2 * POINTS


@pytest.mark.parametrize("how", ["path", "header"])
def test_requests_that_name_a_version_are_labelled_pinned(stack: Stack, url: str, row: Any, how: str) -> None:
    before = assigned(stack, "users", "v2")
    path = f"{url}/users/v2/predict" if how == "path" else f"{url}/users/predict"
    named = {"x-model-version": "v2"} if how == "header" else {}
    claims = [{**named, "x-modelway-assignment": "split", "x-user-id": "1"}] * (PINNED // 2)
    assert set(versions_of(path, row, claims)) == {"v2"}
    (pod,) = before
    after = assigned(stack, "users", "v2")[pod]
    assert after == {**before[pod], "pinned": before[pod]["pinned"] + PINNED // 2}


@pytest.mark.parametrize(("alias", "version"), [("champion", "v1"), ("latest", "v2")])
def test_an_alias_is_its_version_by_path_and_by_header(url: str, row: Any, alias: str, version: str) -> None:
    assert set(versions_of(f"{url}/users/{alias}/predict", row, FEW_KEYS)) == {version}
    named = [{**key, "x-model-version": alias} for key in FEW_KEYS]
    assert set(versions_of(f"{url}/users/predict", row, named)) == {version}


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("users/v9/predict", None),
        ("users/V1/predict", None),
        ("users", None),
        ("users/predict", "v9"),
        ("users/predict", ""),
        ("users/predict", "v1,v1"),
        ("users/v2/models/users/infer", "v9"),
    ],
)
def test_an_unknown_version_is_answered_with_the_list(url: str, row: Any, path: str, header: str | None) -> None:
    headers = {"x-request-id": 'a"b', "x-user-id": "1", **({} if header is None else {"x-model-version": header})}
    answer = httpx.post(f"{url}/{path}", json=row, headers=headers, trust_env=False)
    assert_error(answer, 404, 'a"b')
    assert answer.json()["error"] == UNKNOWN


def test_a_path_of_no_model_is_answered_without_a_list(url: str) -> None:
    answer = httpx.get(f"{url}/nothing", trust_env=False)
    assert_error(answer, 404)
    assert answer.json()["error"] == "nothing is served under this path"


def recorded(stack: Stack, version: str, mark: str, count: int) -> dict[str, dict[str, Any]]:
    """What a recording server got whose request id has this mark, by request id; waits for `count` of them."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        log = stack.kubectl("logs", "-n", MODELS, f"deployment/copied-{version}", "--tail=-1")
        lines = [json.loads(line) for line in log.splitlines() if mark in line]
        # Nobody waits for a copy, and nothing tells that it has arrived.
        if len(lines) >= count or time.monotonic() > deadline:
            return {line["headers"]["x-request-id"]: line for line in lines}


def test_a_shadow_gets_copies_to_the_byte_and_answers_nobody(stack: Stack, url: str) -> None:
    mark = f"copy-{time.time_ns()}"
    bodies = {f"{mark}-{number}": bytes([123, 34, *range(number), 34, 125]) for number in range(100)}
    with httpx.Client(trust_env=False) as client:
        answers = [
            client.post(f"{url}/copied/predict", content=body, headers={"x-request-id": name})
            for name, body in bodies.items()
        ]
    assert {answer.text for answer in answers} == {'{"version": "live"}'}
    live, dark = recorded(stack, "live", mark, 100), recorded(stack, "dark", mark, 100)
    assert {name: base64.b64decode(each["body"]) for name, each in dark.items()} == bodies
    assert {name: (each["path"], each["body"]) for name, each in dark.items()} == {
        name: (each["path"], each["body"]) for name, each in live.items()
    }
    assert {each["path"] for each in dark.values()} == {"/predict"}
    assert {each["headers"]["x-modelway-assignment"] for each in dark.values()} == {"split"}


def test_a_shadow_answers_where_it_is_named_and_its_answers_are_copied_to_nobody(stack: Stack, url: str) -> None:
    mark = f"named-{time.time_ns()}"
    headers = {"x-request-id": mark, "x-model-version": "dark"}
    for path in ("copied/dark/predict", "copied/predict"):
        answer = httpx.post(f"{url}/{path}", content=b"{}", headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()) == (200, {"version": "dark"})
    assert list(recorded(stack, "dark", mark, 2)) == [mark]
    assert httpx.post(f"{url}/copied/live/predict", content=b"{}", headers={"x-request-id": mark}, trust_env=False)
    assert list(recorded(stack, "live", mark, 1)) == [mark]
    label = "modelway.dev/shadow=true"
    assert {name.rpartition("-dark-")[0] for name in pods(stack, MODELS, f"{label},app.kubernetes.io/name=copied")} == {
        "copied"
    }


def test_a_shadow_without_pods_costs_no_request(stack: Stack, url: str) -> None:
    stack.kubectl("scale", "deployment/copied-dark", "-n", MODELS, "--replicas=0")
    with Load(f"{url}/copied/predict", {}, rate=50) as outcome:
        stack.kubectl(
            "wait",
            "pod",
            "-n",
            MODELS,
            "-l",
            "modelway.dev/shadow=true,app.kubernetes.io/name=copied",
            "--for=delete",
            "--timeout=120s",
        )
    stack.kubectl("scale", "deployment/copied-dark", "-n", MODELS, "--replicas=1")
    assert outcome.failures == []
    assert set(outcome.versions) == {"live"}


def test_weights_move_without_a_lost_request_and_away_for_good(
    stack: Stack, url: str, row: Any, figure: Callable[[str], None]
) -> None:
    """Requests from a network namespace of their own, on new and on kept connections, and such that take 5 s."""
    path = f"{url}/users/predict"
    weigh(stack, "users", v1=100, v2=0)
    settled(path, row, "v1")
    quiet: list[tuple[float, float, str]] = []
    slowest = 0.0
    with OutsideLoad(stack, "/users/predict", row, RATE) as running:
        for _ in range(CYCLES):
            for kept, removed in (("v2", "v1"), ("v1", "v2")):
                weigh(stack, "users", v1=100 * (kept == "v1"), v2=100 * (kept == "v2"))
                slowest = max(slowest, settled(path, row, kept))
                begin = time.monotonic()
                time.sleep(HOLD_SECONDS)
                quiet.append((begin, begin + HOLD_SECONDS, removed))
    report = running.report
    wrong = [
        at
        for at, version in report.versions
        for begin, end, removed in quiet
        if begin <= at < end and version == removed
    ]
    figure(
        f"{CYCLES} weight cycles 0-100-0 under load: {len(wrong)} requests to a removed version once it had drained, "
        f"which took {slowest:.1f} s at most; {report.figure()}"
    )
    assert report.failures == []
    assert wrong == []
    met = Counter(version for _, version in report.versions)
    assert min(met["v1"], met["v2"]) >= LEAST * CYCLES
