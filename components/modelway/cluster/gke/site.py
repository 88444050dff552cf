"""What the parts of a component share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class Place:
    """One component with its name, place and labels."""

    component: pulumi.ComponentResource
    name: str
    """Prefix of the logical names."""
    project: str
    region: str
    production: bool
    labels: Mapping[str, str]

    def child(
        self,
        depends_on: Sequence[pulumi.Resource] = (),
        deleted_with: pulumi.Resource | None = None,
        protect: bool = False,
        ignore_changes: Sequence[str] = (),
    ) -> pulumi.ResourceOptions:
        """Options of a child; `protect` holds in production only."""
        return pulumi.ResourceOptions(
            parent=self.component,
            depends_on=list(depends_on) or None,
            deleted_with=deleted_with,
            protect=True if protect and self.production else None,
            ignore_changes=list(ignore_changes) or None,
        )

    def invoke(self) -> pulumi.InvokeOptions:
        """Options of a question to Google Cloud."""
        return pulumi.InvokeOptions(parent=self.component)


@dataclass(frozen=True)
class Site(Place):
    """A cluster's component."""

    cluster: str
    """Name of the cluster in Google Cloud."""

    @property
    def identifier(self) -> str:
        """Full resource name of the cluster, known before it exists."""
        return f"//container.googleapis.com/projects/{self.project}/locations/{self.region}/clusters/{self.cluster}"
