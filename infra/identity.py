"""Recognizes the cluster that a stack was deployed to, so that a new one under the old name is not taken for it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClusterIdentity:
    """The uid of the cluster's `kube-system` namespace: it lives exactly as long as the cluster."""

    file: Path
    """Where the uid of the last deployment is kept."""
    kubectl: Sequence[str]
    """The command that speaks to the cluster; empty where there is none yet."""

    def changed(self) -> str | None:
        """Why the cluster is another one than at the last deployment; None: the same, or nobody can know."""
        if not self.file.exists():
            return None
        now = self._uid()
        return "there is a new one in its place" if now and now != self.file.read_text() else None

    def record(self) -> None:
        """Keep the uid, if the cluster answers."""
        if uid := self._uid():
            self.file.write_text(uid)

    def forget(self) -> None:
        """The stack is gone: any cluster will do for the next."""
        self.file.unlink(missing_ok=True)

    def _uid(self) -> str:
        if not self.kubectl:
            return ""
        question = ["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}", "--request-timeout=10s"]
        return subprocess.run([*self.kubectl, *question], capture_output=True, text=True, check=False).stdout.strip()
