"""Settings of the judge, from `MODELWAY_*` variables."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "MODELWAY_"


class SettingsError(ValueError):
    """A variable is missing or not usable; the text has a line for each."""


class Settings(BaseModel):
    """Each field is the variable `MODELWAY_<FIELD>`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: Annotated[str, Field(min_length=1)]
    """Of the experiment's objects and of the model."""
    experiment: Annotated[str, Field(min_length=1)]
    """Name of the ConfigMap with `plan.json` and `route.json`, and of the Lease; the state's has `-state` behind it."""
    prometheus_url: Annotated[str, Field(pattern=r"^https?://")]
    gateway_namespace: Annotated[str, Field(min_length=1)]
    """Of the proxies."""
    look_seconds: Annotated[float, Field(ge=0.1, le=300)] = 5.0
    """Between two looks; as often as Prometheus scrapes."""
    pod: Annotated[str, Field(min_length=1)]
    """Who holds the Lease; by default the machine's name, which in a pod is the pod's."""
    admin_port: Annotated[int, Field(ge=1, le=65535)] = 9090
    """Of `/metrics`, `/healthz` and `/readyz`."""

    @property
    def state(self) -> str:
        """Name of the ConfigMap with the state."""
        return f"{self.experiment}-state"


def load(environment: Mapping[str, str], hostname: str) -> Settings:
    """Settings from `environment`; raises `SettingsError` with every problem found."""
    raw = {
        name: environment[PREFIX + name.upper()]
        for name in Settings.model_fields
        if PREFIX + name.upper() in environment
    }
    try:
        return Settings.model_validate({"pod": hostname, **raw})
    except ValidationError as error:
        lines = [
            f"{PREFIX}{str(one['loc'][0]).upper()}: {one['msg'][:1].lower()}{one['msg'][1:]}: got {one['input']!r}"
            if one["type"] != "missing"
            else f"{PREFIX}{str(one['loc'][0]).upper()}: it is missing; set it"
            for one in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None
