"""Which jobs of a continuous integration may take a role; pure.

GitHub: https://docs.github.com/en/actions/reference/security/oidc (read at commit 051718f2 of github/docs): a job that
names an environment has it in its subject, a job of a pull request has `pull_request`, and repositories made after
2026-07-15 have the IDs of owner and repository in it. GitLab:
https://docs.gitlab.com/ci/secrets/id_token_authentication/: the subject names the branch, other claims the rest.
"""

import re
from typing import NamedTuple

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
PROJECT_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
NUMBER = re.compile(r"[1-9][0-9]{0,19}")
"""None of them lets a wildcard, a quote or a variable of a policy through."""


class GithubJobs(NamedTuple):
    """Jobs of one repository."""

    repository: str
    repository_id: str
    owner_id: str
    immutable_subject: bool

    def subject(self, who: str) -> str:
        """Subject of its jobs for `pull_request` or `environment:NAME`."""
        owner, _, name = self.repository.partition("/")
        if self.immutable_subject:
            return f"repo:{owner}@{self.owner_id}/{name}@{self.repository_id}:{who}"
        return f"repo:{owner}/{name}:{who}"

    def condition(self, who: str) -> str:
        """The same for Google Cloud, in the Common Expression Language; the IDs never name another repository."""
        return (
            f"assertion.repository_id == '{self.repository_id}' && "
            f"assertion.repository_owner_id == '{self.owner_id}' && assertion.sub == '{self.subject(who)}'"
        )


def gitlab_subject(project_path: str, branch: str) -> str:
    """Subject of a project's jobs for a branch."""
    return f"project_path:{project_path}:ref_type:branch:ref:{branch}"


def gitlab_preview_condition(project_id: str) -> str:
    """A project's jobs for merge requests, for Google Cloud."""
    return f"assertion.project_id == '{project_id}' && assertion.pipeline_source == 'merge_request_event'"


def gitlab_up_condition(project_id: str, environment: str) -> str:
    """A project's jobs for a protected environment on a protected branch, for Google Cloud."""
    return (
        f"assertion.project_id == '{project_id}' && assertion.environment == '{environment}' && "
        "assertion.environment_protected == 'true' && assertion.ref_protected == 'true'"
    )
