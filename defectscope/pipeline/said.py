"""What is said while something is done, where nobody gave a place for it."""

from __future__ import annotations

import warnings

__all__ = ["only_warnings"]


def only_warnings(text: str) -> None:
    """Warn, where a line begins with ``warning:``; other lines are for those who ask for them."""
    kind, _, said = text.partition(": ")
    if kind == "warning":
        warnings.warn(said, stacklevel=3)
