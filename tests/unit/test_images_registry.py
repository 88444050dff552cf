"""Pushing: only what the registry lacks travels, and a registry that is silent or refuses is said in one sentence."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tools.images import oci
from tools.images.registry import Registry, node_registry, split
from tools.problem import ProblemError


class FakeRegistry:
    """The part of the distribution protocol that a push uses, in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.refuse_uploads = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                fake.requests.append(f"HEAD {self.path}")
                key = self.path.removeprefix("/v2/")
                if key in fake.manifests:
                    digest = f"sha256:{hashlib.sha256(fake.manifests[key]).hexdigest()}"
                    self._answer(200, {"Docker-Content-Digest": digest})
                else:
                    self._answer(200 if key in fake.blobs else 404)

            def do_POST(self) -> None:
                fake.requests.append(f"POST {self.path}")
                if fake.refuse_uploads:
                    self._answer(507, body=b"disk full\n")
                else:
                    self._answer(202, {"Location": f"{self.path}1?state=s"})

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                url = urlsplit(self.path)
                fake.requests.append(f"PUT {url.path}")
                path = url.path.removeprefix("/v2/")
                if "/manifests/" in path:
                    fake.manifests[path] = body
                else:
                    query = parse_qs(url.query)
                    assert query["state"] == ["s"]
                    fake.blobs[f"{path.partition('/blobs/')[0]}/blobs/{query['digest'][0]}"] = body
                self._answer(201)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with closing(FakeRegistry()) as registry:
        yield registry


@pytest.fixture
def store(tmp_path: Path) -> oci.Store:
    return oci.Store(tmp_path / "oci")


def image(store: oci.Store, name: str, content: bytes) -> oci.Image:
    shared = store.add_layer([oci.Entry("base", b"base")])
    own = store.add_layer([oci.Entry("app", content)])
    return store.add_image(name, "k", [shared, own], oci.RunConfig(), "amd64")


def test_a_pushed_image_is_known_by_its_digest(fake: FakeRegistry, store: oci.Store) -> None:
    made = image(store, "team/app:v1", b"1")
    with closing(Registry(fake.host)) as registry:
        assert registry.known(made) is None
        reference = registry.push(store, made)
        assert reference == f"{fake.host}/team/app@{made.manifest.digest}"
        assert registry.known(made) == reference
        assert registry.digest("team/app", "v1") == made.manifest.digest
    stored = {key: hashlib.sha256(body).hexdigest() for key, body in fake.blobs.items()}
    assert stored == {f"team/app/blobs/{blob.digest}": blob.digest[7:] for blob in store.blobs(made.manifest)}


def test_only_blobs_that_the_registry_lacks_travel(fake: FakeRegistry, store: oci.Store) -> None:
    first, second = image(store, "app:v1", b"1"), image(store, "app:v2", b"2")
    with closing(Registry(fake.host)) as registry:
        registry.push(store, first)
        fake.requests.clear()
        registry.push(store, second)
    uploads = [request for request in fake.requests if request.startswith("PUT")]
    assert uploads == ["PUT /v2/app/blobs/uploads/1", "PUT /v2/app/blobs/uploads/1", "PUT /v2/app/manifests/v2"]


def test_a_proxy_of_the_environment_is_not_asked(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with closing(Registry(fake.host)) as registry:
        assert registry.digest("app", "v1") is None


def test_a_silent_registry_is_one_sentence_with_the_fix() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with closing(Registry(host)) as registry, pytest.raises(ProblemError) as caught:
            registry.digest("app", "v1")
    assert str(caught.value) == (
        f"{host}: the image registry does not answer: got [Errno 111] Connection refused, allowed a registry that "
        "speaks HTTP there; start it with `modelway node up`, or set MODELWAY_REGISTRY_PORT to its port."
    )


def test_a_refused_image_is_one_sentence_with_the_registrys_reason(fake: FakeRegistry, store: oci.Store) -> None:
    fake.refuse_uploads = True
    with closing(Registry(fake.host)) as registry, pytest.raises(ProblemError) as caught:
        registry.push(store, image(store, "app:v1", b"1"))
    assert str(caught.value) == (
        f"{fake.host}: the image registry refused an image: got HTTP 507 disk full, allowed HTTP 202; look whether "
        "its disk is full (`modelway node status`) and run the command again."
    )


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("envoyproxy/envoy:v1", ("envoyproxy/envoy", "v1")),
        ("127.0.0.1:5000/app", ("127.0.0.1:5000/app", "latest")),
        ("127.0.0.1:5000/team/app:v2", ("127.0.0.1:5000/team/app", "v2")),
        ("app", ("app", "latest")),
    ],
)
def test_a_port_is_not_taken_for_a_tag(name: str, parts: tuple[str, str]) -> None:
    assert split(name) == parts


def test_the_nodes_registry_moves_with_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELWAY_REGISTRY_PORT", raising=False)
    assert node_registry() == "127.0.0.1:5000"
    monkeypatch.setenv("MODELWAY_REGISTRY_PORT", "15000")
    assert node_registry() == "127.0.0.1:15000"
