"""When Google may upgrade a cluster; pure."""

from typing import NamedTuple

from modelway._common import as_int
from modelway.cluster.gke.arguments import (
    DEFAULT_MAINTENANCE_DAYS,
    DEFAULT_MAINTENANCE_HOUR,
    DEFAULT_MAINTENANCE_HOURS,
    MaintenanceWindowArgs,
)

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
SHORTEST_HOURS = 4
LEAST_WEEKLY_HOURS = 12
"""GKE wants 48 hours in any 32 days, in windows of four or more, and 32 days have every day of the week four times
(https://docs.cloud.google.com/kubernetes-engine/docs/concepts/maintenance-windows-and-exclusions)."""
FIRST_DAY = "2026-01-03"
"""A day in the past: the first window has begun, the recurrence says on which days the others do."""


class Window(NamedTuple):
    """A recurring window, as GKE's API has it: two times (RFC 3339) and a recurrence (RFC 5545)."""

    start: str
    end: str
    recurrence: str


def days(args: MaintenanceWindowArgs) -> list[str]:
    """Days on which a window starts, in the order of the week."""
    asked = args.get("days", list(DEFAULT_MAINTENANCE_DAYS))
    return [day for day in DAYS if day in asked]


def start_hour(args: MaintenanceWindowArgs) -> int:
    """Hour at which a window starts."""
    return as_int(args.get("start_hour_utc"), DEFAULT_MAINTENANCE_HOUR)


def hours(args: MaintenanceWindowArgs) -> int:
    """Length of a window."""
    return as_int(args.get("hours"), DEFAULT_MAINTENANCE_HOURS)


def window(args: MaintenanceWindowArgs) -> Window:
    """The window of valid arguments."""
    first, length = start_hour(args), hours(args)
    recurrence = f"FREQ=WEEKLY;BYDAY={','.join(days(args))}"
    return Window(f"{FIRST_DAY}T{first:02}:00:00Z", f"{FIRST_DAY}T{first + length:02}:00:00Z", recurrence)
