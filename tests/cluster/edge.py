"""A guarded model behind the real gateway: its servers, its keys and tokens, and the requests that tests send."""

import base64
import itertools
import json
import socket
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.cluster.stack import PORTS, Stack
from tests.cluster.test_containers import CONTAINERS, image_of

SERVERS = ("own", *CONTAINERS)
"""Versions of the guarded model: our own server, FastAPI, Flask and Tornado."""
INSIDE = {"x-forwarded-for": "203.0.113.9"}
"""What a trusted proxy says of a client in the one network that is let in."""
OUTSIDE = {"x-forwarded-for": "203.0.113.9, 198.51.100.1"}
"""The same of a client elsewhere that claims to be in it."""
GATEWAY = {
    "trustedProxies": 1,
    "sourceRanges": ["203.0.113.0/24"],
    "cors": {"origins": ["https://app.example"]},
    "connections": {"headerSeconds": 3, "requestSeconds": 6},
}
OVERALL, PER_CLIENT = 60, 40
"""Requests per second: two clients together reach the first, one alone the second."""
BODY_BYTES = 100_000
LIMITS = {"requestsPerSecond": OVERALL, "requestsPerSecondPerClient": PER_CLIENT, "bodyBytes": BODY_BYTES}
READY_SECONDS = 60.0
HOST, PORT = "127.0.0.1", int(PORTS["MODELWAY_GATEWAY_PORT"])


def guarded_model(stack: Stack, folder: Path) -> dict[str, Any]:
    """The model `guarded` with one version a server, all of the same trained model."""
    own = {"name": "own", "image": stack.lock()["breast-cancer:v1"], "replicas": 1, "weight": 25}
    foreign = [
        {
            "name": name,
            "image": image_of(name, folder),
            "runtime": "container",
            "container": container,
            "replicas": 1,
            "weight": 25,
        }
        for name, container in CONTAINERS.items()
    ]
    return {"name": "guarded", "access": "keyed", "limits": LIMITS, "versions": [own, *foreign]}


def write_keys(stack: Stack, **keys: str | None) -> None:
    """Write entries of the Secret with the API keys, `acme_1` for `acme.1`; None takes one away."""
    data = {
        name.replace("_", "."): None if key is None else base64.b64encode(key.encode()).decode()
        for name, key in keys.items()
    }
    command = ("patch", "secret", "modelway-api-keys", "-n", "modelway-models", "--type=merge")
    stack.kubectl(*command, "--patch-file=/dev/stdin", stdin=json.dumps({"data": data}))


def until(url: str, row: Any, headers: dict[str, str], status: int) -> None:
    """Ask until the answer has this status: Envoy takes keys asynchronously and has no event to wait on."""
    deadline = time.monotonic() + READY_SECONDS
    got = 0
    while got != status:
        assert time.monotonic() < deadline, f"{url}: {got} instead of {status} for {READY_SECONDS} s"
        got = httpx.post(url, json=row, headers=headers, trust_env=False).status_code


def assert_error(answer: httpx.Response, status: int, request_id: str | None = None) -> None:
    """An error of the gateway looks like one of the model server, and names the request."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    body = answer.json()
    assert set(body) == {"error", "request_id"}
    assert body["error"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["request_id"] == request_id if request_id else body["request_id"]


@dataclass(frozen=True)
class Rate:
    """What a client got that asked as fast as it could."""

    per_second: float
    answers: Counter[int]
    refusal: httpx.Response


def served_rate(url: str, row: Any, *headers: dict[str, str], seconds: float) -> Rate:
    """Ask without pause, with each of `headers` in turn; count from the first refusal on, when what was saved up is
    used up."""
    answers: Counter[int] = Counter()
    refusal, begin = None, 0.0
    turns = itertools.cycle(headers)
    with httpx.Client(trust_env=False) as client:
        deadline = time.monotonic() + READY_SECONDS
        while refusal is None or time.monotonic() - begin < seconds:
            assert time.monotonic() < deadline, f"never refused: {answers}"
            answer = client.post(url, json=row, headers=next(turns))
            if refusal is not None:
                answers[answer.status_code] += 1
            elif answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
                refusal, begin = answer, time.monotonic()
        return Rate(answers[200] / (time.monotonic() - begin), answers, refusal)


def dripped(head: bytes, seconds: float) -> tuple[float, bytes]:
    """Send `head` and then one byte ten times a second; how long the gateway bore it, and what it said."""
    with socket.create_connection((HOST, PORT), timeout=0.1) as connection:
        begin, said = time.monotonic(), b""
        connection.sendall(head)
        while time.monotonic() - begin < seconds:
            try:
                connection.sendall(b"x")
                part = connection.recv(65536)
                said += part
                if not part:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return time.monotonic() - begin, said


class Issuer:
    """Signs tokens, and says by which public key they are known."""

    def __init__(self, name: str = "https://id.example") -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> str:
        """The public key as a set of keys (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        point = {name: _coded(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}
        return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "one", **point}]})

    def token(self, **claims: Any) -> str:
        """A good token for the audience `models`, but for `claims`; None leaves a claim out."""
        now = int(time.time())
        known = {"iss": self.name, "aud": "models", "sub": "acme", "iat": now, "exp": now + 600, **claims}
        head = _part({"alg": "ES256", "typ": "JWT", "kid": "one"})
        signed = f"{head}.{_part({name: value for name, value in known.items() if value is not None})}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_coded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def unsigned(token: str) -> str:
    """The same claims with `alg` `none` and no signature (RFC 7519, 6.1)."""
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def _part(content: dict[str, Any]) -> str:
    return _coded(json.dumps(content).encode())


def _coded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
