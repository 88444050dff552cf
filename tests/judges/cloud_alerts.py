"""Alarms, alert policies and channels as the APIs of the clouds take them, handed to judges that know nothing of ours."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.judges import environment
from tests.judges.test_moto_aws import refused as refused_by_moto
from tests.unit.cloud_testing import Resource

PROGRAM = Path(__file__).with_name("google_alerts.py")
GROUPS = {
    "gcp:monitoring/alertPolicy:AlertPolicy": "policies",
    "gcp:monitoring/notificationChannel:NotificationChannel": "channels",
}
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
Objects = dict[str, dict[str, Any]]


def alarms(resources: Iterable[Resource]) -> Objects:
    """Parameters of `PutMetricAlarm`, whose names begin with a capital letter."""
    found = {}
    for resource in resources:
        if resource.typ == ALARM:
            inputs = {f"{key[0].upper()}{key[1:]}": value for key, value in resource.inputs.items()}
            inputs["Dimensions"] = [{"Name": name, "Value": value} for name, value in inputs["Dimensions"].items()]
            inputs["Tags"] = [{"Key": name, "Value": value} for name, value in inputs["Tags"].items()]
            inputs["OKActions"] = inputs.pop("OkActions")
            name = inputs.pop("Name")
            found[name] = _plain_numbers(inputs)
    return found


def _plain_numbers(inputs: dict[str, Any]) -> dict[str, Any]:
    """The engine keeps every number as a fraction."""
    return {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in inputs.items()
        if value is not None and not key.startswith("__")
    }


def google_objects(resources: Iterable[Resource]) -> dict[str, Objects]:
    """Alert policies and channels; the project is part of the address that they are sent to."""
    found: dict[str, Objects] = {group: {} for group in GROUPS.values()}
    for resource in resources:
        if group := GROUPS.get(resource.typ):
            others = ("project", "forceDelete", "sensitiveLabels")
            kept = {key: value for key, value in resource.inputs.items() if key not in others}
            found[group][resource.name] = {key: value for key, value in kept.items() if not key.startswith("__")}
    return found


def refused_by_cloudwatch(found: Objects) -> dict[str, str]:
    """What botocore's model and moto say of alarms."""
    return refused_by_moto({"alarms": found})


def refused_by_google(found: dict[str, Objects]) -> dict[str, str]:
    """What Google's own types do not have."""
    python = environment.folder() / "bin/python"
    command = [str(python), "-P", str(PROGRAM)]
    done = subprocess.run(command, input=json.dumps(found), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))
