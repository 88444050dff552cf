"""checkov judges the objects of every runtime: a judge that knows nothing of them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.serving.objects import server_manifests

from tests.judges import checkov
from tests.unit.runtime_samples import FULL, foreign

SKIPPED = {("container", "CKV_K8S_35"): "asks for secrets as files; a server that is not ours may read variables only"}
"""Findings that stay, by runtime and check, with the reason."""

TEETH: dict[str, tuple[str, Any]] = {
    "CKV_K8S_20": ("allowPrivilegeEscalation", True),
    "CKV_K8S_22": ("readOnlyRootFilesystem", False),
    "CKV_K8S_16": ("privileged", True),
    "CKV_K8S_40": ("runAsUser", 0),
}
"""Checks with a change of the container's security that each must find."""


def written(folder: Path, name: str, **security: Any) -> Path:
    """The objects of one runtime as files in a folder of its name."""
    (folder / name).mkdir()
    for number, manifest in enumerate(server_manifests(foreign(name))):
        if manifest["kind"] == "Deployment":
            pod = manifest["spec"]["template"]["spec"]
            pod["containers"][0]["securityContext"] |= security
            pod["securityContext"] |= {key: value for key, value in security.items() if key in pod["securityContext"]}
        (folder / name / f"{number}.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def test_checkov_finds_nothing_in_any_runtime(tmp_path: Path) -> None:
    for name in FULL:
        written(tmp_path, name)
    verdict = checkov.judge(tmp_path, "kubernetes")
    assert {row[0] for row in verdict.passed} == set(FULL)
    assert {row[:2] for row in verdict.failed} == set(SKIPPED)


@pytest.mark.parametrize("check", TEETH)
def test_checkov_would_have_found_it(tmp_path: Path, check: str) -> None:
    field, value = TEETH[check]
    verdict = checkov.judge(written(tmp_path, "vllm", **{field: value}), "kubernetes")
    assert check in {row[1] for row in verdict.failed}
