"""The gateway's CRDs in the components are those of the chart."""

from tools import crds
from tools.progress import Progress
from tools.toolchain.charts import crd_manifests


def test_the_committed_crds_are_what_the_chart_renders() -> None:
    assert crds.TARGET.read_text() == crds.render(crd_manifests(Progress()))
