"""The one alert that only somewhere else than in the cluster can be decided: that nothing comes from there any more."""

from typing import Any

MINUTES = 5


def unwatched_rule() -> dict[str, Any]:
    """Fires when no recorded series of any objective has arrived for so long that Prometheus must be gone."""
    return {
        "alert": "ModelwayUnwatched",
        "expr": 'absent(model_version:modelway_absent:bool{model=~".+"})',
        "for": f"{MINUTES}m",
        "labels": {"severity": "page"},
        "annotations": {
            "summary": "Nothing has come from the cluster's Prometheus: its models are not watched",
            "description": "All alerts of objectives stay silent as long as this fires.",
            "runbook_url": "docs/runbooks/modelway-unwatched.md",
        },
    }
