"""What a preview of a cloud stack refuses before a cloud is asked, and what it costs; no cloud is asked."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cloud_stacks import Clouds, clouds
from tools.paths import PROJECT

pytestmark = pytest.mark.engine
AWS: dict[str, dict[str, Any]] = {
    "cluster": {
        "kubernetesVersion": "1.29",
        "access": {"cidrs": ["0.0.0.0/0", "203.0.113.9/24"]},
        "autoMode": False,
        "network": {"zones": ["eu-west-1a", "eu-west-2b"], "cidr": "10.0.0.0/16", "serviceCidr": "10.0.0.0/20"},
        "nodePools": [{"name": "base", "instanceTypes": ["m7i.large"], "minSize": 5, "maxSize": 2}],
        "zones": ["europe-west4-a"],
    },
    "gateway": {"address": "models.example.com:1"},
}
GCP: dict[str, dict[str, Any]] = {
    "cluster": {
        "region": "europe-west12",
        "kubernetesVersion": "1.29",
        "access": None,
        "zones": ["europe-west4-a", "europe-west12-b"],
        "network": {"nodesCidr": "10.0.0.1/20", "podsCidr": "10.4.0.0/14", "servicesCidr": "10.4.0.0/20"},
        "nodePools": [
            {"name": "base", "machineType": "e2-standard-4", "minSize": 5, "maxSize": 2},
            {"name": "gpu", "machineType": "g2-standard-24", "minSize": 0, "maxSize": 2},
        ],
        "deployerRoleArn": "arn:aws:iam::111122223333:role/ci",
    },
    "registry": {"pushRoleArn": "arn:aws:iam::111122223333:role/ci"},
}
REFUSED = {
    "aws-production": (
        AWS,
        [
            "modelway:cluster.zones: a setting of provider gke",
            "modelway:cluster.kubernetesVersion: EKS does not offer this version",
            "modelway:cluster.access.cidrs: public access from anywhere in production",
            "modelway:cluster.access.cidrs: host bits are set, the network is 203.0.113.0/24",
            "modelway:cluster.network.zones: no zone of the region",
            "modelway:cluster.network: networks overlap",
            "modelway:cluster.nodePools[0].minSize: more than maxSize",
            "modelway:gateway.address: has a port",
            "AWS: no credentials on this machine",
        ],
    ),
    "aws-staging": (
        {"cluster": {"region": "eu-wset-1"}},
        ["modelway:cluster.region: unknown region", "AWS: no credentials on this machine"],
    ),
    "gcp-production": (
        GCP,
        [
            "modelway:cluster.deployerRoleArn: a setting of provider eks",
            "modelway:cluster.kubernetesVersion: GKE does not offer this version in the channel REGULAR",
            "modelway:cluster.access: missing in production",
            "modelway:cluster.network.nodesCidr: host bits are set, the network is 10.0.0.0/20",
            "modelway:cluster.network: networks overlap",
            "modelway:cluster.zones: no zone of the region",
            "modelway:cluster.nodePools[0].minSize: more than maxSize",
            "modelway:cluster.nodePools[1].machineType: no nvidia-l4 in the region",
            "modelway:registry.pushRoleArn: a setting of provider ecr",
            "Google Cloud: no credentials on this machine",
        ],
    ),
}
"""What is changed in a stack, and how every sentence of its preview begins."""


@pytest.mark.parametrize("stack", REFUSED)
def test_all_that_is_wrong_is_told_in_one_preview_and_no_cloud_is_asked(
    tmp_path: Path, environment: dict[str, str], binaries: Mapping[str, Path], stack: str
) -> None:
    assert binaries["pulumi"].exists()
    nothing = {"HOME": str(tmp_path), "AWS_PROFILE": "", "GOOGLE_OAUTH_ACCESS_TOKEN": ""}
    made = clouds(tmp_path / "clouds", environment, nothing)
    changes, expected = REFUSED[made.initialised(stack)]
    for key, fields in changes.items():
        made.change(stack, key, **fields)
    said = made.work.refused("preview", "-s", stack).rpartition("error: ")[2].partition("\n\n")[0]
    sentences = [line.strip() for line in said.splitlines()]
    assert [sentence.split(": got ")[0] for sentence in sentences] == expected
    assert all(re.search(r": got .+, allowed .+; .+[.?]$", sentence) for sentence in sentences)
    assert made.noted("invoke", "create") == []


def modelway(made: Clouds, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """One command of `modelway` in a checkout of its own."""
    for room in ("infra", "tools", "policies"):
        if (made.work.folder / room).is_symlink():
            (made.work.folder / room).unlink()
            shutil.copytree(PROJECT / room, made.work.folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "infra.cli", *arguments]
    return subprocess.run(
        command, cwd=made.work.folder, env=dict(made.work.environment), capture_output=True, text=True, check=False
    )


OVER = re.compile(
    r"modelway:cost\.monthlyBudgetUsd: the stack costs more: got \$([\d,.]+) a month, of which (\w+) \$[\d,.]+, allowed \$1\.00;"
)


def test_what_a_month_costs_is_made_of_a_preview_with_the_pages_of_its_prices(made: Clouds) -> None:
    made.change("aws-production", "cost", monthlyBudgetUsd=1)
    shown = modelway(made, "cost", "aws-production", "--json", "--load", "100")
    cost = json.loads(shown.stdout)
    least = cost["monthlyUsd"]["least"]
    assert sum(each["least"] for each in cost["groups"].values()) == pytest.approx(least, abs=0.05)
    assert cost["usdPer1000Predictions"] == pytest.approx(least / (100 * 730 * 3.6), abs=1e-6)
    assert {each["resource"] for each in cost["lines"]} >= {"cluster-secrets-key", "cluster-logs-key", "registry-key"}
    assert all(each["address"].startswith("https://") for each in cost["lines"])
    over = OVER.search(shown.stderr)
    assert (shown.returncode, over and over.groups()) == (1, (f"{least:,.2f}", "keys"))


def test_a_preview_over_the_budget_fails(made: Clouds) -> None:
    made.change("gcp-production", "cost", monthlyBudgetUsd=1)
    refused = modelway(made, "preview", "gcp-production")
    over = OVER.search(refused.stderr)
    assert (refused.returncode, over and over[2]) == (1, "nodes")
    assert re.search(r"^Preview: 1\d\d to create, 0 to update", refused.stdout, re.MULTILINE)
    assert made.noted("create") == []
