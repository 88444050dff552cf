"""What pods may do in a cloud, exactly, and nothing of another model."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from modelway.cluster.eks import charts
from modelway.identity import pods

from tests.unit import cloud_mutants, identity_testing
from tests.unit.cloud_testing import Recorded
from tests.unit.identity_testing import ACCOUNT, POD_ARGS, POD_KINDS, PROJECT

KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"
POOL = f"projects/123456789012/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog"


def principal(namespace: str, account: str) -> str:
    return f"principal://iam.googleapis.com/{POOL}/subject/ns/{namespace}/sa/{account}"


def s3(recorded: Recorded) -> None:
    """Each version's service account, and only it, reads below the model's folder with the bucket's key."""
    for account in ("iris-v1", "iris-v2"):
        trust = json.loads(recorded.inputs(f"iris-{account}-role")["assumeRolePolicy"])
        assert trust == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "pods.eks.amazonaws.com"},
                    "Action": ["sts:AssumeRole", "sts:TagSession"],
                    "Condition": {
                        "StringEquals": {
                            "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/cluster",
                            "aws:RequestTag/kubernetes-namespace": "modelway-models",
                            "aws:RequestTag/kubernetes-service-account": account,
                        }
                    },
                }
            ],
        }
        policy = recorded.inputs(f"iris-{account}-policy")
        assert json.loads(policy["policy"]) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "ReadArtifacts",
                    "Effect": "Allow",
                    "Action": ["s3:GetObject"],
                    "Resource": ["arn:aws:s3:::acme-models/models/iris/*"],
                },
                {
                    "Sid": "ListArtifacts",
                    "Effect": "Allow",
                    "Action": ["s3:ListBucket"],
                    "Resource": ["arn:aws:s3:::acme-models"],
                    "Condition": {"StringLike": {"s3:prefix": ["models/iris/*"]}},
                },
                {"Sid": "DecryptArtifacts", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [KEY]},
            ],
        }
        assert policy["role"] == f"${{aws_iam_role.iris-{account}-role.name}}"
        assert recorded.inputs(f"iris-{account}-identity") == {
            "clusterName": "cluster",
            "namespace": "modelway-models",
            "serviceAccount": account,
            "roleArn": f"${{aws_iam_role.iris-{account}-role.arn}}",
            "tags": {"modelway:model": "models/iris"},
        }
        assert f"iris-{account}-policy" in recorded.options[f"iris-{account}-identity"]["depends_on"]


def gcs(recorded: Recorded) -> None:
    """Each version's service account reads below the model's folder and lists nothing."""
    for account in ("iris-v1", "iris-v2"):
        assert recorded.inputs(f"iris-{account}-reads") == {
            "bucket": "acme-models",
            "role": "roles/storage.objectViewer",
            "member": principal("modelway-models", account),
            "condition": {
                "title": "artifacts below models/iris",
                "expression": "resource.name.startsWith('projects/_/buckets/acme-models/objects/models/iris/')",
            },
        }


def dns(recorded: Recorded) -> None:
    """Both write in one zone, and find it by name."""
    for role, namespace in (("external-dns", "external-dns"), ("cert-manager", "modelway-cert-manager")):
        member = principal(namespace, role)
        assert recorded.inputs(f"iris-{role}-zone") == {
            "project": PROJECT,
            "managedZone": "acme-dev",
            "role": "roles/dns.admin",
            "member": member,
        }
        assert recorded.inputs(f"iris-{role}-zones") == {
            "project": PROJECT,
            "role": "roles/dns.reader",
            "member": member,
        }


CHECKS: dict[str, Callable[[Recorded], None]] = {"S3ModelAccess": s3, "GcsModelAccess": gcs, "GkeDnsAccess": dns}


@pytest.mark.parametrize("kind", POD_KINDS)
def test_a_component_registers_exactly_this(kind: str) -> None:
    recorded = identity_testing.record(kind)
    CHECKS[kind](recorded)
    assert identity_testing.record(kind, preview=True).urns == recorded.urns


@pytest.mark.parametrize("kind", POD_KINDS)
def test_every_property_that_is_lost_is_missed(kind: str) -> None:
    def missed(recorded: Recorded) -> bool:
        try:
            CHECKS[kind](recorded)
        except (AssertionError, KeyError, ValueError):
            return True
        return False

    made = list(cloud_mutants.mutants(identity_testing.record(kind)))
    assert [mutant.where for mutant in made if not missed(mutant.recorded)] == []
    assert len(made) >= 14


CHANGES: dict[str, Any] = {
    "namespace": "other",
    "service_accounts": ["iris-v3"],
    "bucket": "other-models",
    "folder": "models/wine",
    "cluster_name": "other",
    "cluster_arn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/other",
    "key_arn": None,
    "tags": {"team": "vision"},
    "project": "other-project",
    "zone": "other-dev",
    "external_dns": "dns/dns",
    "cert_manager": "certificates/cert-manager",
}


@pytest.mark.parametrize("kind", POD_KINDS)
def test_every_argument_acts(kind: str) -> None:
    def shape(changes: dict[str, Any]) -> Any:
        return [(item.name, item.inputs) for item in identity_testing.record(kind, **changes).resources]

    before = shape({})
    named = {*POD_ARGS[kind], *(["tags"] if kind == "S3ModelAccess" else [])}
    assert [name for name in named if shape({name: CHANGES[name]}) == before] == []


@pytest.mark.parametrize("kind", ["S3ModelAccess", "GcsModelAccess"])
@pytest.mark.parametrize("folder", ["", "/", "models/*", "models/", "a b", "m'iris", "${aws:username}"])
def test_a_folder_that_opens_more_than_one_model_is_refused(kind: str, folder: str) -> None:
    changes = {**POD_ARGS[kind], "folder": folder}

    def program() -> None:
        with pytest.raises(ValueError, match="opens more than one model") as caught:
            POD_KINDS[kind]("iris", changes)
        assert str(caught.value) == (
            f'{kind}("iris").folder: opens more than one model: got {folder!r}, allowed a folder of the model, without '
            "wildcards and without '/' at its ends; name the model's."
        )

    assert identity_testing.cloud_testing.record(identity_testing.CLOUD, program).counts() == {
        f"modelway:index:{kind}": 1
    }


def test_other_mistakes_are_sentences_too() -> None:
    def program() -> None:
        for kind, changes, sentence in (
            ("S3ModelAccess", {"service_accounts": []}, "service_accounts: empty: got none"),
            ("GcsModelAccess", {"bucket": "*"}, "bucket: opens more than one model: got '*'"),
            ("GkeDnsAccess", {"cert_manager": "cert-manager"}, "cert_manager: no service account: got 'cert-manager'"),
        ):
            with pytest.raises(ValueError, match="allowed") as caught:
                POD_KINDS[kind]("iris", {**POD_ARGS[kind], **changes})
            assert str(caught.value).startswith(f'{kind}("iris").{sentence}')

    identity_testing.cloud_testing.record(identity_testing.CLOUD, program)


def test_no_model_reads_what_another_one_has() -> None:
    """A folder whose name begins with another's is not below it."""
    assert pods.below("b", "models/iris").endswith("objects/models/iris/')")
    assert not "projects/_/buckets/b/objects/models/iris-2/x".startswith("projects/_/buckets/b/objects/models/iris/")


def test_controllers_run_under_the_identity_that_the_cluster_gives_them() -> None:
    made = [
        charts.load_balancer_controller("cluster", "eu-west-1", "vpc-1"),
        charts.karpenter("cluster", "cluster-karpenter"),
        charts.external_dns("cluster", "eu-west-1", ["acme.dev"]),
    ]
    from tests.unit import aws_testing

    given = {
        (item.inputs["namespace"], item.inputs["serviceAccount"])
        for item in aws_testing.cluster().typed("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    }
    assert {(chart.namespace, chart.values["serviceAccount"]["name"]) for chart in made} <= given
    assert [(chart.name, chart.version) for chart in made] == [
        ("aws-load-balancer-controller", "3.5.0"),
        ("karpenter", "1.14.1"),
        ("external-dns", "1.21.1"),
    ]


SECURITY = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def test_values_of_the_charts_are_these() -> None:
    controller = charts.load_balancer_controller("cluster", "eu-west-1", "vpc-1").values
    assert controller == {
        "clusterName": "cluster",
        "region": "eu-west-1",
        "vpcId": "vpc-1",
        "replicaCount": 2,
        "podDisruptionBudget": {"maxUnavailable": 1},
        "serviceAccount": {"create": True, "name": "aws-load-balancer-controller"},
        "defaultTargetType": "ip",
        "createIngressClassResource": False,
        "ingressClassParams": {"create": False},
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "keepTLSSecret": True,
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "securityContext": SECURITY,
    }
    assert charts.karpenter("cluster", "cluster-karpenter").values == {
        "replicas": 2,
        "serviceAccount": {"create": True, "name": "karpenter"},
        "settings": {"clusterName": "cluster", "interruptionQueue": "cluster-karpenter"},
        "controller": {
            "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
        },
    }
    assert charts.external_dns("cluster", "eu-west-1", ["acme.dev"]).values == {
        "provider": {"name": "aws"},
        "sources": ["gateway-httproute"],
        "domainFilters": ["acme.dev"],
        "policy": "sync",
        "registry": "txt",
        "txtOwnerId": "cluster",
        "managedRecordTypes": ["A", "AAAA", "CNAME"],
        "env": [{"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"}],
        "serviceAccount": {"create": True, "name": "external-dns"},
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            "limits": {"cpu": "200m", "memory": "128Mi"},
        },
        "securityContext": SECURITY,
    }


def test_volumes_are_encrypted_and_made_where_their_pod_is() -> None:
    assert charts.storage_class("ebs.csi.aws.com") == {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "modelway",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }
