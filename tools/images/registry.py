"""Pushes images of the store to a registry on this machine, and asks what it already has.

Protocol: https://github.com/opencontainers/distribution-spec (v1.0). Only blobs that the registry lacks travel.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx

from tools.images import oci
from tools.problem import Problem, ProblemError

_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 60.0
_CHUNK_BYTES = 1 << 20


def node_registry() -> str:
    """Host and port of the node's registry: `127.0.0.1:5000`, the port from `MODELWAY_REGISTRY_PORT`."""
    return f"127.0.0.1:{os.environ.get('MODELWAY_REGISTRY_PORT') or 5000}"


def split(name: str) -> tuple[str, str]:
    """Repository and tag of an image name such as `HOST:PORT/name`; an absent tag is `latest`."""
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return (f"{head}/{repository}" if head else repository), tag or "latest"


class Registry:
    """A registry that speaks plain HTTP on a loopback address; close it after use."""

    def __init__(self, host: str) -> None:
        self.host = host
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        # A proxy of the environment is for the world outside; it cannot reach a loopback address.
        self._http = httpx.Client(base_url=f"http://{host}/v2/", timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections; `contextlib.closing` calls it."""
        self._http.close()

    def digest(self, repository: str, reference: str) -> str | None:
        """Digest of the manifest behind a tag or digest; None when the registry has none.

        Raises ProblemError when the registry does not answer.
        """
        answer = self._ask("HEAD", f"{repository}/manifests/{reference}", headers={"Accept": oci.MANIFEST})
        return answer.headers.get("Docker-Content-Digest") if answer.status_code == 200 else None

    def known(self, image: oci.Image) -> str | None:
        """`HOST/NAME@sha256:…` when the registry has exactly this image under its name; else None."""
        same = self.digest(*split(image.name)) == image.manifest.digest
        return self._reference(image) if same else None

    def push(self, store: oci.Store, image: oci.Image) -> str:
        """Push an image under its own name; returns `HOST/NAME@sha256:…`. Raises ProblemError when refused."""
        repository, tag = split(image.name)
        for blob in store.blobs(image.manifest):
            self._push_blob(repository, blob, store.path(blob.digest))
        content = store.path(image.manifest.digest).read_bytes()
        path = f"{repository}/manifests/{tag}"
        self._expect(self._ask("PUT", path, content=content, headers={"Content-Type": oci.MANIFEST}), 201)
        return self._reference(image)

    def _reference(self, image: oci.Image) -> str:
        return f"{self.host}/{split(image.name)[0]}@{image.manifest.digest}"

    def _push_blob(self, repository: str, blob: oci.Descriptor, file: Path) -> None:
        if self._ask("HEAD", f"{repository}/blobs/{blob.digest}").status_code == 200:
            return
        started = self._expect(self._ask("POST", f"{repository}/blobs/uploads/"), 202)
        target = (
            httpx.URL(str(started.url)).join(started.headers["Location"]).copy_merge_params({"digest": blob.digest})
        )
        headers = {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
        self._expect(self._ask("PUT", str(target), content=_chunks(file), headers=headers), 201)

    def _ask(
        self,
        method: str,
        path: str,
        content: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return self._http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise ProblemError([self._silent(str(error) or type(error).__name__)]) from error

    def _expect(self, answer: httpx.Response, status: int) -> httpx.Response:
        if answer.status_code == status:
            return answer
        problem = Problem(
            where=self.host,
            what="the image registry refused an image",
            got=f"HTTP {answer.status_code} {answer.text.strip()[:200]}",
            allowed=f"HTTP {status}",
            fix="look whether its disk is full (`modelway node status`) and run the command again",
        )
        raise ProblemError([problem])

    def _silent(self, reason: str) -> Problem:
        return Problem(
            where=self.host,
            what="the image registry does not answer",
            got=reason,
            allowed="a registry that speaks HTTP there",
            fix="start it with `modelway node up`, or set MODELWAY_REGISTRY_PORT to its port",
        )


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk
