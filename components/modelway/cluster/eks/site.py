"""What the parts of a cluster share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi


@dataclass(frozen=True)
class Site:
    """One cluster's component, names, place and tags."""

    component: pulumi.ComponentResource
    name: str
    """Prefix of the logical names."""
    cluster: str
    """Name of the cluster in AWS."""
    region: str
    account: str
    production: bool
    common_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def cluster_arn(self) -> str:
        """ARN of the cluster, known before it exists."""
        return f"arn:aws:eks:{self.region}:{self.account}:cluster/{self.cluster}"

    def tags(self, name: str = "", **more: str) -> dict[str, str]:
        """Tags of one resource; `name` is what the console shows."""
        own = {"Name": f"{self.cluster}-{name}"} if name else {}
        return {**own, "modelway:cluster": self.cluster, **more, **self.common_tags}

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
        """Options of a question to AWS."""
        return pulumi.InvokeOptions(parent=self.component)
