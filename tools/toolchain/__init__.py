"""The toolchain: finds, downloads, unpacks or builds what Modelway runs on.

`ensure` gets tools, `environment` lets them find each other, `inspect` reports for `doctor` and changes nothing.
"""

from tools.toolchain.catalog import BENCH, CHECKS, ENGINE, GROUPS, IMAGES, NODE
from tools.toolchain.model import Origin, Tool, ToolReport
from tools.toolchain.resolve import ensure, environment, inspect

__all__ = [
    "BENCH",
    "CHECKS",
    "ENGINE",
    "GROUPS",
    "IMAGES",
    "NODE",
    "Origin",
    "Tool",
    "ToolReport",
    "ensure",
    "environment",
    "inspect",
]
