"""The life of API keys at the real gateway: made, rotated under load, revoked, kept, and nowhere to be found."""

import base64
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from modelway.gateway.policy import KEYS_SECRET

from infra import keys
from tests.cluster.load import Load
from tests.cluster.stack import PROJECT, Stack

pytestmark = pytest.mark.cluster

LIMIT_SECONDS = 60.0
"""Longest that a change of keys may take to reach the gateway."""
CLI = """
import sys
from functools import partial
from pathlib import Path
from infra import cli, deploy
deploy.job = partial(deploy.job, project=Path(sys.argv.pop(1)))
cli.main()
"""
ECHO = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps(self.headers.items()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *arguments):
        pass
ThreadingHTTPServer(("", 8080), Echo).serve_forever()
"""
DOCUMENT = (PROJECT / "docs/api-keys.md").read_text()


@dataclass(frozen=True)
class Guarded:
    """The stack with keyed models, and the command line on it."""

    stack: Stack
    project: Path

    @property
    def url(self) -> str:
        """URL of the model."""
        return f"{self.stack.gateway}/breast-cancer/predict"

    @property
    def row(self) -> dict[str, Any]:
        """One row that the model knows."""
        row: dict[str, Any] = self.stack.reference("v1")["rows"][0]
        return row

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`modelway` with the files of the project."""
        command = [sys.executable, "-c", CLI, str(self.project), *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env=dict(self.stack.environment), capture_output=True, text=True, check=False
        )
        assert not (check and done.returncode), done.stderr
        return done

    def key(self, command: str, client: str) -> str:
        """The key that `add` or `rotate` prints."""
        key = self.run("keys", command, "node", client).stdout.strip()
        assert keys.is_key(key)
        return key

    def listed(self) -> dict[str, list[dict[str, Any]]]:
        """What `list` says of each client."""
        found = json.loads(self.run("keys", "list", "node", "--json").stdout)
        return {each["client"]: each["keys"] for each in found}

    def ask(self, key: str | None, client: httpx.Client | None = None) -> int:
        """Status of one request, on a connection of its own unless a client is given."""
        headers = {} if key is None else {"x-api-key": key}
        if client is not None:
            return client.post(self.url, json=self.row, headers=headers).status_code
        with httpx.Client(trust_env=False) as own:
            return own.post(self.url, json=self.row, headers=headers).status_code

    def seconds_until(self, key: str, status: int) -> float:
        """How long requests with the key get another status than this one; only 200 and 401 are seen on the way."""
        started = time.monotonic()
        while (seen := self.ask(key)) != status:
            assert seen in (200, 401)
            assert time.monotonic() - started < LIMIT_SECONDS
        return time.monotonic() - started


@contextmanager
def connections(count: int) -> Iterator[list[httpx.Client]]:
    """Clients that each keep one connection."""
    with ExitStack() as all_of_them:
        yield [all_of_them.enter_context(httpx.Client(trust_env=False)) for _ in range(count)]


@pytest.fixture(scope="module")
def guarded(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The stack with keys asked for, and a model that answers with the headers of the request."""
    project = tmp_path_factory.mktemp("guarded") / "project"
    (project / "stacks").mkdir(parents=True)
    shutil.copy(PROJECT / "Pulumi.yaml", project)
    document = yaml.safe_load((PROJECT / "stacks/Pulumi.node.yaml").read_text())
    config = document["config"]
    config["modelway:gateway"] = {"auth": {"method": "api-key"}}
    config["modelway:models"][0]["access"] = "keyed"
    container = {"command": ["python3", "-c", ECHO], "adminPort": 8080}
    echo = {"name": "v1", "image": stack.lock()["breast-cancer:v1"], "runtime": "container", "container": container}
    config["modelway:models"].append({"name": "echo", "access": "keyed", "versions": [{**echo, "replicas": 1}]})
    (project / "stacks/Pulumi.node.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    guarded = Guarded(stack, project)
    guarded.run("up", "node")
    yield guarded
    stack.modelway("up", "node")


def test_only_a_key_that_was_made_opens_a_keyed_model(guarded: Guarded, figure: Callable[[str], None]) -> None:
    for wrong in (None, "", "nobody", "nobody.0", keys.new_key()):
        assert guarded.ask(wrong) == 401
    key = guarded.key("add", "first")
    figure(f"a new key opens after {guarded.seconds_until(key, 200):.2f} s")
    assert [guarded.ask(wrong) for wrong in (key[:-1], key + "0", key.lower(), "first.1")] == [401] * 4


def test_a_rotation_fails_no_request(guarded: Guarded, figure: Callable[[str], None]) -> None:
    old = guarded.key("add", "rotating")
    guarded.seconds_until(old, 200)
    with Load(guarded.url, guarded.row, 100, {"x-api-key": old}) as with_old:
        new = guarded.key("rotate", "rotating")
        guarded.seconds_until(new, 200)
        with Load(guarded.url, guarded.row, 100, {"x-api-key": new}) as with_new:
            assert guarded.run("keys", "rotate", "node", "rotating", check=False).returncode == 1
            assert guarded.ask(old) == guarded.ask(new) == 200
    with Load(guarded.url, guarded.row, 100, {"x-api-key": new}) as after:
        guarded.run("keys", "revoke", "node", "rotating", "--old")
        gone = guarded.seconds_until(old, 401)
    sent = with_old.sent + with_new.sent + after.sent
    figure(f"rotation: {sent} requests, none failed; the old key refused {gone:.2f} s after `revoke --old`")
    assert with_old.failures == with_new.failures == after.failures == []
    assert min(with_old.sent, with_new.sent, after.sent) > 50
    assert (guarded.ask(old), guarded.ask(new)) == (401, 200)


def test_a_revoked_key_is_refused_on_open_connections_too(guarded: Guarded, figure: Callable[[str], None]) -> None:
    key, other = guarded.key("add", "leaving"), guarded.key("add", "staying")
    guarded.seconds_until(other, 200)
    with connections(20) as clients:
        assert {guarded.ask(key, client) for client in clients} == {200}
        with Load(guarded.url, guarded.row, 100, {"x-api-key": other}) as load:
            guarded.run("keys", "revoke", "node", "leaving")
            seconds = guarded.seconds_until(key, 401)
            assert {guarded.ask(key, client) for client in clients} == {401}
    figure(f"a revoked key is refused {seconds:.2f} s after the command ended")
    assert load.failures == []


def test_the_last_key_of_all_is_refused_on_open_connections_too(guarded: Guarded) -> None:
    for client in guarded.listed():
        guarded.run("keys", "revoke", "node", client)
    key = guarded.key("add", "only")
    guarded.seconds_until(key, 200)
    with connections(20) as clients:
        assert {guarded.ask(key, client) for client in clients} == {200}
        guarded.run("keys", "revoke", "node", "only")
        guarded.seconds_until(key, 401)
        assert [guarded.ask(key, client) for client in clients] == [401] * 20
    assert guarded.listed() == {}


def test_keys_that_are_added_at_the_same_time_are_all_kept(guarded: Guarded) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: guarded.key("add", f"crowd-{number}"), range(4)))
    for key in made:
        guarded.seconds_until(key, 200)
    assert {f"crowd-{number}" for number in range(4)} <= set(guarded.listed())


def test_up_leaves_the_keys_alone(guarded: Guarded) -> None:
    key = guarded.key("add", "lasting")
    guarded.seconds_until(key, 200)
    output = guarded.run("up", "node")
    assert re.search(r"\b0 created, 0 updated, 0 replaced, 0 deleted\b", output.stderr), output.stderr
    assert guarded.ask(key) == 200


class Watch:
    """Collects arguments and environments of all processes while it is entered."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> set[bytes]:
        self._thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        self.seen.add((process / name).read_bytes())
                    except OSError:  # It ended meanwhile.
                        continue


def test_a_key_is_nowhere_but_in_the_secret(guarded: Guarded) -> None:
    stack = guarded.stack
    with Watch() as seen:
        made = [guarded.key("add", "planted"), guarded.key("rotate", "planted")]
    for key in made:
        guarded.seconds_until(key, 200)
    answer = httpx.post(f"{stack.gateway}/echo/predict", headers={"x-api-key": made[1]}, trust_env=False)
    guarded.run("up", "node")
    assert any(b"kubectl" in words and b"--patch-file=/dev/stdin" in words for words in seen)
    assert answer.status_code == 200
    assert ["x-modelway-client", "planted"] in answer.json()
    pods = [line.split() for line in stack.kubectl("get", "pods", "-A", "--no-headers").splitlines()]
    secret = json.loads(stack.kubectl("get", "secret", KEYS_SECRET, "-n", "modelway-models", "-o", "json"))
    places = {
        "arguments or environment": b"\n".join(seen).decode(errors="replace"),
        "the request to the server": answer.text,
        "the answer's headers": str(answer.headers),
        "the Secret's metadata": json.dumps(secret["metadata"]),
        "events": stack.kubectl("get", "events", "-A", "-o", "json"),
        "config maps": stack.kubectl("get", "configmaps", "-A", "-o", "json"),
        **{
            f"log of {name}": stack.kubectl("logs", "-n", namespace, name, "--all-containers", check=False)
            for namespace, name, *_ in pods
        },
        **{
            str(file): file.read_bytes().decode(errors="replace")
            for part in ("backend", "stacks", "logs")
            for file in (stack.state / part).rglob("*")
            if file.is_file()
        },
    }
    assert "planted" in places["the Secret's metadata"]
    assert any("modelway-api-keys" in text for place, text in places.items() if "/backend/" in place)
    forms = [form for key in made for form in (key, base64.b64encode(key.encode()).decode())]
    assert [place for place, text in places.items() if any(form in text for form in forms)] == []


def test_the_backup_of_the_document_brings_keys_back(guarded: Guarded) -> None:
    get, patch = re.findall(r"(kubectl (?:get|patch) secret modelway-api-keys [^|\n]*)", DOCUMENT)
    kubectl = f"kubectl --kubeconfig {guarded.stack.state}/node/kubeconfig"
    key = guarded.key("add", "copied")

    def shell(command: str, stdin: str = "") -> str:
        command = command.replace("kubectl", kubectl, 1)
        return subprocess.run(command, shell=True, input=stdin, capture_output=True, text=True, check=True).stdout  # noqa: S602

    copy = shell(get)
    guarded.run("keys", "revoke", "node", "copied")
    guarded.seconds_until(key, 401)
    shell(patch, copy)
    guarded.seconds_until(key, 200)
    assert guarded.listed()["copied"][0]["created"] is not None


def test_the_role_of_the_document_is_enough(guarded: Guarded) -> None:
    (role,) = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", DOCUMENT, re.DOTALL)
    binding = ("rolebinding", "api-keys", "-n", "modelway-models")
    stack = guarded.stack
    kubectl = ["kubectl", f"--kubeconfig={stack.state}/node/kubeconfig", "--as=keeper"]
    try:
        stack.kubectl("apply", "-f", "-", stdin=role)
        stack.kubectl("create", *binding, "--role=api-keys", "--user=keeper")
        store = keys.Store(kubectl, "node")
        key = keys.add(store, "kept", datetime.now(UTC))
        guarded.seconds_until(key, 200)
        assert keys.revoke(store, "kept") == 1
        refused = stack.kubectl("get", "secrets", "-n", "modelway-models", "--as=keeper", check=False)
    finally:
        stack.kubectl("delete", *binding, "--ignore-not-found")
        stack.kubectl("delete", "role", "api-keys", "-n", "modelway-models", "--ignore-not-found")
    assert "Forbidden" in refused
