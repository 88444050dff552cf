"""Where the log collector writes in the cluster's own cloud: what is made, who may write, what a stack says of it."""

import json
from typing import Any

import pytest
from modelway import CloudLoggingAccess, CloudWatchLogGroup

from infra.logs import log_args, log_group_args, logging_access_args, makes_access
from infra.settings import load
from tests.unit import aws_testing, cloud_mutants, gcp_testing
from tests.unit.aws_monitoring_checks import OWNER, bare, policy, statements, trust
from tests.unit.aws_testing import ACCOUNT, LOGGING, EksCluster
from tests.unit.cloud_testing import Recorded, behind
from tests.unit.gcp_testing import NUMBER, PROJECT, GkeCluster
from tests.unit.test_cloud_stacks import raw, sentences

GROUP_ARN = "${aws_cloudwatch_log_group.logs-group.arn}"
IMAGE = {"logCollector": f"r.example/collector@sha256:{'a' * 64}"}


def amazon(recorded: Recorded) -> None:
    """A group with a key of its own, both kept in production, which one service account may only write to."""
    key = bare(recorded, "logs-key")
    encrypt = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    of_group = {"kms:EncryptionContext:aws:logs:arn": [f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/modelway/cluster"]}
    use = {
        "Sid": "LogGroups",
        "Effect": "Allow",
        "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
        "Action": encrypt,
        "Resource": "*",
        "Condition": {"ArnEquals": of_group},
    }
    assert json.loads(key.pop("policy")) == statements(OWNER, use)
    assert key == {"enableKeyRotation": True, "deletionWindowInDays": 30}
    kms = "${aws_kms_key.logs-key.arn}"
    assert bare(recorded, "logs-group") == {"name": "/modelway/cluster", "kmsKeyId": kms, "retentionInDays": 400}
    assert policy(recorded, "logs-writer-role", "assumeRolePolicy") == trust("modelway-logs", "log-collector")
    grant = bare(recorded, "logs-writer-policy")
    actions, places = ["logs:CreateLogStream", "logs:PutLogEvents"], [GROUP_ARN, f"{GROUP_ARN}:*"]
    write = {"Sid": "WriteLogs", "Effect": "Allow", "Action": actions, "Resource": places}
    assert json.loads(grant.pop("policy")) == statements(write)
    assert grant == {"role": "${aws_iam_role.logs-writer-role.name}"}
    assert bare(recorded, "logs-writer-identity") == {
        "clusterName": "cluster",
        "namespace": "modelway-logs",
        "serviceAccount": "log-collector",
        "roleArn": "${aws_iam_role.logs-writer-role.arn}",
    }
    assert "logs-writer-policy" in recorded.options["logs-writer-identity"]["depends_on"]
    protected = {name for name, options in recorded.options.items() if options["protect"]}
    assert protected == {"logs-key", "logs-group"}


def google(recorded: Recorded) -> None:
    """One service account writes to the logs of a project, and reads none."""
    service = {"project": "logs-of-acme", "service": "logging.googleapis.com", "disableOnDestroy": False}
    assert recorded.inputs("logs-service-logging") == service
    pool = f"projects/{NUMBER}/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog"
    assert recorded.inputs("logs-writer") == {
        "project": "logs-of-acme",
        "role": "roles/logging.logWriter",
        "member": f"principal://iam.googleapis.com/{pool}/subject/ns/modelway-logs/sa/log-collector",
    }
    assert "logs-service-logging" in recorded.options["logs-writer"]["depends_on"]


CLOUDS: dict[str, tuple[Any, Any]] = {"amazon": (aws_testing, amazon), "google": (gcp_testing, google)}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_access_is_as_stated_and_a_preview_registers_the_same(cloud: str) -> None:
    testing, check = CLOUDS[cloud]
    recorded = testing.logging()
    check(recorded)
    assert testing.logging(preview=True).urns == recorded.urns


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_property_that_the_access_loses_is_missed(cloud: str) -> None:
    testing, check = CLOUDS[cloud]

    def missed(recorded: Recorded) -> bool:
        try:
            check(recorded)
        except (AssertionError, LookupError, ValueError, TypeError, AttributeError):
            return True
        return False

    made = list(cloud_mutants.mutants(testing.logging()))
    assert [mutant.where for mutant in made if not missed(mutant.recorded)] == []
    assert len(made) >= 9


def test_only_the_identity_waits_for_the_cluster() -> None:
    def on_aws() -> None:
        cluster = EksCluster("cluster", aws_testing.PRODUCTION)  # type: ignore[arg-type]
        CloudWatchLogGroup("logs", {**LOGGING, "running_cluster": cluster.name})  # type: ignore[typeddict-item]

    def on_google() -> None:
        cluster = GkeCluster("cluster", gcp_testing.PRODUCTION)  # type: ignore[arg-type]
        CloudLoggingAccess("logs", {**gcp_testing.LOGGING, "running_cluster": cluster.name})  # type: ignore[typeddict-item]

    for recorded, waits in (
        (aws_testing.record(on_aws), ["logs-writer-identity"]),
        (gcp_testing.record(on_google), ["logs-writer"]),
    ):
        ours = [name for name in recorded.options if name.startswith("logs-")]
        assert [name for name in ours if "cluster-control-plane" in behind(recorded, name)] == waits


def test_in_development_nothing_is_protected() -> None:
    recorded = aws_testing.logging({**LOGGING, "production": False})
    assert not any(options["protect"] for options in recorded.options.values())


def test_a_time_that_cloudwatch_does_not_know_is_refused() -> None:
    def program() -> None:
        with pytest.raises(ValueError, match=r'CloudWatchLogGroup\("logs"\).retention_days: .* got 6, allowed 1, 3, 5'):
            CloudWatchLogGroup("logs", {**LOGGING, "retention_days": 6})  # type: ignore[typeddict-item]

    aws_testing.record(program)


def stack(name: str, **logs: Any) -> dict[str, Any]:
    return raw(name, logs=logs, images=IMAGE)


def test_a_stack_on_eks_makes_the_group_that_its_collector_writes_to() -> None:
    settings = load(stack("aws-production", destination="cloudwatch", retentionDays=30), "aws-production")
    made: Any = log_group_args(settings, settings.cluster, "running")  # type: ignore[arg-type]
    assert made == {
        "region": "eu-west-1",
        "deployer_role_arn": "arn:aws:iam::111122223333:role/modelway-deployer",
        "cluster_name": "modelway-production",
        "running_cluster": "running",
        "log_group": "/modelway/modelway-production",
        "production": True,
        "tags": {},
        "retention_days": 30,
    }
    told = {"kind": "cloudwatch", "region": "eu-west-1", "log_group": "/modelway/modelway-production"}
    assert (log_args(settings) or {})["destination"] == told
    named = load(stack("aws-production", destination="cloudwatch", logGroup="/x"), "aws-production")
    made = log_group_args(named, named.cluster, "running")  # type: ignore[arg-type]
    assert (made["log_group"], (log_args(named) or {})["destination"]["log_group"]) == ("/x", "/x")


def test_a_stack_on_gke_lets_its_collector_write() -> None:
    settings = load(stack("gcp-production", destination="cloudLogging", project="logs-of-acme"), "gcp-production")
    made = logging_access_args(settings, settings.cluster, "running")  # type: ignore[arg-type]
    expected = {"project": "logs-of-acme", "cluster_project": "models-of-acme", "running_cluster": "running"}
    assert made == expected
    own = load(stack("gcp-production", destination="cloudLogging"), "gcp-production")
    assert logging_access_args(own, own.cluster, "x")["project"] == "models-of-acme"  # type: ignore[arg-type]


def test_who_brings_an_identity_gets_none() -> None:
    said = {"destination": "cloudwatch", "region": "us-east-1", "identityAnnotations": {"a": "b"}}
    settings = load(stack("aws-production", **said), "aws-production")
    assert not makes_access(settings)
    assert (log_args(settings) or {})["destination"] == {"kind": "cloudwatch", "region": "us-east-1"}
    elsewhere = {**stack("aws-staging", destination="loki", url="https://loki.example")}
    assert not makes_access(load(elsewhere, "aws-staging"))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            stack("aws-production", destination="cloudLogging"),
            "modelway:logs.destination: another cloud, which does not know the pods: got cloudLogging with provider eks, "
            "allowed cloudwatch, or identityAnnotations that it knows; change destination, or set identityAnnotations.",
        ),
        (
            stack("gcp-production", destination="cloudwatch", region="eu-west-1"),
            "modelway:logs.destination: another cloud, which does not know the pods: got cloudwatch with provider gke, "
            "allowed cloudLogging, or identityAnnotations that it knows; change destination, or set identityAnnotations.",
        ),
        (
            stack("aws-production", destination="cloudwatch", region="us-east-1"),
            "modelway:logs.region: not where the cluster is: got 'us-east-1', allowed eu-west-1, or none, which is the "
            "same; remove region, or set identityAnnotations.",
        ),
    ],
)
def test_what_the_collector_could_not_write_to_is_refused(config: dict[str, Any], sentence: str) -> None:
    assert sentences(config) == [sentence]
