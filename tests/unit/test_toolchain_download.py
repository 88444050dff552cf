"""Official downloads: used only when the publisher's sha256 matches, given up fast, asked once."""

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.problem import ProblemError
from tools.progress import Progress
from tools.toolchain import download, store
from tools.toolchain.model import Release, Spec, Tool

PROGRAM = b"#!/bin/sh\necho 1.0.0\n"


class Site:
    """A publisher on the loopback interface."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(f"{self.command} {self.path}")
                content = site.files.get(self.path)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content or b"")

            do_HEAD = do_GET  # noqa: N815 - the name that the base class asks for

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def publish(self, path: str, content: bytes, listed: bytes | None = None) -> Release:
        digest = hashlib.sha256(content if listed is None else listed).hexdigest()
        self.files[path] = content
        self.files["/sums"] = f"{'0' * 64}  other\n{digest}  {path.strip('/')}\n".encode()
        return Release(f"{self.url}{path}", f"{self.url}/sums", "")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_refused", {})
    return tmp_path / "bin"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


SPEC = Spec("tool", "1.0.0", "install it")


def archive(**files: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def test_a_matching_download_is_published_whole(site: Site, cache: Path) -> None:
    tool = download.provide(SPEC, site.publish("/tool", PROGRAM), Progress())
    assert tool == Tool("tool", cache / "tool-1.0.0" / "tool", "1.0.0", "downloaded")
    assert tool.path.read_bytes() == PROGRAM
    assert tool.path.stat().st_mode & 0o777 == 0o755
    assert store.read_stamp(tool.path.parent) == {"origin": "downloaded", "version": "1.0.0"}
    assert [path.name for path in cache.iterdir()] == ["tool-1.0.0"]


@pytest.mark.parametrize(
    ("members", "found"), [("x/*", ["extra", "stamp.json", "tool"]), ("x/tool", ["stamp.json", "tool"])]
)
def test_only_the_named_files_leave_the_archive(site: Site, cache: Path, members: str, found: list[str]) -> None:
    packed = archive(x__tool=PROGRAM, x__extra=b"", y__tool=b"other", x__y__deep=b"", **{"..__tool": b"outside"})
    release = site.publish("/tool.tar.gz", packed)
    assert download.provide(SPEC, Release(release.url, release.checksums_url, members), Progress())
    assert sorted(path.name for path in (cache / "tool-1.0.0").iterdir()) == found
    assert (cache / "tool-1.0.0" / "tool").read_bytes() == PROGRAM


def test_a_file_that_its_publisher_does_not_state_is_never_used(site: Site, cache: Path) -> None:
    release = site.publish("/tool", PROGRAM, listed=b"something else")
    with pytest.raises(ProblemError) as caught:
        download.provide(SPEC, release, Progress())
    got, allowed = (hashlib.sha256(data).hexdigest() for data in (PROGRAM, b"something else"))
    assert str(caught.value) == (
        f"{release.url}: the download is not what its publisher states: got sha256 {got}, allowed sha256 {allowed}; "
        "run the command again; if it stays so, the network changes the file: ask who runs it."
    )
    assert list(cache.iterdir()) == []


def test_a_download_without_a_stated_sha256_is_not_used(site: Site, cache: Path) -> None:
    release = site.publish("/tool", PROGRAM)
    site.files["/sums"] = b"no sums today\n"
    assert download.provide(SPEC, release, Progress()) is None
    assert list(cache.iterdir()) == []


def test_a_host_that_refuses_is_asked_once(site: Site) -> None:
    release = Release(f"{site.url}/missing", f"{site.url}/sums", "")
    assert download.provide(SPEC, release, Progress()) is None
    assert download.provide(SPEC, release, Progress()) is None
    assert site.asked == ["HEAD /missing"]
    assert download.refusals([release.url]) == f"127.0.0.1:{site.server.server_port}: HTTP 404"


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/tool"
        assert download.reachable(url) is False
        assert download.refusals([url]).endswith(": no answer in 0 s")
