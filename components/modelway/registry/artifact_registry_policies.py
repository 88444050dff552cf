"""Who may do what with an Artifact Registry repository, and what goes from it; pure."""

from typing import NamedTuple

READER = "roles/artifactregistry.reader"
WRITER = "roles/artifactregistry.writer"
"""Pushes and pulls, and deletes nothing."""

UNTAGGED_SECONDS = 14 * 24 * 3600
KEPT_IMAGES = 50


class Cleanup(NamedTuple):
    """A cleanup policy; what one keeps, no other deletes."""

    id: str
    action: str
    tag_state: str = ""
    older_than: str = ""
    keep_count: int = 0


CLEANUPS = (
    Cleanup("untagged", "DELETE", tag_state="UNTAGGED", older_than=f"{UNTAGGED_SECONDS}s"),
    Cleanup("newest", "KEEP", keep_count=KEPT_IMAGES),
)
"""Untagged images go after two weeks, the newest 50 of each name stay. Those with a tag stay as well: a tag that
never moves cannot be deleted, and so not what it names."""


def member(email: str) -> str:
    """A service account as IAM names it."""
    return f"serviceAccount:{email}"
