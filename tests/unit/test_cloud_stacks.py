"""Stacks of the clouds: what the config becomes, what preview refuses in one sentence each, and who imports an SDK."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.cluster.existing import _validate

from infra.clouds import artifact_registry_args, ecr_args, eks_args, gke_args
from infra.config_cluster import EksSettings, GkeSettings, Provider
from infra.credentials import credential_problems
from infra.settings import load, load_file
from tools.paths import PROJECT
from tools.problem import ProblemError

STACKS = ("aws-production", "aws-staging", "gcp-production", "gcp-staging")


def raw(stack: str, **changes: Any) -> dict[str, Any]:
    """Config of a stack, with changes of single fields of its keys; None removes."""
    config: dict[str, Any] = yaml.safe_load((PROJECT / f"stacks/Pulumi.{stack}.yaml").read_text())["config"]
    for key, fields in changes.items():
        merged = {**config.get(f"modelway:{key}", {}), **fields}
        config[f"modelway:{key}"] = {name: value for name, value in merged.items() if value is not None}
    return config


def sentences(config: dict[str, Any]) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(config, "test")
    return [str(problem) for problem in caught.value.problems]


GKE_KEYS = (
    "provider, name, project, region, kubernetesVersion, zones, access, network, nodePools, autopilot, releaseChannel, "
    "maintenanceWindow, binaryAuthorization, securityGroup, labels"
)
CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "gcp-production",
        {"cluster": {"deployerRoleArn": "arn:aws:iam::111122223333:role/x"}},
        [
            "modelway:cluster.deployerRoleArn: a setting of provider eks: got deployerRoleArn with provider gke, "
            f"allowed {GKE_KEYS}; remove deployerRoleArn."
        ],
    ),
    (
        "aws-production",
        {"cluster": {"region": "eu-wset-1"}},
        [
            "modelway:cluster.region: unknown region: got 'eu-wset-1', allowed a region of AWS; "
            "did you mean 'eu-west-1'?"
        ],
    ),
    (
        "gcp-production",
        {"cluster": {"region": "eu-west-1"}},
        [
            "modelway:cluster.region: a region of AWS: got 'eu-west-1', allowed a region of Google Cloud; "
            "move the stack or the cloud."
        ],
    ),
    (
        "aws-production",
        {"cluster": {"network": {"zones": ["eu-west-1a", "eu-west-2b"]}}},
        [
            "modelway:cluster.network.zones: no zone of the region: got 'eu-west-2b', allowed eu-west-1a, eu-west-1b, "
            "…; change zone or region."
        ],
    ),
    (
        "aws-production",
        {"cluster": {"access": {"cidrs": ["0.0.0.0/0"]}}},
        [
            "modelway:cluster.access.cidrs: public access from anywhere in production: got '0.0.0.0/0', allowed /16 to "
            "/32; name the addresses of whoever deploys, or use vpc."
        ],
    ),
    (
        "aws-production",
        {"cluster": {"access": None}},
        ["modelway:cluster.access: missing: got nothing, allowed a value; add access."],
    ),
    (
        "gcp-production",
        {"cluster": {"access": None}},
        [
            "modelway:cluster.access: missing in production: got nothing, allowed {dns: true}, {vpc: true} or "
            "{cidrs: [...]}; dns for a name behind IAM, vpc for a runner in the network, cidrs for addresses outside."
        ],
    ),
    (
        "aws-production",
        {"cluster": {"kubernetesVersion": "1.29"}},
        [
            "modelway:cluster.kubernetesVersion: EKS does not offer this version: got '1.29', allowed 1.33, 1.34, 1.35, "
            "1.36 (read on 2026-08-22); choose one of them, one minor above the cluster's at most."
        ],
    ),
    (
        "aws-production",
        {"cluster": {"network": {"zones": ["eu-west-1a", "eu-west-1b"], "cidr": "172.20.0.1/16"}}},
        [
            "modelway:cluster.network.cidr: host bits are set, the network is 172.20.0.0/16: got '172.20.0.1/16', "
            "allowed an IPv4 CIDR from /16 to /20; correct it."
        ],
    ),
    (
        "aws-production",
        {"registry": {"provider": "artifact-registry", "pushRoleArn": None, "pushServiceAccount": "a@b"}},
        [
            "modelway:registry.provider: no registry for a cluster of provider eks: got artifact-registry, allowed ecr, "
            "existing; change one of them."
        ],
    ),
    (
        "aws-production",
        {"registry": {"provider": None, "pushRoleArn": None}},
        [
            "modelway:registry: missing for a cluster in a cloud: got nothing, allowed provider ecr, or the url of a "
            "registry; set provider: ecr."
        ],
    ),
    (
        "gcp-staging",
        {"registry": {"pushRoleArn": "arn:aws:iam::111122223333:role/ci"}},
        [
            "modelway:registry.pushRoleArn: a setting of provider ecr: got pushRoleArn with provider "
            "artifact-registry, allowed only with ecr; remove pushRoleArn."
        ],
    ),
    (
        "aws-staging",
        {"registry": {"pushRoleArn": None}},
        [
            "modelway:registry.pushRoleArn: no ARN of a role: got '', allowed arn:aws:iam::ACCOUNT:role/NAME; "
            "correct it."
        ],
    ),
    (
        "gcp-staging",
        {"gateway": {"address": None}},
        [
            "modelway:gateway.address: missing: got nothing, allowed the host under which clients reach the load "
            "balancer; set address."
        ],
    ),
    (
        "gcp-staging",
        {"gateway": {"address": "models.example.com:8080"}},
        [
            "modelway:gateway.address: has a port: got 'models.example.com:8080', allowed a host; the load balancer "
            "listens on 80 and 443; remove the port."
        ],
    ),
]
"""Stack, changes, and all that is refused."""


@pytest.mark.parametrize(("stack", "changes", "expected"), CASES, ids=[case[2][0].split(": got")[0] for case in CASES])
def test_what_does_not_fit_a_cloud_is_refused_in_preview(
    stack: str, changes: dict[str, Any], expected: list[str]
) -> None:
    assert sentences(raw(stack, **changes)) == expected


def test_problems_of_cluster_registry_and_edge_are_told_together() -> None:
    pool = {"name": "base", "instanceTypes": ["m7i.large"], "minSize": 5, "maxSize": 2}
    wrong = raw(
        "aws-production",
        cluster={"region": "mars", "autoMode": None, "nodePools": [pool]},
        registry={"pushRoleArn": "ci"},
        gateway={"address": "models.example.com:1"},
    )
    assert [sentence.split(": got")[0] for sentence in sentences(wrong)] == [
        "modelway:cluster.region: unknown region",
        "modelway:cluster.nodePools[0].minSize: more than maxSize",
        "modelway:gateway.address: has a port",
        "modelway:registry.pushRoleArn: no ARN of a role",
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_production_protects_and_staging_does_not(stack: str) -> None:
    settings = load_file(PROJECT / f"stacks/Pulumi.{stack}.yaml", stack)
    production = stack.endswith("-production")
    if isinstance(settings.cluster, EksSettings):
        registry = ecr_args(settings, settings.cluster)
        assert (eks_args(settings)["production"], registry["production"]) == (production, production)
        assert registry["repositories"] == ["breast-cancer"]
        assert eks_args(settings)["api_access"] == ({"vpc": True} if production else {"cidrs": ["203.0.113.7/32"]})
    else:
        assert isinstance(settings.cluster, GkeSettings)
        made = artifact_registry_args(settings, settings.cluster)
        assert (gke_args(settings)["production"], made["production"]) == (production, production)
        assert gke_args(settings).get("api_access") == ({"dns": True} if production else None)


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_is_short(stack: str) -> None:
    assert len((PROJECT / f"stacks/Pulumi.{stack}.yaml").read_text().splitlines()) <= 32


NAMED = [
    ({"provider": "existing", "eks": "shop"}, ["modelway:cluster.region: missing for eks"]),
    (
        {"provider": "existing", "gke": "shop"},
        ["modelway:cluster.project: missing for gke", "modelway:cluster.region: missing for gke"],
    ),
    (
        {"provider": "existing", "eks": "shop", "gke": "shop", "region": "r", "project": "p"},
        ["modelway:cluster: several clusters"],
    ),
    ({"provider": "existing", "eks": "shop", "region": "r", "context": "c"}, ["modelway:cluster.context: not used"]),
    ({"provider": "existing", "kubeconfig": "k", "project": "p"}, ["modelway:cluster.project: not used"]),
    ({"provider": "kind", "eks": "shop"}, ["modelway:cluster.eks: not used with provider kind"]),
]


@pytest.mark.parametrize(("cluster", "expected"), NAMED)
def test_an_existing_cluster_has_one_name(cluster: dict[str, Any], expected: list[str]) -> None:
    version = {"name": "v1", "image": "registry.example/iris@sha256:" + "a" * 64}
    config = {
        "modelway:cluster": cluster,
        "modelway:gateway": {"address": "models.example.com"},
        "modelway:models": [{"name": "iris", "versions": [version]}],
    }
    assert [sentence.split(": got")[0] for sentence in sentences(config)] == expected


def test_missing_credentials_are_one_sentence_and_any_begin_of_some_is_enough(tmp_path: Path) -> None:
    assert [str(problem) for problem in credential_problems(Provider.EKS, {}, tmp_path)] == [
        "AWS: no credentials on this machine: got none in the environment, no ~/.aws, no machine of AWS, allowed "
        "AWS_PROFILE, AWS_ACCESS_KEY_ID or a web identity; run `aws sso login`, or set them."
    ]
    assert [str(problem) for problem in credential_problems(Provider.GKE, {}, tmp_path)] == [
        "Google Cloud: no credentials on this machine: got none in the environment or of gcloud, no machine of Google "
        "Cloud, allowed application default credentials; run `gcloud auth application-default login`, or set "
        "GOOGLE_APPLICATION_CREDENTIALS."
    ]
    assert credential_problems(Provider.EKS, {"AWS_PROFILE": "x"}, tmp_path) == []
    assert credential_problems(Provider.GKE, {"GOOGLE_APPLICATION_CREDENTIALS": "x"}, tmp_path) == []
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").touch()
    (tmp_path / ".config/gcloud").mkdir(parents=True)
    (tmp_path / ".config/gcloud/application_default_credentials.json").touch()
    assert credential_problems(Provider.EKS, {}, tmp_path) == []
    assert credential_problems(Provider.GKE, {}, tmp_path) == []
    assert credential_problems(Provider.KIND, {}, tmp_path) == []


PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import pulumi, yaml
from infra import program

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return args.name, {**args.inputs, "stdout": ""}
    def call(self, args):
        return {**args.args, "id": "x", "version": "v1", "number": "1", "names": []}

pulumi.runtime.set_mocks(Mocks(), project="modelway", stack=sys.argv[1], preview=True)
document = yaml.safe_load(open(f"stacks/Pulumi.{sys.argv[1]}.yaml"))
pulumi.runtime.set_all_config(
    {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}
)
pulumi.runtime.test(program.main)()
print(sorted({name.split(".")[0] for name in sys.modules} & {"pulumi_aws", "pulumi_gcp"}))
"""


@pytest.mark.parametrize(
    ("stack", "loaded"), [("local", []), ("aws-staging", ["pulumi_aws"]), ("gcp-staging", ["pulumi_gcp"])]
)
def test_a_stack_imports_the_sdk_of_its_own_cloud_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, loaded: list[str]
) -> None:
    digest = "registry.example/breast-cancer@sha256:" + "b" * 64
    (tmp_path / "lock.json").write_text(f'{{"breast-cancer:v1": "{digest}", "breast-cancer:v2": "{digest}"}}')
    for name, value in {
        "MODELWAY_IMAGES_LOCK": str(tmp_path / "lock.json"),
        "AWS_PROFILE": "x",
        "GOOGLE_OAUTH_ACCESS_TOKEN": "x",
    }.items():
        monkeypatch.setenv(name, value)
    asked = subprocess.run(
        [sys.executable, "-c", PROGRAM, stack], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert asked.stdout.splitlines()[-1:] == [str(loaded)], asked.stderr[-2000:]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({}, 'ExistingCluster("c"): not one cluster: got nothing, allowed one of kubeconfig, eks, gke; add one.'),
        (
            {"kubeconfig": "k", "eks": {"name": "shop", "region": "r"}},
            'ExistingCluster("c"): not one cluster: got kubeconfig and eks, allowed one of kubeconfig, eks, gke; '
            "remove the others.",
        ),
        (
            {"eks": {"name": "shop", "region": "r"}, "context": "x"},
            "ExistingCluster(\"c\").context: not used with eks: got 'x', allowed only with kubeconfig; remove it.",
        ),
    ],
)
def test_an_existing_cluster_component_takes_one_way_to_it(args: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        _validate("c", args)
