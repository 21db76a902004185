"""How many of how many neighbouring frames must show a detection: K/N."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from defectscope.core.errors import OptionError

__all__ = ["Vote"]


class Vote(NamedTuple):
    """How many of how many neighbouring frames must show a detection.

    Parameters
    ----------
    needed
        K: sightings that are needed, the detection itself among them.
    window
        N: frame indices that are looked at, centred on the detection's own; of an even number
        one more lies before than after.
    """

    needed: int
    window: int

    @classmethod
    def parse(cls, text: str | Sequence[int]) -> Vote:
        """Read ``K/N``, or take (K, N).

        Raises
        ------
        OptionError
            It is no such pair, or not 1 <= K <= N.
        """
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text) if isinstance(text, str) else None
        pair = match.groups() if match else text
        try:
            needed, window = (int(number) for number in pair)
        except (TypeError, ValueError):
            needed = window = 0
        if not 1 <= needed <= window:
            raise OptionError(
                "a vote is K/N, with 1 <= K <= N: a detection stays when it is found in K of N "
                f"neighbouring frames, such as 6/9; found {text!r}"
            )
        return cls(needed, window)

    @property
    def before(self) -> int:
        """Frame indices of the window before the detection's own."""
        return self.window // 2

    @property
    def after(self) -> int:
        """Frame indices of the window after the detection's own."""
        return (self.window - 1) // 2

    def needed_of(self, frames: int) -> int:
        """Return the sightings needed where only so many frames of the window are there."""
        return -(-self.needed * frames // self.window)

    def __str__(self) -> str:
        return f"{self.needed}/{self.window}"
