"""Google Cloud's services that a component needs, and the identities under which they act."""

from collections.abc import Iterable, Mapping

import pulumi
import pulumi_gcp as gcp

from modelway.cluster.gke.site import Place

Services = Mapping[str, pulumi.Resource]


def enable(place: Place, names: Iterable[str]) -> dict[str, pulumi.Resource]:
    """Switches services of the project on, by name such as `container`; they stay on when the component goes."""
    return {
        name: gcp.projects.Service(
            f"{place.name}-service-{name}",
            project=place.project,
            service=f"{name}.googleapis.com",
            # Others in the project may use it.
            disable_on_destroy=False,
            opts=place.child(),
        )
        for name in names
    }


def agent(place: Place, services: Services, name: str) -> pulumi.Output[str]:
    """IAM member of the service's own identity, which is made if the project has none yet."""
    identity = gcp.projects.ServiceIdentity(
        f"{place.name}-agent-{name}",
        project=place.project,
        service=f"{name}.googleapis.com",
        opts=place.child(depends_on=[services[name]]),
    )
    return identity.member


def compute_agent(place: Place) -> pulumi.Output[str]:
    """IAM member of Compute Engine, whose identity nothing gives out: its address is made of the project's number.

    Source: https://github.com/terraform-google-modules/terraform-google-kubernetes-engine,
    examples/simple_autopilot_private_cmek/main.tf at commit bb176b21 of 2026-06-25.
    """
    # Asked of Google Cloud in preview too.
    project = gcp.organizations.get_project_output(project_id=place.project, opts=place.invoke())
    return project.number.apply(
        lambda number: f"serviceAccount:service-{number}@compute-system.iam.gserviceaccount.com"
    )
