"""Run by the judges' own Python: hands each policy to moto's IAM and ECR, and prints what they refuse.

Reads `{"trusts": {...}, "permissions": {...}, "repositories": {...}, "lifecycles": {...}, "alarms": {...}}`, each a
name with a document, from standard input; prints `{name: error}`.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import boto3  # type: ignore[import-not-found,unused-ignore]
from botocore.exceptions import ClientError, ParamValidationError  # type: ignore[import-not-found,unused-ignore]
from moto import mock_aws  # type: ignore[import-not-found,unused-ignore]

SERVICE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def main() -> None:
    """Every document on its own."""
    os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_DEFAULT_REGION="eu-west-1")
    groups: dict[str, dict[str, Any]] = json.load(sys.stdin)
    refused: dict[str, str] = {}
    with mock_aws():
        iam, ecr, cloudwatch = boto3.client("iam"), boto3.client("ecr"), boto3.client("cloudwatch")

        def trust(name: str, text: str) -> None:
            iam.create_role(RoleName=name[:64], AssumeRolePolicyDocument=text)

        def permission(name: str, text: str) -> None:
            iam.create_role(RoleName=f"p-{name}"[:64], AssumeRolePolicyDocument=json.dumps(SERVICE))
            iam.put_role_policy(RoleName=f"p-{name}"[:64], PolicyName=name, PolicyDocument=text)

        def repository(name: str, text: str) -> None:
            ecr.create_repository(repositoryName=name)
            ecr.set_repository_policy(repositoryName=name, policyText=text)

        def lifecycle(name: str, text: str) -> None:
            ecr.create_repository(repositoryName=name)
            ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)

        def alarm(name: str, text: str) -> None:
            cloudwatch.put_metric_alarm(AlarmName=name, **json.loads(text))

        judges: dict[str, Callable[[str, str], None]] = {
            "trusts": trust,
            "permissions": permission,
            "repositories": repository,
            "lifecycles": lifecycle,
            "alarms": alarm,
        }
        for group, documents in groups.items():
            for name, document in documents.items():
                try:
                    judges[group](name, json.dumps(document))
                except (ClientError, ParamValidationError) as error:
                    refused[f"{group}/{name}"] = str(error)
    print(json.dumps(refused))


if __name__ == "__main__":
    main()
