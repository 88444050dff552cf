"""Reads kubeconfigs."""

from typing import Any

import yaml


def server_of(kubeconfig: str, context: str | None = None) -> str:
    """URL of the API server in a kubeconfig's context, its current one by default; empty where there is none."""
    document: Any = yaml.safe_load(kubeconfig)
    if not isinstance(document, dict):
        return ""
    wanted = context or document.get("current-context")
    contexts = {entry["name"]: entry["context"] for entry in document.get("contexts") or []}
    clusters = {entry["name"]: entry["cluster"] for entry in document.get("clusters") or []}
    return str(clusters.get(contexts.get(wanted, {}).get("cluster"), {}).get("server", ""))
