"""What keys, limits and TLS cost at the gateway, as ratios in one run: `make bench-edge` (root on Linux).

Four models with the same server stand behind one proxy on the one-node Kubernetes and are asked in turns, so that
whatever else the machine does meets all of them.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from tests.cluster.edge import until, write_keys
from tests.cluster.stack import PORTS, Stack, modelway
from tools.progress import Progress
from tools.toolchain import ensure

ROUNDS, SECONDS = 5, 5
CONNECTIONS = 16
KEY = {"x-api-key": "bench-key"}
LIMITS = {"requestsPerSecond": 1_000_000, "requestsPerSecondPerClient": 100_000}
MODELS: dict[str, dict[str, Any]] = {
    "plain": {"access": "public"},
    "body": {"access": "public", "limits": {"bodyBytes": 1_000_000}},
    "limits": {"access": "public", "limits": {**LIMITS, "bodyBytes": 1_000_000}},
    "keys": {"access": "keyed", "limits": {**LIMITS, "bodyBytes": 1_000_000}},
}
"""The first is what the others are compared with."""


def measure(url: str, bodies: Path, headers: dict[str, str], connections: int) -> dict[str, float]:
    """One run of the load generator; raises when an answer was not 2xx."""
    tool = ensure(["wrk"], Progress())["wrk"]
    script = Path(__file__).with_name("server") / "post.lua"
    options = ["-t1", f"-c{connections}", f"-d{SECONDS}s", "--timeout", "10s", "-s", str(script)]
    options += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    environment = {**os.environ, "BENCH_BODIES": str(bodies)}
    command = [str(tool.path), *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if found["bad"]:
        raise RuntimeError(f"{url}: {found['bad']:.0f} requests failed")
    return found


def compare(stack: Stack, urls: dict[str, str], folder: Path, label: str) -> dict[str, tuple[float, float]]:
    """Median p50 of one connection in ms, and requests per second of many, of each model; printed on the way."""
    row = stack.reference("v1")["rows"][0]
    bodies = folder / "bodies.jsonl"
    bodies.write_text(json.dumps(row) + "\n")
    p50: dict[str, list[float]] = {name: [] for name in urls}
    rates: dict[str, list[float]] = {name: [] for name in urls}
    for _ in range(ROUNDS):
        for name, url in urls.items():
            headers = KEY if name == "keys" else {}
            p50[name].append(measure(url, bodies, headers, 1)["p50_ms"])
            found = measure(url, bodies, headers, CONNECTIONS)
            rates[name].append(found["requests"] / found["seconds"])
    for name in urls:
        print(f"{label:5} {name:7} p50 {median(p50[name]):.3f} ms   {median(rates[name]):.0f} requests/s", flush=True)
    return {name: (median(p50[name]), median(rates[name])) for name in urls}


def served(stack: Stack, folder: Path, gateway: dict[str, Any]) -> dict[str, str]:
    """The URLs of the models, deployed with this gateway."""
    version = {"name": "v1", "image": stack.lock()["breast-cancer:v1"], "replicas": 1}
    models = [{"name": name, **said, "versions": [version]} for name, said in MODELS.items()]
    split = stack.up_with(models[0], folder / "project", *models[1:], gateway={"auth": {}, **gateway})[0]
    return {name: split.replace("/plain/", f"/{name}/") for name in MODELS}


def main() -> None:
    """Measure on a node of its own, which is taken down in the end."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        environment = {
            **os.environ,
            **PORTS,
            "MODELWAY_STATE_DIR": name,
            "MODELWAY_IMAGES_LOCK": str(state / "images.lock.json"),
        }
        stack = Stack(state, environment, "")
        try:
            modelway(environment, "up", "node", check=True)
            found = {}
            for label, gateway in (("http", {}), ("https", {"tls": {"hosts": ["127.0.0.1"]}})):
                folder = state / label
                folder.mkdir()
                urls = served(stack, folder, gateway)
                if label == "http":
                    write_keys(stack, bench_1=KEY["x-api-key"])
                    until(urls["keys"], stack.reference("v1")["rows"][0], KEY, 200)
                found |= {f"{label} {name}": each for name, each in compare(stack, urls, folder, label).items()}
        finally:
            modelway(environment, "node", "down", check=False)
    base_p50, base_rate = found["http plain"]
    print("compared with plain over http:")
    for name, (p50, rate) in found.items():
        print(f"{name:13} p50 x{p50 / base_p50:.2f}   requests/s x{rate / base_rate:.2f}")


if __name__ == "__main__":
    main()
