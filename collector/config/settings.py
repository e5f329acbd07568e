"""The settings that belong to no other room, and the keys that every sink takes.

A sink, a mechanism and a listener carry their own Settings class beside them; ``app``
hands their tables to ``load``. Nothing here reads the environment at import.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from collector.config.units import Duration, Size


class Settings(BaseModel):
    """A table of collector.toml: frozen, and strict about keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SinkSettings(Settings):
    """What every sink takes (contract.md 1.1)."""

    type: str
    required: bool = True
    spool: Size = 4 * 2**30
    patience: Duration = 5.0
    match: dict[str, Any] = Field(default_factory=dict)
    exclude: dict[str, Any] | None = None
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    drop_fields: list[str] = Field(default_factory=list)
