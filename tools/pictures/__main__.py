"""Command: `python -m tools.pictures --prometheus URL`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from modelway.monitoring.dashboards import dashboards

from tools.paths import PROJECT
from tools.pictures.picture import picture


def main(
    prometheus: Annotated[str, typer.Option(help="URL of Prometheus, also one of `kubectl proxy`.")],
    folder: Annotated[Path, typer.Option(help="Where the pictures go.")] = PROJECT / "docs/pictures",
    minutes: Annotated[int, typer.Option(help="How far back lines reach.", min=1)] = 30,
    model: Annotated[str | None, typer.Option(help="Model to show; the first by name unless set.")] = None,
) -> None:
    """Draw every dashboard as SVG from what Prometheus answers now."""
    with httpx.Client(base_url=prometheus.rstrip("/") + "/api/v1/", trust_env=False, timeout=60) as client:

        def ask(path: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
            answer = client.get(path, params=dict(parameters)).raise_for_status().json()
            result: list[dict[str, Any]] = answer["data"]["result"]
            return result

        folder.mkdir(parents=True, exist_ok=True)
        chosen = {"model": model} if model else {}
        for name, dashboard in dashboards().items():
            (folder / f"{name}.svg").write_text(picture(dashboard, ask, minutes, chosen), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
