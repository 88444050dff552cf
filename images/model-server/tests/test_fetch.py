"""Fetching a model: every source gives the same files, and nothing else than what its sum says."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from modelway_server import sources
from modelway_server.fetch import fetch, load
from modelway_server.startup import StartupError
from server_testing import start, write_artifact, write_files

CONTENT = {"model.onnx": b"m" * 3_000_000, "signature.json": b"{}"}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_files(tmp_path / "volume" / "models" / "sample", CONTENT)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def sha256_of(folder: Path) -> str:
    return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def fetch_from(source: str, folder: Path, target: Path, **more: str) -> int:
    given = {"SOURCE": source, "SHA256": sha256_of(folder), "TARGET": str(target), **more}
    return fetch(load({f"MODELWAY_FETCH_{name}": value for name, value in given.items()}))


def refusal(source: str, folder: Path, target: Path, **more: str) -> str:
    with pytest.raises(StartupError) as caught:
        fetch_from(source, folder, target, **more)
    (reason,) = caught.value.reasons
    assert "\n" not in reason
    return reason


def assert_equal(found: Path, expected: Path) -> None:
    assert {file.name: file.read_bytes() for file in found.iterdir()} == {
        file.name: file.read_bytes() for file in expected.iterdir()
    }


class Site:
    """An HTTP server over a folder that keeps the requests' headers."""

    def __init__(self, folder: Path, authorization: str | None = None, redirect: str | None = None) -> None:
        seen = self.seen = list[tuple[str, str | None]]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization")
                seen.append((self.path, given))
                file = folder / unquote(self.path).lstrip("/")
                if redirect is not None:
                    self.send_response(302)
                    self.send_header("Location", redirect)
                    self.end_headers()
                elif authorization not in (None, given):
                    self.send_error(401)
                elif not file.is_file():
                    self.send_error(404)
                else:
                    # Without a length, as MLflow's proxy answers.
                    self.send_response(200)
                    self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
                    if "/o/" in self.path or self.path.startswith("/bucket/"):
                        self.send_header("Content-Length", str(file.stat().st_size))
                        self.send_header("ETag", '"1"')
                    self.end_headers()
                    with contextlib.suppress(OSError):
                        self.wfile.write(file.read_bytes())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "Site":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_folder_of_a_volume_is_copied(artifact: Path, target: Path, tmp_path: Path) -> None:
    assert fetch_from("file:///models/sample", artifact, target, FILE_ROOT=str(tmp_path / "volume")) == size_of(
        artifact
    )
    assert_equal(target, artifact)


def test_a_web_server_without_lengths_is_copied_with_the_credentials(
    artifact: Path, target: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("Bearer abc\n")
    with Site(artifact.parent, "Bearer abc") as site:
        fetch_from(f"{site.url}/sample", artifact, target, CREDENTIALS_FILE=str(tmp_path / "token"))
        assert_equal(target, artifact)
        assert {path for path, _ in site.seen} == {f"/sample/{name}" for name in (*CONTENT, "manifest.json")}
        reason = refusal(f"{site.url}/sample", artifact, target)
    assert reason == (
        f"{site.url}/sample/manifest.json: cannot be fetched: got status 401, allowed a readable file; "
        "check the source and who may read it."
    )


def test_a_redirect_is_not_followed_with_the_credentials(artifact: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer abc")
    with Site(artifact.parent) as other, Site(artifact.parent, redirect=f"{other.url}/sample") as site:
        reason = refusal(f"{site.url}/sample", artifact, target, CREDENTIALS_FILE=str(tmp_path / "token"))
        assert other.seen == []
    assert "got status 302" in reason


def test_a_bucket_is_copied_with_the_keys_of_a_file(artifact: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[default]\naws_access_key_id = AKID\naws_secret_access_key = s%cret\n")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "bucket").symlink_to(artifact.parent.parent)
    with Site(tmp_path / "web") as site:
        more = {"ENDPOINT": site.url, "REGION": "eu-west-1", "CREDENTIALS_FILE": str(tmp_path / "keys")}
        fetch_from("s3://bucket/models/sample", artifact, target, **more)
        path, signed = site.seen[0]
    assert_equal(target, artifact)
    assert path == "/bucket/models/sample/manifest.json"
    assert signed is not None
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert "/eu-west-1/s3/aws4_request" in signed


def test_a_bucket_of_google_is_copied(
    artifact: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = sources._options
    monkeypatch.setattr(sources, "_options", lambda _: options(True))
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "bucket").symlink_to(artifact.parent.parent)
    with Site(tmp_path / "web") as site:
        key = {
            "gcs_base_url": site.url,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        (tmp_path / "key").write_text(json.dumps(key))
        fetch_from("gs://bucket/models/sample", artifact, target, CREDENTIALS_FILE=str(tmp_path / "key"))
    assert_equal(target, artifact)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("s3cret", "is no AWS credentials file"),
        ("[other]\naws_access_key_id = s3cret\n", "is no AWS credentials file"),
        ("[default]\naws_access_key_id = s3cret\n", "is no AWS credentials file"),
        (None, "cannot be read (no such file or directory)"),
    ],
)
def test_wrong_credentials_are_not_shown(
    artifact: Path, target: Path, tmp_path: Path, text: str | None, reason: str
) -> None:
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text)
    found = refusal("s3://bucket/models", artifact, target, CREDENTIALS_FILE=str(file))
    assert reason in found
    assert "s3cret" not in found


def test_another_manifest_is_refused(artifact: Path, target: Path, tmp_path: Path) -> None:
    root, wrong = str(tmp_path / "volume"), "0" * 64
    found = sha256_of(artifact)
    reason = refusal("file:///models/sample", artifact, target, FILE_ROOT=root, SHA256=wrong)
    assert reason == (
        f"file:///models/sample/manifest.json: is not the file that was asked for: got sha256 {found}, "
        f"allowed sha256 {wrong}; publish the model again, or correct the sha256."
    )
    assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "got", "allowed"),
    [
        (b"x" * 3_000_000, f"sha256 {hashlib.sha256(b'x' * 3_000_000).hexdigest()}",
         f"sha256 {hashlib.sha256(CONTENT['model.onnx']).hexdigest()}"),
        (b"m" * 2_999_999, "only 2999999 bytes", "3000000 bytes"),
        (b"m" * 3_000_001, "more than 3000000 bytes", "3000000 bytes"),
    ],
    ids=["other", "shorter", "longer"],
)  # fmt: skip
def test_another_model_file_is_refused_and_leaves_no_manifest(
    artifact: Path, target: Path, tmp_path: Path, content: bytes, got: str, allowed: str
) -> None:
    (artifact / "model.onnx").write_bytes(content)
    reason = refusal("file:///models/sample", artifact, target, FILE_ROOT=str(tmp_path / "volume"))
    assert reason == (
        f"file:///models/sample/model.onnx: is not the file that was asked for: got {got}, allowed {allowed}; "
        "publish the model again."
    )
    assert not (target / "manifest.json").exists()


def test_more_than_the_limit_is_refused_before_it_is_fetched(artifact: Path, target: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "volume")
    reason = refusal("file:///models/sample", artifact, target, FILE_ROOT=root, MAX_BYTES="1000000")
    assert reason == (
        f"file:///models/sample: is too large: got {size_of(artifact)} bytes, allowed at most 1000000 bytes; "
        "raise the size limit."
    )
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("path", ["../outside", "link"])
def test_nothing_outside_the_volume_is_read(artifact: Path, target: Path, tmp_path: Path, path: str) -> None:
    outside = write_files(tmp_path / "outside", CONTENT)
    (tmp_path / "volume" / "link").symlink_to(outside)
    reason = refusal(f"file:///{path}", artifact, target, FILE_ROOT=str(tmp_path / "volume"))
    assert "cannot be fetched: got it leads out of the volume" in reason


def test_a_manifest_whose_files_lead_elsewhere_is_refused(artifact: Path, target: Path, tmp_path: Path) -> None:
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["files"]["../escaped"] = manifest["files"].pop("signature.json")
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    reason = refusal("file:///models/sample", artifact, target, FILE_ROOT=str(tmp_path / "volume"))
    assert reason.startswith("file:///models/sample/manifest.json files.../escaped")
    assert not (tmp_path / "escaped").exists()


def test_missing_and_wrong_settings_are_said_together() -> None:
    with pytest.raises(StartupError) as caught:
        load({"MODELWAY_FETCH_SOURCE": "ftp://host/", "MODELWAY_FETCH_TARGET": "/model"})
    assert caught.value.reasons == (
        "MODELWAY_FETCH_SOURCE: not a usable value: got 'ftp://host/', allowed match pattern "
        r"'^(s3|gs|file|https?)://[^\s?#]*[^\s?#/]$'; correct it.",
        "MODELWAY_FETCH_SHA256: is missing: got nothing, allowed a value; set it.",
    )


@contextlib.contextmanager
def unreachable() -> Iterator[str]:
    """An address that refuses connections."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
    yield url


def run(**settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        **{f"MODELWAY_FETCH_{name}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "modelway_server.fetch"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_failure_is_one_line_and_status_1(target: Path) -> None:
    with unreachable() as url:
        done = run(SOURCE="s3://bucket/model", SHA256="0" * 64, TARGET=str(target), ENDPOINT=url, REGION="x")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("s3://bucket/model/manifest.json: cannot be fetched: got ")


def test_what_was_fetched_is_served(target: Path, tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "volume" / "sample")
    done = run(
        SOURCE="file:///sample", SHA256=sha256_of(folder), TARGET=str(target), FILE_ROOT=str(tmp_path / "volume")
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["event"] == "fetched"
    assert start(target).name == "sample"


def test_a_target_that_cannot_be_written_is_said_in_one_line(artifact: Path, tmp_path: Path) -> None:
    missing, root = tmp_path / "missing", str(tmp_path / "volume")
    done = run(SOURCE="file:///models/sample", SHA256=sha256_of(artifact), TARGET=str(missing), FILE_ROOT=root)
    assert done.returncode == 1
    assert done.stderr == (
        f"{missing}: cannot be written: got no such file or directory, allowed an empty folder with room for the "
        "model; mount one.\n"
    )
