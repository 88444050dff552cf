"""Policies of an ECR repository, as pure functions."""

from collections.abc import Sequence
from typing import Any

Document = dict[str, Any]

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")

UNTAGGED_DAYS = 14
KEPT_IMAGES = 50


def repository(pull_role_arns: Sequence[str], push_role_arn: str) -> Document:
    """Who may do what with one repository: nodes pull, CI pushes.

    What a repository allows adds to what a role's own policies allow, so an administrator could push without the
    denials.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("NodesPull", list(pull_role_arns), PULL),
            _allow("CiPushes", [push_role_arn], (*PULL, *PUSH)),
            _deny("NobodyElsePushes", PUSH, [push_role_arn]),
            _deny(
                "NobodyElsePulls", ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), [*pull_role_arns, push_role_arn]
            ),
        ],
    }


def _allow(sid: str, roles: list[str], actions: Sequence[str]) -> Document:
    return {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": roles}, "Action": sorted(actions)}


def _deny(sid: str, actions: Sequence[str], except_roles: list[str]) -> Document:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": sorted(actions),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": except_roles}},
    }


def lifecycle() -> Document:
    """Untagged images go after two weeks, and of the others the newest 50 stay."""
    return {
        "rules": [
            _expire(
                1,
                f"untagged for {UNTAGGED_DAYS} days",
                {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": UNTAGGED_DAYS,
                },
            ),
            _expire(
                2,
                f"all but the newest {KEPT_IMAGES}",
                {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
            ),
        ]
    }


def _expire(priority: int, description: str, selection: Document) -> Document:
    return {
        "rulePriority": priority,
        "description": description,
        "selection": selection,
        "action": {"type": "expire"},
    }


def pusher(repository_arns: Sequence[str]) -> Document:
    """What the CI role needs itself: to log in, and to push to these repositories."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "LogIn", "Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]},
            {"Sid": "Push", "Effect": "Allow", "Action": sorted((*PULL, *PUSH)), "Resource": list(repository_arns)},
        ],
    }


def key(account: str) -> Document:
    """Policy of the key; ECR uses it through grants that whoever makes a repository gives it."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AccountDecidesByIam",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
