"""`modelway:cost` as types."""

from typing import Annotated

from pydantic import Field

from infra.config_section import Section


class CostSettings(Section):
    """What a stack may cost, and at which load."""

    monthly_budget_usd: Annotated[float, Field(gt=0)] | None = None
    """A preview that estimates more fails."""
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """Load for which `modelway cost` says what 1,000 predictions cost."""
