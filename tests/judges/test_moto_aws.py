"""moto takes every IAM and ECR document: it parses them as AWS does, and judges nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.judges import environment
from tests.judges.terraform import arns
from tests.unit import aws_testing

PROGRAM = Path(__file__).with_name("moto_documents.py")
Documents = dict[str, dict[str, Any]]


def refused(documents: Documents) -> dict[str, str]:
    python = environment.folder() / "bin/python"
    command = [str(python), "-P", str(PROGRAM)]
    done = subprocess.run(command, input=json.dumps(documents), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def documents() -> Documents:
    cluster, registry = aws_testing.cluster(), aws_testing.registry()
    pods = (cluster, aws_testing.monitoring(), aws_testing.logging())

    def all_of(recorded: aws_testing.Recorded, typ: str, key: str) -> dict[str, Any]:
        return {item.name: json.loads(arns(item.inputs[key])) for item in recorded.typed(typ)}

    def of_pods(typ: str, key: str) -> dict[str, Any]:
        return {name: found for recorded in pods for name, found in all_of(recorded, typ, key).items()}

    return {
        "trusts": of_pods("aws:iam/role:Role", "assumeRolePolicy"),
        "permissions": of_pods("aws:iam/rolePolicy:RolePolicy", "policy"),
        "repositories": all_of(registry, "aws:ecr/repositoryPolicy:RepositoryPolicy", "policy"),
        "lifecycles": all_of(registry, "aws:ecr/lifecyclePolicy:LifecyclePolicy", "policy"),
    }


def test_every_document_is_taken(documents: Documents) -> None:
    assert {group: len(found) for group, found in documents.items()} == {
        "trusts": 13,
        "permissions": 8,
        "repositories": 2,
        "lifecycles": 2,
    }
    assert refused(documents) == {}


def test_broken_documents_are_refused() -> None:
    broken = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Perhaps", "Action": ["sqs:Receive"], "Resource": ["*"]}],
    }
    wrong_condition = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": ["*"], "Condition": {"StringSame": {"a": "b"}}}
        ],
    }
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 0}
    none_kept = {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}
    found = refused({"permissions": {"a": broken, "b": wrong_condition}, "lifecycles": {"cc": none_kept}})
    assert sorted(found) == ["lifecycles/cc", "permissions/a", "permissions/b"]
