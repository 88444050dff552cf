"""What `EcrRegistry` registers, in preview and in up, what it gives out and what it refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from modelway.registry import ecr_policies

from tests.unit import aws_checks, aws_options, aws_testing
from tests.unit.aws_testing import ACCOUNT, PUSHER, REGISTRY, UNKNOWN, EcrRegistry, Recorded

NODE = f"arn:aws:iam::{ACCOUNT}:role/node"
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
PUSH = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]


@pytest.mark.parametrize("check", [*aws_checks.REGISTRY_CHECKS, *aws_options.REGISTRY_CHECKS], ids=lambda f: f.__name__)
def test_a_registry_registers_exactly_this(check: Callable[[Recorded], None]) -> None:
    check(aws_testing.registry())


@pytest.mark.parametrize("preview", [False, True])
def test_a_registry_is_these_resources_and_no_other(preview: bool) -> None:
    component = "urn:pulumi:test::modelway::modelway:index:EcrRegistry"
    names = {
        "kms/key:Key": ["registry-key"],
        "ecr/lifecyclePolicy:LifecyclePolicy": ["registry-breast-cancer-lifecycle", "registry-model-server-lifecycle"],
        "ecr/repository:Repository": ["registry-breast-cancer-repository", "registry-model-server-repository"],
        "ecr/repositoryPolicy:RepositoryPolicy": ["registry-breast-cancer-policy", "registry-model-server-policy"],
    }
    expected = [f"{component}$aws:{kind}::{name}" for kind, found in names.items() for name in found]
    stack = "urn:pulumi:test::modelway::pulumi:pulumi:Stack$modelway:index:EcrRegistry::registry"
    assert aws_testing.registry(preview=preview).urns == sorted([stack, *expected])


def test_roles_that_are_not_known_yet_leave_only_the_policies_unknown() -> None:
    def program() -> None:
        cluster = aws_testing.EksCluster("cluster", aws_testing.PRODUCTION)  # type: ignore[arg-type]
        EcrRegistry("registry", {**REGISTRY, "pull_role_arns": cluster.node_role_arns})  # type: ignore[typeddict-item]

    preview, up = aws_testing.record(program, preview=True), aws_testing.record(program)
    assert preview.inputs("registry-breast-cancer-policy")["policy"] == UNKNOWN
    assert preview.inputs("registry-breast-cancer-repository")["name"] == "modelway/breast-cancer"
    text = up.inputs("registry-breast-cancer-policy")["policy"]
    assert "${aws_iam_role.cluster-node-role.arn}" in text
    assert "${aws_iam_role.cluster-karpenter-node-role.arn}" in text
    # The registry is made beside the control plane: nothing of it waits for the cluster.
    waits = {
        name for options in up.options.values() for name in options["depends_on"] if options["parent"] == "registry"
    }
    assert not [name for name in waits if name == "cluster-control-plane"]


def test_outputs_are_those_of_every_registry() -> None:
    seen: dict[str, str] = {}

    def program() -> None:
        made = EcrRegistry("registry", REGISTRY)  # type: ignore[arg-type]
        for name in ("url", "push_command", "pull_secret"):
            getattr(made, name).apply(lambda value, key=name: seen.update({key: value}))

    aws_testing.record(program)
    host = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/modelway"
    assert seen == {"url": host, "push_command": f"docker push {host}/NAME:TAG", "pull_secret": ""}


def test_nodes_pull_ci_pushes_and_nobody_else_does_either() -> None:
    assert ecr_policies.repository([NODE], PUSHER) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "NodesPull", "Effect": "Allow", "Principal": {"AWS": [NODE]}, "Action": PULL},
            {"Sid": "CiPushes", "Effect": "Allow", "Principal": {"AWS": [PUSHER]}, "Action": sorted([*PULL, *PUSH])},
            {
                "Sid": "NobodyElsePushes",
                "Effect": "Deny",
                "Principal": "*",
                "Action": PUSH,
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [PUSHER]}},
            },
            {
                "Sid": "NobodyElsePulls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [NODE, PUSHER]}},
            },
        ],
    }


def test_untagged_images_go_after_two_weeks_and_fifty_others_stay() -> None:
    assert ecr_policies.lifecycle() == {
        "rules": [
            {
                "rulePriority": 1,
                "description": "untagged for 14 days",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "all but the newest 50",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 50},
                "action": {"type": "expire"},
            },
        ]
    }


def test_ci_may_log_in_and_push_to_the_named_repositories() -> None:
    assert ecr_policies.pusher(["repository"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "LogIn", "Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]},
            {"Sid": "Push", "Effect": "Allow", "Action": sorted([*PULL, *PUSH]), "Resource": ["repository"]},
        ],
    }


def test_development_differs_by_protection_only() -> None:
    after, before = aws_testing.registry({**REGISTRY, "production": False}), aws_testing.registry()
    assert [resource.inputs for resource in after.resources] == [resource.inputs for resource in before.resources]
    assert [name for name, options in after.options.items() if options["protect"]] == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"region": "eu-west1"},
            "region: unknown region: got 'eu-west1', allowed a region of AWS; did you mean 'eu-west-1'?",
        ),
        (
            {"push_role_arn": "ci"},
            "push_role_arn: no ARN of a role: got 'ci', allowed arn:aws:iam::ACCOUNT:role/NAME; correct it.",
        ),
        ({"repositories": []}, "repositories: no repository: got none, allowed at least one name; name the images."),
        ({"repositories": ["a", "a"]}, "repositories: named twice: got 'a', allowed each once; remove one."),
        (
            {"repositories": ["Iris"]},
            "repositories: no name of a repository: got 'modelway/Iris', allowed lower-case letters and digits, with single '.', '_', '-' or '/' between, at most 256; rename it.",
        ),
    ],
)
def test_one_mistake_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="EcrRegistry") as caught:
            EcrRegistry("registry", {**REGISTRY, **changes})  # type: ignore[typeddict-item]
        assert str(caught.value) == f'EcrRegistry("registry").{sentence}'

    assert aws_testing.record(program).counts() == {"modelway:index:EcrRegistry": 1}
