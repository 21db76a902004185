"""Sizes of small U-Nets: how many channels and blocks each level has."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Levels", "expect_a_block_count_for_each"]


def expect_a_block_count_for_each(channels: Sequence[int], blocks: Sequence[int]) -> None:
    """Check that both name as many levels.

    Raises
    ------
    ValueError
        They do not; pydantic makes an error of the option of it.
    """
    if len(channels) != len(blocks):
        raise ValueError("channels and blocks must have one number for each level")


class Levels(BaseModel):
    """Channels and residual blocks of each level, a quarter of the frame first.

    Parameters
    ----------
    channels
        Of each level; levels are a factor of 2 apart.
    blocks
        Residual blocks of each level on the way down.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[int, ...] = Field(min_length=1, max_length=6)
    blocks: tuple[int, ...]

    @model_validator(mode="after")
    def _one_block_count_a_level(self) -> Levels:
        expect_a_block_count_for_each(self.channels, self.blocks)
        return self

    @property
    def multiple_px(self) -> int:
        """Sides of the input must be multiples of this."""
        return int(4 * 2 ** (len(self.channels) - 1))
