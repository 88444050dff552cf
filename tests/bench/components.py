"""What the components cost, as ratios in one run: `make bench-components`.

Import is compared with `import pulumi, pulumi_kubernetes`, which every program pays; rendering is plain Python.
"""

import subprocess
import sys
import time
from statistics import median

ROUNDS = 5
MODELS = 50
IMAGE = "registry.example/m@sha256:" + "a" * 64


def import_seconds(statement: str) -> float:
    """Median wall time of a fresh process that runs `statement`."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def render_seconds() -> tuple[float, int]:
    """Median wall time to render the objects of `MODELS` models with two versions each, and their number."""
    from modelway.serving.objects import ServerSpec, server_manifests
    from modelway.serving.routes import Arm, RouteSpec, route_manifests

    seconds, count = [], 0
    for _ in range(ROUNDS):
        started, count = time.perf_counter(), 0
        for number in range(MODELS):
            name = f"m{number}"
            arms = [Arm("v1", f"{name}-v1", 90), Arm("v2", f"{name}-v2", 10)]
            for arm in arms:
                count += len(server_manifests(ServerSpec(name, arm.version, "models", IMAGE, "gateway", "monitoring")))
            count += len(route_manifests(RouteSpec(name, "models", "modelway", "gateway", arms, f"/{name}")))
        seconds.append(time.perf_counter() - started)
    return median(seconds), count


def clouds_loaded() -> list[str]:
    """Cloud SDKs that importing every component loads; none should be."""
    statement = (
        "import sys, modelway; [getattr(modelway, n) for n in modelway.__all__]; "
        "print(*[m for m in ('pulumi_aws', 'pulumi_gcp') if m in sys.modules])"
    )
    return subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True, text=True).stdout.split()


def main() -> None:
    """Print the figures."""
    floor = import_seconds("import pulumi, pulumi_kubernetes")
    package = import_seconds("import modelway")
    everything = import_seconds("import modelway; [getattr(modelway, n) for n in modelway.__all__]")
    render, count = render_seconds()
    print(f"import pulumi, pulumi_kubernetes   {floor:6.3f} s   1.00")
    print(f"import modelway                    {package:6.3f} s   {package / floor:4.2f}")
    print(f"import every component             {everything:6.3f} s   {everything / floor:4.2f}")
    print(f"render {count} objects of {MODELS} models  {render:6.3f} s   {render / floor:4.2f}")
    print(f"cloud SDKs loaded: {', '.join(clouds_loaded()) or 'none'}")


if __name__ == "__main__":
    main()
