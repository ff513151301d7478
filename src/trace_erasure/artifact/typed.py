"""Data that a file holds."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Typed(BaseModel):
    """Data that a file holds: read strictly, never changed; unknown keys of later versions stay."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)
