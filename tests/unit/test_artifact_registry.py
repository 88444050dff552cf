"""What `ArtifactRegistry` registers, in preview and in up, what it gives out and what it refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from modelway.registry import artifact_registry_arguments

from tests.unit import gcp_checks, gcp_options, gcp_testing
from tests.unit.cloud_testing import UNKNOWN
from tests.unit.gcp_testing import PRODUCTION, REGISTRY, ArtifactRegistry, GkeCluster, Recorded


@pytest.mark.parametrize("check", [*gcp_checks.REGISTRY_CHECKS, *gcp_options.REGISTRY_CHECKS], ids=lambda f: f.__name__)
def test_a_registry_registers_exactly_this(check: Callable[[Recorded], None]) -> None:
    check(gcp_testing.registry())


@pytest.mark.parametrize("preview", [False, True])
def test_a_registry_is_these_resources_and_no_other(preview: bool) -> None:
    component = "urn:pulumi:test::modelway::modelway:index:ArtifactRegistry"
    names = {
        "artifactregistry/repository:Repository": ["registry-repository"],
        "artifactregistry/repositoryIamBinding:RepositoryIamBinding": ["registry-ci-pushes", "registry-nodes-pull"],
        "kms/cryptoKey:CryptoKey": ["registry-images-key"],
        "kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ["registry-images-key-user"],
        "kms/keyRing:KeyRing": ["registry-keys"],
        "projects/service:Service": [
            f"registry-service-{name}" for name in ("artifactregistry", "cloudkms", "containerscanning")
        ],
        "projects/serviceIdentity:ServiceIdentity": ["registry-agent-artifactregistry"],
    }
    expected = [f"{component}$gcp:{kind}::{name}" for kind, found in names.items() for name in found]
    stack = "urn:pulumi:test::modelway::pulumi:pulumi:Stack$modelway:index:ArtifactRegistry::registry"
    assert gcp_testing.registry(preview=preview).urns == sorted([stack, *expected])


def test_nodes_that_are_not_known_yet_leave_only_who_pulls_unknown() -> None:
    def program() -> None:
        made = GkeCluster("cluster", PRODUCTION)  # type: ignore[arg-type]
        nodes = made.node_service_accounts
        ArtifactRegistry("registry", {**REGISTRY, "pull_service_accounts": nodes})  # type: ignore[typeddict-item]

    preview, up = gcp_testing.record(program, preview=True), gcp_testing.record(program)
    assert preview.inputs("registry-nodes-pull")["members"] == UNKNOWN
    assert preview.inputs("registry-ci-pushes")["members"] == up.inputs("registry-ci-pushes")["members"]
    assert preview.inputs("registry-repository")["repositoryId"] == "modelway"
    pulls = up.inputs("registry-nodes-pull")["members"]
    assert pulls == ["serviceAccount:${google_service_account.cluster-nodes.email}"]
    # The registry is made beside the control plane: nothing of it waits for the cluster.
    waits = {
        name for options in up.options.values() for name in options["depends_on"] if options["parent"] == "registry"
    }
    assert "cluster-control-plane" not in waits


def test_outputs_are_those_of_every_registry() -> None:
    seen: dict[str, str] = {}

    def program() -> None:
        made = ArtifactRegistry("registry", REGISTRY)  # type: ignore[arg-type]
        for name in ("url", "push_command", "pull_secret"):
            getattr(made, name).apply(lambda value, key=name: seen.update({key: value}))

    gcp_testing.record(program)
    host = "europe-west4-docker.pkg.dev/models-of-acme/modelway"
    assert seen == {"url": host, "push_command": f"docker push {host}/NAME:TAG", "pull_secret": ""}


def test_development_differs_by_protection_only() -> None:
    after, before = gcp_testing.registry({**REGISTRY, "production": False}), gcp_testing.registry()
    assert [resource.inputs for resource in after.resources] == [resource.inputs for resource in before.resources]
    assert [name for name, options in after.options.items() if options["protect"]] == []


CHANGES: dict[str, dict[str, Any]] = {
    "project": {"project": "other-project"},
    "region": {"region": "us-central1"},
    "pull_service_accounts": {"pull_service_accounts": []},
    "push_service_account": {"push_service_account": "ci-other@models-of-acme.iam.gserviceaccount.com"},
    "production": {"production": False},
    "repository": {"repository": "images"},
    "labels": {"labels": {"team": "vision"}},
}


def test_every_argument_acts() -> None:
    assert CHANGES.keys() == artifact_registry_arguments.ArtifactRegistryArgs.__annotations__.keys()

    def shape(changes: dict[str, Any]) -> Any:
        recorded = gcp_testing.registry({**REGISTRY, **changes})
        return [(item.name, item.inputs) for item in recorded.resources], recorded.options

    before = shape({})
    assert [key for key, changes in CHANGES.items() if shape(changes) == before] == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"region": "europe-west44"},
            "region: unknown region: got 'europe-west44', allowed a region of Google Cloud; did you mean 'europe-west4'?",
        ),
        (
            {"region": "eu-west-1"},
            "region: a region of AWS: got 'eu-west-1', allowed a region of Google Cloud; move the stack or the cloud.",
        ),
        (
            {"project": "Acme"},
            "project: no ID of a project: got 'Acme', allowed 6 to 30 lower-case letters, digits and '-', a letter first; see `gcloud projects list`.",
        ),
        (
            {"push_service_account": "me@example.com"},
            "push_service_account: no service account: got 'me@example.com', allowed NAME@PROJECT.iam.gserviceaccount.com; see `gcloud iam service-accounts list`.",
        ),
        (
            {"pull_service_accounts": ["allUsers"]},
            "pull_service_accounts: no service account: got 'allUsers', allowed NAME@PROJECT.iam.gserviceaccount.com; see `gcloud iam service-accounts list`.",
        ),
        (
            {"repository": "Images"},
            "repository: no name of a repository: got 'Images', allowed lower-case letters, digits and '-', a letter first, at most 63; rename it.",
        ),
        (
            {"labels": {"Team": "vision"}},
            "labels: Google Cloud refuses this label: got 'Team=vision', allowed lower-case letters, digits, '_' and '-', a letter first in the key, at most 63 each; rename it.",
        ),
        (
            {"push_role_arn": "arn:aws:iam::111122223333:role/ci"},
            "push_role_arn: a setting of AWS: got it, allowed settings of Google Cloud; remove it.",
        ),
        (
            {"repositry": "x"},
            "repositry: unknown argument: got 'repositry', allowed project, region, pull_service_accounts, push_service_account, production, repository, labels; did you mean 'repository'?",
        ),
    ],
)
def test_one_mistake_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="ArtifactRegistry") as caught:
            ArtifactRegistry("registry", {**REGISTRY, **changes})  # type: ignore[typeddict-item]
        assert str(caught.value) == f'ArtifactRegistry("registry").{sentence}'

    assert gcp_testing.record(program).counts() == {"modelway:index:ArtifactRegistry": 1}


def test_all_mistakes_are_said_together() -> None:
    args: Any = {**REGISTRY, "region": "mars", "project": "111122223333", "push_service_account": "x"}
    found = artifact_registry_arguments.check("Registry", args).sentences
    assert [sentence.split(":")[0] for sentence in found] == [
        f'ArtifactRegistry("Registry").{argument}'
        for argument in ("name of the component", "project", "region", "push_service_account")
    ]
