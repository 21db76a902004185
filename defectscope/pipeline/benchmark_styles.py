"""How the curves and points of each detector look in all figures of a benchmark."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["DASHES", "Style", "detector_styles"]

# Okabe and Ito's palette, which the colour-blind can tell apart, and marks for print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKS = "osD^vPX"
DASHES = ("-", "--", "-.", ":")


class Style(NamedTuple):
    """How one detector looks; lines that coincide stay apart."""

    colour: str
    mark: str
    dash: str


def detector_styles(detectors: Iterable[str]) -> dict[str, Style]:
    """Return the style of each detector, in their order."""
    return {
        name: Style(*(of[k % len(of)] for of in (COLOURS, MARKS, DASHES)))
        for k, name in enumerate(dict.fromkeys(detectors))
    }
