"""What every table of collector.toml is made of. It knows no setting."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A table of collector.toml: frozen, and strict about keys it does not know."""

    # Built when first used: most collectors use two kinds of sinks, and a kind's validator holds half a megabyte.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
