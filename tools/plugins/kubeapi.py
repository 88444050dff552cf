"""The API server, reached through `kubectl proxy` on a private socket: any kubeconfig works, exec plugins included."""

import contextlib
import functools
import http.client
import json
import math
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tools.plugins.wire import Refusal

SLICE_SECONDS = 5
"""Length of one watch; between two of them a waiter looks at what the watched object does not tell."""
# Ends when standard input does, so that neither proxy nor kubeconfig outlive a killed plugin.
_GUARD = 'trap : TERM; kubectl "$@" & pid=$!; cat >/dev/null; kill $pid; rm -rf "$PRIVATE"'


class ApiError(Refusal):
    """The API server refused; `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class MissingError(ApiError):
    """The object, its namespace or its kind does not exist."""


class UnreachableError(Refusal):
    """The API server, or the kubeconfig that leads to it, cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the cluster cannot be reached: {reason}.")
        self.reason = reason


def kubeconfig(value: str | None, context: str | None) -> tuple[str, Any, str]:
    """Content of a kubeconfig, its active cluster's settings (None without one) and namespace (`default` without one).

    The value is content or a path; without one `KUBECONFIG` or `~/.kube/config` is read. Raises `UnreachableError`.
    """
    try:
        text = value or ""
        if "\n" not in text and not text.lstrip().startswith("{"):
            path = Path(value or os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
            text = path.read_text() if value or path.is_file() else ""
        config = yaml.safe_load(text) or {}
        contexts = {item["name"]: item["context"] for item in config.get("contexts") or []}
        chosen = contexts.get(context or config.get("current-context"), {})
        clusters = {item["name"]: item["cluster"] for item in config.get("clusters") or []}
        return text, clusters.get(chosen.get("cluster")), chosen.get("namespace") or "default"
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise UnreachableError(f"the kubeconfig cannot be read ({type(error).__name__})") from error


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Cluster:
    """One cluster as kubectl and helm see it; nothing is started or written before the first use."""

    def __init__(self, text_or_path: str | None, context: str | None, namespace: str | None) -> None:
        self.context, self._problem = context, ""
        self._lock, self._children = threading.RLock(), set[subprocess.Popen[str]]()
        try:
            self._text, settings, default = kubeconfig(text_or_path, context)
            self._problem = "" if settings else "the kubeconfig names no active cluster"
        except UnreachableError as error:
            self._problem, default = error.reason, "default"
        self.namespace = namespace or default

    def _start(self, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        with self._lock:
            environment = env or self._environment
            if self._problem:
                raise UnreachableError(self._problem)
            pipe = subprocess.PIPE
            child = subprocess.Popen(
                command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
            )
            self._children.add(child)
        return child

    @functools.cached_property
    def _environment(self) -> dict[str, str]:
        folder = tempfile.mkdtemp(prefix="modelway-")
        environment = {**os.environ, "KUBECONFIG": f"{folder}/kubeconfig", "PRIVATE": folder}
        Path(folder, "kubeconfig").touch(mode=0o600)
        Path(folder, "kubeconfig").write_text(self._text)
        proxy = ["proxy", f"--unix-socket={folder}/api", *([f"--context={self.context}"] if self.context else [])]
        guard = self._start("sh", "-c", _GUARD, "sh", *proxy, env=environment)
        if guard.stdout and guard.stderr and not guard.stdout.readline():
            self._problem = f"kubectl proxy: {guard.stderr.readline().strip()}"
        return environment

    def run(self, *command: str, stdin: str = "") -> str:
        """Standard output of kubectl or helm in this cluster; raises `Refusal` with its complaint."""
        child = self._start(*command)
        out, complaint = child.communicate(stdin)
        self._children.discard(child)
        if child.returncode:
            raise Refusal(f"{command[0]} {command[1]}: {complaint.strip() or 'interrupted'}")
        return out

    def close(self) -> None:
        """End what was started, now and for good; work under way fails."""
        with self._lock:
            self._problem = "the update was cancelled"
            for child in self._children:
                if child.stdin:
                    child.stdin.close()
                child.terminate()

    def _send(self, method: str, path: str, body: Any, query: dict[str, Any]) -> http.client.HTTPResponse:
        with self._lock:
            folder = "" if self._problem else self._environment["PRIVATE"]
            if self._problem:
                raise UnreachableError(self._problem)
        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        connection = _Connection(f"{folder}/api", timeout=60 + SLICE_SECONDS)
        headers = {"Content-Type": kind, "Host": "localhost"}
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"{path}?{urlencode(query)}", text, headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self._problem or f"kubectl proxy: {type(error).__name__}") from error
        if response.status < HTTPStatus.BAD_REQUEST:
            return response
        raw = response.read().decode(errors="replace").strip()
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not raw.startswith("{"):
            raise UnreachableError(raw)  # the proxy's own words
        refused = MissingError if response.status == HTTPStatus.NOT_FOUND else ApiError
        raise refused(response.status, json.loads(raw).get("message", raw) if raw.startswith("{") else raw)

    def request(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One answer of the API server; raises `ApiError` or `Unreachable`."""
        return json.loads(self._send(method, path, body, query).read())

    def _lines(self, path: str, query: dict[str, Any]) -> Iterator[bytes]:
        try:
            yield from self._send("GET", path, None, query)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self._problem or f"watch: {type(error).__name__}") from error

    def find(self, path: str) -> Any:
        """The object at this path, or None."""
        with contextlib.suppress(MissingError):
            return self.request("GET", path)
        return None

    def follow(self, path: str, deadline: float, **selector: str) -> Iterator[list[Any]]:
        """What a collection holds: now, after each change and every `SLICE_SECONDS`, until the deadline (monotonic)."""
        while True:
            listed = self.request("GET", path, **selector)
            typed = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
            found = {item["metadata"]["uid"]: typed | item for item in listed["items"]}
            yield list(found.values())
            seconds = min(SLICE_SECONDS, math.ceil(deadline - time.monotonic()))
            if seconds <= 0:
                return
            since = {"watch": 1, "resourceVersion": listed["metadata"]["resourceVersion"], "timeoutSeconds": seconds}
            for line in self._lines(path, since | selector):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    break
                found[event["object"]["metadata"]["uid"]] = event["object"]
                if event["type"] == "DELETED":
                    del found[event["object"]["metadata"]["uid"]]
                yield list(found.values())
