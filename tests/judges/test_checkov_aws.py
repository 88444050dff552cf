"""checkov judges what the AWS components register: a judge that knows nothing of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.judges import checkov, terraform
from tests.unit import aws_testing
from tests.unit.aws_testing import REGISTRY, Resource, without

EXISTING = {"vpc_id": "vpc-1", "private_subnet_ids": ["subnet-1", "subnet-2"]}
CLUSTERS: dict[str, dict[str, Any]] = {
    "production": aws_testing.PRODUCTION,
    "public-api": without(api_access={"cidrs": ["203.0.113.7/32"]}),
    "auto-mode": without("node_pools", auto_mode=True),
    "existing-network": without(network=EXISTING),
    "development": without(production=False, network={"zones": ["eu-west-1a", "eu-west-1b"]}),
}
SKIPPED = {
    (
        "public-api",
        "CKV_AWS_39",
    ): "asks for no public address of the API at all; this variant is the choice of named ones",
}
"""Findings that stay, by variant and check, with the reason; at most five."""

TEETH: dict[str, tuple[str, str, Any]] = {
    "CKV_AWS_37": ("cluster-control-plane", "enabledClusterLogTypes", ["api"]),
    "CKV_AWS_58": ("cluster-control-plane", "encryptionConfig", None),
    "CKV_AWS_39": ("cluster-control-plane", "vpcConfig", {"endpointPublicAccess": True}),
    "CKV_AWS_339": ("cluster-control-plane", "version", "1.20"),
    "CKV_AWS_7": ("cluster-secrets-key", "enableKeyRotation", False),
    "CKV_AWS_158": ("cluster-logs", "kmsKeyId", None),
    "CKV_AWS_338": ("cluster-logs", "retentionInDays", 30),
    "CKV_AWS_79": ("cluster-pool-base-template", "metadataOptions", {"httpTokens": "optional"}),
    "CKV_AWS_341": (
        "cluster-pool-base-template",
        "metadataOptions",
        {"httpTokens": "required", "httpPutResponseHopLimit": 2},
    ),
    "CKV_AWS_130": ("cluster-private-a", "mapPublicIpOnLaunch", True),
    "CKV_AWS_100": ("cluster-pool-base", "remoteAccess", {"ec2SshKey": "me"}),
    "CKV_AWS_27": ("cluster-interruptions", "sqsManagedSseEnabled", False),
    "CKV2_AWS_12": (
        "cluster-default-security-group",
        "ingress",
        [{"fromPort": 0, "toPort": 0, "protocol": "-1", "self": True}],
    ),
    "CKV2_AWS_11": ("cluster-flow-log", "vpcId", "vpc-other"),
    "CKV_AWS_290": (
        "cluster-load-balancer-policy",
        "policy",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ec2:*"], "Resource": ["*"]}]}',
    ),
    "CKV_AWS_60": (
        "cluster-node-role",
        "assumeRolePolicy",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {"AWS": "*"}}]}',
    ),
    "CKV_AWS_26": ("watch-pages", "kmsMasterKeyId", None),
    "CKV_AWS_319": ("watch-absent-iris-v1", "actionsEnabled", False),
    "CKV_AWS_66": ("logs-group", "retentionInDays", None),
    "CKV_AWS_169": (
        "watch-pages-policy",
        "policy",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sns:Publish"], "Principal": "*"}]}',
    ),
    "CKV_AWS_51": ("registry-breast-cancer-repository", "imageTagMutability", "MUTABLE"),
    "CKV_AWS_136": ("registry-breast-cancer-repository", "encryptionConfigurations", None),
    "CKV_AWS_163": ("registry-breast-cancer-repository", "imageScanningConfiguration", None),
    "CKV_AWS_32": (
        "registry-breast-cancer-policy",
        "policy",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ecr:GetDownloadUrlForLayer"], "Principal": "*"}]}',
    ),
}
"""What checkov must find where it is planted, by check: resource, property, value. It shows that the converter's text
is understood."""


@pytest.fixture(scope="module")
def recordings() -> dict[str, list[Resource]]:
    rest = [*aws_testing.registry(REGISTRY).resources, *aws_testing.monitoring().resources]
    rest += aws_testing.logging().resources
    return {name: [*aws_testing.cluster(args).resources, *rest] for name, args in CLUSTERS.items()}


def planted(resources: list[Resource], name: str, key: str, value: Any) -> list[Resource]:
    return [
        Resource(resource.typ, resource.name, {**resource.inputs, key: value}) if resource.name == name else resource
        for resource in resources
    ]


@pytest.fixture(scope="module")
def verdict(recordings: dict[str, list[Resource]], tmp_path_factory: pytest.TempPathFactory) -> checkov.Verdict:
    """One run over all folders: starting checkov takes longer than judging."""
    folder = tmp_path_factory.mktemp("terraform")
    modules = dict(recordings)
    for check, (name, key, value) in TEETH.items():
        modules[f"planted-{check}"] = planted(recordings["production"], name, key, value)
    for module, resources in modules.items():
        (folder / module).mkdir()
        (folder / module / "main.tf").write_text(terraform.write(resources), encoding="utf-8")
    return checkov.judge(Path(folder))


def test_nothing_fails_but_what_is_skipped_with_its_reason(verdict: checkov.Verdict) -> None:
    found = {(module, check): resource for module, check, resource in verdict.failed if module in CLUSTERS}
    assert sorted(found) == sorted(SKIPPED)
    assert len(SKIPPED) <= 5


@pytest.mark.parametrize("module", CLUSTERS)
def test_policies_networks_nodes_and_registries_are_all_judged(verdict: checkov.Verdict, module: str) -> None:
    judged = {check for folder, check, _ in verdict.passed if folder == module}
    assert {"CKV_AWS_58", "CKV_AWS_37", "CKV_AWS_51", "CKV_AWS_290", "CKV_AWS_355", "CKV_AWS_7", "CKV_AWS_32"} <= judged
    assert len([1 for folder, _, _ in verdict.passed if folder == module]) > 100


@pytest.mark.parametrize("check", TEETH)
def test_what_is_planted_is_found(verdict: checkov.Verdict, check: str) -> None:
    found = {
        (failed, resource.partition(".")[2])
        for module, failed, resource in verdict.failed
        if module == f"planted-{check}"
    }
    # A flow log of another network is found at the network.
    resource = "cluster-vpc" if check.startswith("CKV2") else TEETH[check][0]
    assert (check, resource) in found
