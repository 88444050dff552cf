"""Taints of node pools, as text and as the clouds' APIs have them; pure."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from modelway.cluster.findings import Findings

FORM = re.compile(r"[\w./-]{1,253}(=[\w.-]{0,63})?:(NoSchedule|NoExecute|PreferNoSchedule)")
EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
}


class Taint(NamedTuple):
    """What keeps pods off a node."""

    key: str
    value: str
    effect: str
    """As EKS and GKE name it, such as `NO_SCHEDULE`."""


def parse(text: str) -> Taint:
    """The taint of a text of the form `key=value:effect`."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return Taint(key, value, EFFECTS[effect])


def check(findings: Findings, where: str, taints: Sequence[str]) -> None:
    """Note each of a pool's taints that has another form."""
    for taint in taints:
        if not FORM.fullmatch(taint):
            allowed = "key=value:NoSchedule, :NoExecute or :PreferNoSchedule"
            findings.add(f"{where}.taints", "no taint", repr(taint), allowed, "correct it")
