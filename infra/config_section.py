"""What every part of the stack config has in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

ENCRYPTED = "secret"
"""What an encrypted value is called where it cannot be read."""


class Section(BaseModel):
    """A part of the stack config: camelCase in YAML, no unknown keys, no coerced types."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)
