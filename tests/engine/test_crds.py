"""The CRDs in the components are those of the charts."""

from pathlib import Path

import pytest

from tools import crds
from tools.progress import Progress


@pytest.mark.parametrize("target", crds.TARGETS, ids=lambda target: target.stem)
def test_the_committed_crds_are_what_the_chart_renders(target: Path) -> None:
    assert target.read_text() == crds.render(crds.TARGETS[target](Progress()))
